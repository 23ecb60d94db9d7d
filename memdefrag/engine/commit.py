"""How a verified copy becomes the store, and how to tell which of the two stands there after a crash."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from memdefrag.base.errors import NotPermitted, StoreChanged, StoreInUse
from memdefrag.base.fsops import ExchangeUnsupported, exchange, fault_point, file_sha256, remove, rename
from memdefrag.base.settings import LOCK_DEADLINE_SECONDS
from memdefrag.engine.journal import Job
from memdefrag.model.capabilities import Commit
from memdefrag.stores.sqlite_safe import is_database, open_readonly, quote, sidecars, translated

PAGES_AT_ONCE = 1_000
ABSENT = "absent"


def state_hash(path: Path, kind: Commit) -> str:
    """Identifies what stands at `path`: a hash of all bytes, or for SQLite of all rows and the schema.

    SQLite files get other header bytes when their content is copied, so that bytes say too little there.
    Returns `ABSENT` where there is nothing.
    """
    if not path.exists():
        return ABSENT
    if kind is Commit.SQLITE:
        with open_readonly(path) as connection:
            return rows_hash(connection)
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink()) if path.is_dir() else [path]
    for file in files:
        name = file.relative_to(path).as_posix()
        digest.update(f"{name}\0{file.stat().st_size}\0{file_sha256(file)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def finish_rollback(path: Path) -> None:
    """Let SQLite undo the transaction that a crash left in the journal beside the live file."""
    journal = path.with_name(path.name + "-journal")
    if not journal.exists() or not path.exists():
        return
    with translated(path), closing(sqlite3.connect(path, timeout=LOCK_DEADLINE_SECONDS)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if journal.exists():
            # An exclusive connection leaves its journal empty; only a change of mode removes it, under a lock.
            connection.execute("PRAGMA journal_mode=TRUNCATE")
            connection.execute("PRAGMA journal_mode=DELETE")


def rows_hash(connection: sqlite3.Connection) -> str:
    """SHA-256 of an SQLite database's versions, its schema, and every row of every table, in rowid order."""
    versions = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "application_id")]
    digest = hashlib.sha256(repr(versions).encode())
    schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    for entry in schema:
        digest.update(repr(entry).encode("utf-8", "surrogateescape"))
        kind, name, _, sql = entry
        if kind == "table" and not str(sql).upper().startswith("CREATE VIRTUAL"):
            for row in connection.execute(f"SELECT * FROM {quote(name)}"):
                digest.update(repr(row).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def swap(job: Job, kind: Commit, source_hash: str) -> None:
    """Make the staged copy the store. The caller has announced it in the journal.

    After it `job.old` or (after an exchange) `job.new` holds the previous state of a folder or file.

    Raises:
        StoreChanged: the store is no longer the one that was backed up.
        StoreInUse: somebody kept it locked.
    """
    if not job.target.exists():
        rename(job.new, job.target)
    elif kind is Commit.SQLITE:
        _write_into_live(job, source_hash)
    else:
        # A damaged database is replaced as a file; its log must not be taken for the new one's.
        for sidecar in sidecars(job.target) if is_database(job.new) else ():
            remove(sidecar)
        _trade_places(job, kind, source_hash)


def _trade_places(job: Job, kind: Commit, source_hash: str) -> None:
    """Exchange copy and store; what came out must still be what was backed up, else it goes back in."""
    try:
        exchange(job.new, job.target)
    except ExchangeUnsupported:
        _rename_both(job, kind, source_hash)
        return
    if state_hash(job.new, kind) != source_hash:
        exchange(job.new, job.target)
        raise _changed(job)


def _rename_both(job: Job, kind: Commit, source_hash: str) -> None:
    """Take the store away, look whether it still is what was backed up, and put the copy in its place."""
    try:
        rename(job.target, job.old)
    except PermissionError as error:
        raise NotPermitted(f"{job.target} cannot be renamed: {error.strerror}.") from error
    if state_hash(job.old, kind) != source_hash:
        rename(job.old, job.target)
        raise _changed(job)
    rename(job.new, job.target)


def _changed(job: Job) -> StoreChanged:
    return StoreChanged(f"{job.target.name} was written to at the last moment.")


def _write_into_live(job: Job, source_hash: str) -> None:
    """Copy all pages into the live file in one SQLite transaction.

    The exclusive lock is taken first and kept (locking_mode), so that nobody writes between the comparison
    and the copy. SQLite's own journal makes it all or nothing; whoever opens the file next finishes a
    rollback.
    """
    deadline = time.monotonic() + LOCK_DEADLINE_SECONDS

    def give_up(status: int, remaining: int, total: int) -> None:
        fault_point("copy pages")
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise StoreInUse(f"{job.target.name} stayed locked by another program.")

    with (
        translated(job.target),
        closing(sqlite3.connect(job.target, timeout=LOCK_DEADLINE_SECONDS, isolation_level=None)) as live,
        closing(sqlite3.connect(job.new)) as staged,
    ):
        live.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        try:
            live.execute("PRAGMA synchronous=FULL")
            live.execute("PRAGMA locking_mode=EXCLUSIVE")
            live.execute("BEGIN EXCLUSIVE")
            if rows_hash(live) != source_hash:
                raise StoreChanged(f"{job.target.name} was written to meanwhile.")
            live.execute("COMMIT")
            fault_point("copy into the live file")
            _fit_pages(staged, live)
            staged.backup(live, pages=PAGES_AT_ONCE, progress=give_up)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            raise StoreInUse(f"{job.target.name} stayed locked by another program.") from error


def _fit_pages(staged: sqlite3.Connection, live: sqlite3.Connection) -> None:
    """Give the copy pages of the live file's size: with a log (WAL) that file takes no others."""
    [size] = live.execute("PRAGMA page_size").fetchone()
    if staged.execute("PRAGMA page_size").fetchone() != (size,):
        staged.execute("PRAGMA journal_mode=DELETE")
        staged.execute(f"PRAGMA page_size={size}")
        staged.execute("VACUUM")
