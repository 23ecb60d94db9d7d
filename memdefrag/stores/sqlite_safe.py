"""Opening other people's SQLite files: without a trace when reading, and only as data when writing.

Measured facts behind this (SQLite 3.40): `mode=ro` leaves `-shm` and `-wal` beside a WAL-mode file and
refuses a file with a hot journal; `immutable=1` leaves nothing but reads torn pages where a journal or log is
pending. So a file at rest is opened immutable; any other is copied with its sidecars, and the copy is opened.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from memdefrag.base.errors import NoSpace, NotAStore, NotPermitted, StoreChanged, StoreDamaged, StoreInUse, WriterFailed
from memdefrag.base.fsops import PRIVATE_FILE, file_sha256, free_bytes
from memdefrag.base.scratch import scratch_folder
from memdefrag.base.settings import LOCK_DEADLINE_SECONDS

Result = TypeVar("Result")

MAGIC = b"SQLite format 3\0"
COPY_ATTEMPTS = 3
LENIENT_TEXT = partial(str, encoding="utf-8", errors="surrogateescape")
"""Makes text of any bytes, at half the speed of SQLite's own way, which fails for what is not UTF-8."""

_SIDECARS = ("-journal", "-wal")
_FORMAT_OFFSET = 18
"""Of the byte of an SQLite header that is 2 where changes go through a log (https://sqlite.org/fileformat.html)."""
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SETTINGS = ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "cache_size=-32768")
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1 << 28,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1 << 20,
    sqlite3.SQLITE_LIMIT_ATTACHED: 1,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
}
"""What a stranger's file may ask of SQLite: a value of 256 MB; one more file, as VACUUM opens for itself."""

CHECK_SECONDS = 600.0
"""A check that takes longer is given up: a stranger's CHECK constraints are evaluated by it."""

_INSTRUCTIONS_BETWEEN_LOOKS = 100_000
_WRITES = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)


