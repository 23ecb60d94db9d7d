"""A real PostgreSQL server of our own: in a temporary folder, on a socket, for the length of the tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

BINARIES_VARIABLE = "MEMDEFRAG_TEST_POSTGRES"
"""Names the folder of another server's programs, such as one that has pgvector."""
USER = "tester"
PASSWORD = "sesame-5f"
GUARDED = "guarded"
"""The user who needs a password."""
_ACCOUNTS = ("postgres", "nobody")
_OPTIONS = {"listen_addresses": "", "max_connections": "30", "shared_buffers": "16MB", "log_min_messages": "fatal"}
_numbers = count(1)

Session = psycopg.Connection[tuple[Any, ...]]


@dataclass
class Server:
    """A running server. `process` is the postmaster."""

    programs: Path
    folder: Path
    process: subprocess.Popen[bytes]
    has_vectors: bool = False

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def connect(self, database: str = "postgres") -> Session:
        return psycopg.connect(self.url(database), autocommit=True)

    def schema(self, script: str) -> str:
        """The URL of a new schema in which the script ran; much faster made than a database."""
        url = self.url("postgres") + f"&options=-csearch_path%3Droom{next(_numbers)},public"
        with psycopg.connect(url, autocommit=True) as session:
            session.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(url.split("%3D")[1].split(",")[0])))
            session.execute(script)
        return url

    def database(self, script: str = "", *, encoding: str = "UTF8") -> str:
        """The URL of a new database in which the script ran. It goes with the server."""
        name = f"db{next(_numbers)}"
        options = f"TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        with self.connect() as session:
            session.execute(sql.SQL("CREATE DATABASE {} " + options).format(sql.Identifier(name)))
        with self.connect(name) as session:
            session.execute(script)
        return self.url(name)

    def wait(self) -> None:
        """Until it answers again; one that has not noticed yet that a backend was killed answers once or twice."""
        answers = 0
        for _ in range(600):
            time.sleep(0.1)
            try:
                self.connect().close()
                answers += 1
            except psycopg.OperationalError:
                answers = 0
            if answers == 5:
                return
        raise AssertionError("the server did not come back")


@contextmanager
def running() -> Iterator[Server]:
    """Start a server, or skip with the reason."""
    programs = _programs()
    account = _account()
    folder = Path(tempfile.mkdtemp(prefix="memdefrag-pg-"))
    if account:
        shutil.chown(folder, account, account_group(account))
    who: dict[str, Any] = {"user": account, "group": account_group(account), "extra_groups": []} if account else {}
    data = folder / "data"
    command = [programs / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, **who)
    if made.returncode:
        shutil.rmtree(folder)
        pytest.skip(f"PostgreSQL cannot make a database here: {made.stderr.strip()[-200:]}")
    rules = data / "pg_hba.conf"
    rules.write_text(f"local all {GUARDED} scram-sha-256\n" + rules.read_text())
    options = [f"-c{name}={value}" for name, value in _OPTIONS.items()]
    with open(folder / "log", "wb") as log:
        command = [programs / "postgres", "-D", data, "-k", folder, *options]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **who)
    try:
        server = Server(programs, folder, process)
        _wait(server)
        yield server
    finally:
        # At once: nobody needs what a clean end would still write.
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


def account_group(account: str) -> int:
    import pwd

    return pwd.getpwnam(account).pw_gid


def _wait(server: Server) -> None:
    for _ in range(300):
        try:
            with server.connect() as session:
                user = sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}")
                session.execute(user.format(sql.Identifier(GUARDED), sql.Literal(PASSWORD)))
                found = session.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'").fetchone()
                server.has_vectors = found == (1,)
                if server.has_vectors:
                    session.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
            return
        except psycopg.OperationalError:
            assert server.process.poll() is None, (server.folder / "log").read_text()
            time.sleep(0.1)
    raise AssertionError("PostgreSQL did not start: " + (server.folder / "log").read_text())


def _programs() -> Path:
    named = os.environ.get(BINARIES_VARIABLE)
    folders = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not named and (found := shutil.which("initdb")):
        folders.append(Path(found).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("needs a PostgreSQL server (Debian: apt-get install postgresql)")


def _account() -> str | None:
    """Somebody other than root, whom the server refuses."""
    import pwd

    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _ACCOUNTS if name in names)
