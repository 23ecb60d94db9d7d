"""One way to reach a PostgreSQL server: where, as whom, how safely, and what its refusals mean to a person."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from memdefrag.base.errors import (
    MemdefragError,
    NoSpace,
    NotAStore,
    NotPermitted,
    StoreDamaged,
    StoreInUse,
    UnsupportedEnvironment,
    UnsupportedFormat,
    UsageError,
    WriterFailed,
)
from memdefrag.base.settings import redact
from memdefrag.stores.postgres.tables import Database

if TYPE_CHECKING:
    import psycopg

OLDEST_SERVER = 130000
"""The first with pg_current_xact_id(), by which a lost answer to COMMIT is told."""
CONNECT_SECONDS = 10
_SYSTEM_ROOTS = 160000
"""The first libpq that knows the system's certificates by the name "system"."""
_SETTINGS = {
    "DateStyle": "ISO, YMD",
    "TimeZone": "UTC",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    # Rows that a policy hides would be missing from a backup: better an error.
    "row_security": "off",
    "statement_timeout": "120s",
    "lock_timeout": "5s",
}
"""Every text form is exact and the same on all servers; nothing waits for ever."""


def connect(location: str, variables: tuple[str, ...] = ()) -> Database:
    """Open a session.

    Args:
        location: ``postgresql://user@host:port/database?…`` without a password, which comes from
            `memdefrag.base.secrets`, from the URL in one of the environment `variables` if that names the same
            database, or from libpq's own password file.

    Raises:
        UsageError: the URL cannot be read, or holds a password.
        NotAStore: the server cannot be reached. NotPermitted: it refuses us.
        UnsupportedFormat: the server is too old, or keeps texts in no known encoding.
        UnsupportedEnvironment: psycopg is not installed.
    """
    psycopg = _psycopg()
    options = _options(location, variables)
    with plain_errors(location):
        database: Database = psycopg.connect(**options, autocommit=True)
    try:
        with plain_errors(location):
            _require_known(database)
            for name, value in _SETTINGS.items():
                database.execute("SELECT pg_catalog.set_config(%s, %s, false)", [name, value])
    except BaseException:
        database.close()
        raise
    return database


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise UnsupportedEnvironment(
            "PostgreSQL databases need psycopg, which is not installed.",
            todo="Install the postgres extra: pipx install 'memdefrag[postgres]'.",
        ) from error
    return psycopg


def _require_known(database: Database) -> None:
    version = database.info.server_version
    if version < OLDEST_SERVER:
        raise UnsupportedFormat(f"The server is PostgreSQL {version // 10000}; memdefrag needs 13 or newer.")
    if database.info.parameter_status("server_encoding") == "SQL_ASCII":
        raise UnsupportedFormat("The database has the encoding SQL_ASCII, which does not say what its texts mean.")


def _options(location: str, variables: tuple[str, ...]) -> dict[str, Any]:
    """What libpq is told. Nothing the URL says is overruled."""
    from psycopg import pq

    options = dict(parse(location))
    options.setdefault("application_name", "memdefrag")
    options.setdefault("connect_timeout", CONNECT_SECONDS)
    if not is_loopback(options) and "sslmode" not in options and "PGSSLMODE" not in os.environ:
        options["sslmode"] = "verify-full"
        if "sslrootcert" not in options and "PGSSLROOTCERT" not in os.environ and pq.version() >= _SYSTEM_ROOTS:
            options["sslrootcert"] = "system"
    password = _password(location, options, variables)
    return options | ({"password": password} if password else {})


def parse(location: str) -> dict[str, Any]:
    """The parts of a URL by libpq's names.

    Raises:
        UsageError: it is none, or holds a password.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        if not location.startswith(("postgresql://", "postgres://")):
            raise UsageError(f"{redact(location)} is not a URL such as postgresql://user@host/database.")
        options = dict(conninfo_to_dict(location))
    except psycopg.Error as error:
        raise UsageError("The URL of the database cannot be read.", todo="postgresql://user@host/database") from error
    if options.keys() & {"password", "sslpassword"}:
        raise UsageError(
            "The address holds a password, which would end up in logs and shell histories.",
            todo="Take it out of the address and put it into PGPASSWORD or into libpq's password file.",
        )
    return options


def is_loopback(options: dict[str, Any]) -> bool:
    """Whether all hosts are this machine: a socket's folder, localhost or a loopback address."""
    hosts = str(options.get("hostaddr") or options.get("host") or os.environ.get("PGHOST", "")).split(",")
    return all(_is_this_machine(host) for host in hosts)


def _is_this_machine(host: str) -> bool:
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _password(location: str, options: dict[str, Any], variables: tuple[str, ...]) -> str | None:
    from memdefrag.base import secrets

    secret = secrets.find(location, "PGPASSWORD")
    if secret is not None:
        return secret.reveal()
    for name in variables:
        url = urlsplit(os.environ.get(name, ""))
        same = (url.hostname, url.port or 5432, url.path.lstrip("/")) == (
            options.get("host"),
            int(options.get("port") or 5432),
            options.get("dbname"),
        )
        if same and url.password and options.get("user") in (None, unquote(url.username or "")):
            options["user"] = unquote(url.username or "")
            return unquote(url.password)
    return None


@contextmanager
def plain_errors(location: str) -> Iterator[None]:
    """Turns psycopg's errors into ours, which say that nothing was changed: a transaction that fails is none."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _translated(error, location) from error


def _translated(error: psycopg.Error, location: str) -> MemdefragError:
    """Only the server's first line is passed on: its details may quote memories."""
    state = error.sqlstate or ""
    lines = str(error.diag.message_primary or error).strip().splitlines() or ["no reason given"]
    said = redact(lines[0]).rstrip(".")
    place = redact(location)
    if state == "42501" or state.startswith("28"):
        todo = "Give the user the right to read (and write) the tables of memories."
        return NotPermitted(f"{place}: {said}.", todo=todo)
    if state in ("55P03", "40P01", "57014"):
        return StoreInUse(f"{place} is busy: {said}.")
    if state == "53100":
        return NoSpace(f"The disk of {place} is full: {said}.")
    if state.startswith("XX"):
        return StoreDamaged(f"{place} is damaged: {said}.")
    if state and state[:2] not in ("08", "57"):
        return WriterFailed(f"{place} refused: {said}.")
    if any(word in said for word in ("password", "authentication", "pg_hba.conf", "does not exist")):
        return NotPermitted(f"{place}: {said}.", todo="Check user, database and password (PGPASSWORD).")
    return NotAStore(f"{place} cannot be reached: {said}.", todo="Check the address and the server.")