@contextmanager
def open_readonly(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads a SQLite file and leaves neither a byte nor a directory entry behind.

    A file with a pending journal or log is copied privately and finished there (`pending` says which files).
    Text that is not UTF-8 is kept by surrogate escapes.

    Raises:
        NotAStore: there is no such file.
        NotPermitted: the file may not be read.
        StoreDamaged: it is no SQLite database, or damaged; also for statements that fail on the connection.
        StoreChanged: somebody wrote to it while it was read.
        NoSpace: no room for the private copy.
    """
    path = path.resolve()
    with translated(path):
        _require_database(path)
        if pending(path):
            with scratch_folder() as folder:
                copy = _private_copy(path, folder)
                with _connected(copy, "mode=rw") as connection:
                    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                    connection.execute("PRAGMA query_only=ON")
                    yield connection
            return
        before = _stamps(path)
        try:
            with _connected(path, "mode=ro&immutable=1") as connection:
                connection.execute("PRAGMA query_only=ON")
                yield connection
        except sqlite3.DatabaseError as error:
            if _stamps(path) != before:
                raise _changed(path) from error
            raise
        if _stamps(path) != before:
            raise _changed(path)


def copy_by_backup(path: Path, copy: Path, *, live: bool = False, seconds: float = LOCK_DEADLINE_SECONDS) -> None:
    """Copy a database as it is at one moment, what its log holds included, through SQLite's backup API.

    Args:
        live: read beside the programs that have the file open, under SQLite's locks; otherwise as `open_readonly`.
        seconds: how long a program that writes is waited for.

    Raises:
        StoreInUse: a program kept its lock for longer.
        NotAStore, NotPermitted, StoreDamaged, StoreChanged, NoSpace: as `open_readonly`.
    """
    path = path.resolve()
    if live and _is_shared(path):
        try:
            with translated(path), _connected(path, "mode=ro", seconds) as source:
                _back_up(source, copy, path, seconds)
            return
        except NotPermitted:
            # A journal that a crash left must be rolled back first, which is only done on a private copy.
            copy.unlink(missing_ok=True)
    with open_readonly(path) as source:
        _back_up(source, copy, path, seconds)


@contextmanager
def open_staged(
    path: Path, *, create: bool = False, triggers: Collection[str] = ()
) -> Iterator[sqlite3.Connection]:
    """A connection that writes a staged copy, in autocommit mode: the caller says BEGIN and COMMIT.

    Writes that come from a trigger are refused, unless `triggers` names it: a trigger in a stranger's file
    may do anything.

    Raises:
        NotAStore: there is no such file (unless `create`).
        NotPermitted, StoreDamaged: as `open_readonly`.
    """
    path = path.resolve()
    with translated(path):
        if not (create and not path.exists()):
            _require_database(path)
        elif not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, PRIVATE_FILE))
        with _connected(path, "mode=rw") as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=OFF")

            def allow(action: int, *names: str | None) -> int:
                origin = names[-1]
                refused = action in _WRITES and origin is not None and origin not in triggers
                return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

            connection.set_authorizer(allow)
            yield connection


def pending(path: Path) -> list[Path]:
    """The journal and log files beside `path` that hold something its last user did not finish."""
    beside = [path.with_name(path.name + suffix) for suffix in _SIDECARS]
    return [sidecar for sidecar in beside if sidecar.exists() and sidecar.stat().st_size]


def is_database(path: Path) -> bool:
    """Whether a file begins as an SQLite database does."""
    if not path.is_file():
        return False
    with path.open("rb") as handle:
        return handle.read(len(MAGIC)) == MAGIC


def sidecars(path: Path) -> list[Path]:
    """All files that SQLite keeps beside `path`, whatever is in them."""
    beside = [path.with_name(path.name + suffix) for suffix in (*_SIDECARS, "-shm")]
    return [sidecar for sidecar in beside if sidecar.exists()]


def fetch_fast(connection: sqlite3.Connection, fetch: Callable[[], Result]) -> Result:
    """What `fetch` reads from the connection: as plain UTF-8 where all of it is that, else leniently."""
    connection.text_factory = str
    try:
        return fetch()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    finally:
        connection.text_factory = LENIENT_TEXT
    return fetch()


def quote(name: str) -> str:
    """A table or column name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def tables(connection: sqlite3.Connection) -> frozenset[str]:
    """Names of the real tables: neither views nor virtual tables, whose content is the answer of a program."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0")
    return frozenset(name for (name,) in rows)


def columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Names of a table's columns; empty where there is no such table."""
    return frozenset(row[1] for row in connection.execute(f"PRAGMA table_info({quote(table)})"))


def require_tables(connection: sqlite3.Connection, path: Path, names: Collection[str]) -> None:
    """Insist that `names` are real tables.

    Raises:
        StoreDamaged: one is missing, or is a view.
    """
    missing = sorted(set(names) - tables(connection))
    if missing:
        raise StoreDamaged(f"{path} lacks the table {missing[0]!r} (or has something else of that name).")


def check(connection: sqlite3.Connection) -> list[str]:
    """What SQLite's quick_check complains of; empty when the file is sound."""
    try:
        with deadline(connection, CHECK_SECONDS):
            return [line for (line,) in connection.execute("PRAGMA quick_check(20)") if line != "ok"]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return [f"the check was given up after {CHECK_SECONDS:.0f} seconds"]


@contextmanager
def deadline(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Stop any statement that is still running after so many seconds (as an error of the file)."""
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, _INSTRUCTIONS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


@contextmanager
def _connected(path: Path, mode: str, patience: float = LOCK_DEADLINE_SECONDS) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(
        f"{path.as_uri()}?{mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=patience
    )
    with closing(connection):
        connection.text_factory = LENIENT_TEXT
        for category, limit in _LIMITS.items():
            connection.setlimit(category, limit)
        if hasattr(connection, "enable_load_extension"):
            connection.enable_load_extension(False)
        for setting in _SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        yield connection


def _is_shared(path: Path) -> bool:
    """Whether reading beside others adds no file: a log is shared through `-shm`, which then is there already."""
    _require_database(path)
    with path.open("rb") as handle:
        handle.seek(_FORMAT_OFFSET)
        uses_log = handle.read(1) == b"\x02"
    return not uses_log or all(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-shm"))


def _back_up(source: sqlite3.Connection, copy: Path, path: Path, seconds: float) -> None:
    """Connection.backup tries for ever when it meets a lock; this gives up."""
    end = time.monotonic() + seconds

    def look(status: int, remaining: int, total: int) -> None:
        if status in _BUSY and time.monotonic() > end:
            raise StoreInUse(f"{path} was locked by another program for {seconds:.0f} seconds.")

    with closing(sqlite3.connect(copy)) as target:
        # Whoever keeps the copy pushes it to the disk.
        target.execute("PRAGMA synchronous=OFF")
        source.backup(target, pages=-1, progress=look, sleep=0.05)


def _require_database(path: Path) -> None:
    if not path.is_file():
        raise NotAStore(f"There is no file {path}.")
    with path.open("rb") as handle:
        head = handle.read(len(MAGIC))
    if head != MAGIC:
        raise StoreDamaged(f"{path} is {'empty' if not head else 'not a SQLite database'}.")


def _stamps(path: Path) -> tuple[int, int, list[Path]]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, pending(path)


def _changed(path: Path) -> StoreChanged:
    return StoreChanged(f"Somebody wrote to {path} while it was read.", todo="Try again.")


def _private_copy(path: Path, folder: Path) -> Path:
    """Copy `path` and its sidecars into `folder`, at one moment of their lives."""
    for _ in range(COPY_ATTEMPTS):
        sources = [path, *pending(path)]
        if free_bytes(folder) < sum(source.stat().st_size for source in sources):
            raise NoSpace(f"There is no room in {folder.parent} for a private copy of {path}.")
        try:
            copies = [Path(shutil.copyfile(source, folder / source.name)) for source in sources]
            hashes = [file_sha256(source) for source in sources]
        except FileNotFoundError:
            continue
        if hashes == [file_sha256(copy) for copy in copies] and sources == [path, *pending(path)]:
            return copies[0]
        for copy in copies:
            copy.unlink()
    raise _changed(path)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and the file system into ours."""
    try:
        yield
    except PermissionError as error:
        raise NotPermitted(f"{error.filename or path} may not be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        # Python cannot read SQLite's own message, which quotes a schema that is not UTF-8.
        raise StoreDamaged(f"{path} cannot be read further: names in it are not UTF-8.") from error
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.IntegrityError as error:
        raise WriterFailed(f"{path} does not take what was to be written: {error}.") from error
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _BUSY:
            raise StoreInUse(f"{path} is locked by another program, which does not let go of it.") from error
        if code == sqlite3.SQLITE_FULL:
            raise NoSpace(f"The disk is full: {path} could not be written.") from error
        if "unable to open" in str(error) or "readonly" in str(error):
            raise NotPermitted(f"{path} could not be opened or written: {error}.") from error
        raise StoreDamaged(f"{path} cannot be read further: {error}.") from error
