"""SQLite with sqlite-vec: the one library that writes the tables of vectors, the same in every Python.

`sqlite3` of many Pythons cannot load extensions; ``apsw`` brings a SQLite of its own that can.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memdefrag.base.errors import NoSpace, NotPermitted, StoreInUse, WriterFailed
from memdefrag.base.fsops import PRIVATE_FILE, fault_point
from memdefrag.base.scratch import scratch_folder
from memdefrag.base.settings import LOCK_DEADLINE_SECONDS
from memdefrag.stores.sqlite_safe import copy_by_backup, pending

if TYPE_CHECKING:
    import apsw

Execute = Callable[..., Any]
"""Runs a statement with the values of its placeholders, and returns the cursor."""

EXTRA = "pipx install 'memdefrag[memory-service]'"

_SETTINGS = ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "cache_size=-32768", "synchronous=FULL")
_WRITES = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
_LONGEST = 1 << 28


@cache
def is_installed() -> bool:
    """Whether the extra is there."""
    return find_spec("apsw") is not None and find_spec("sqlite_vec") is not None


@contextmanager
def transaction(path: Path) -> Iterator[Execute]:
    """One transaction on a staged file, which is made where it does not exist; nothing of it stays after an error.

    Writes that come from a trigger are refused: a trigger in a stranger's file may do anything.

    Raises:
        WriterFailed, StoreInUse, NoSpace, NotPermitted: as the library finds.
    """
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, PRIVATE_FILE))
    with _translated(path), closing(_opened(path, write=True)) as connection:
        connection.authorizer = _refuse_triggers
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection.execute
            fault_point("commit rows")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def searching(path: Path) -> Iterator[Execute]:
    """Statements that only read, with sqlite-vec; neither a byte nor a directory entry changes."""
    if pending(path):
        with scratch_folder() as folder:
            copy = folder / path.name
            copy_by_backup(path, copy)
            with searching(copy) as execute:
                yield execute
        return
    with _translated(path), closing(_opened(path, write=False)) as connection:
        yield connection.execute


def _opened(path: Path, *, write: bool) -> apsw.Connection:
    import apsw
    import sqlite_vec

    if write:
        flags, name = apsw.SQLITE_OPEN_READWRITE, str(path)
    else:
        flags, name = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, f"{path.absolute().as_uri()}?immutable=1"
    connection = apsw.Connection(name, flags=flags)
    connection.set_busy_timeout(int(LOCK_DEADLINE_SECONDS * 1000))
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, _LONGEST)
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.enable_load_extension(False)
    for setting in _SETTINGS:
        connection.execute(f"PRAGMA {setting}")
    return connection


def _refuse_triggers(action: int, *names: str | None) -> int:
    origin = names[-1]
    return sqlite3.SQLITE_DENY if action in _WRITES and origin is not None else sqlite3.SQLITE_OK


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn the library's errors into ours."""
    import apsw

    try:
        yield
    except apsw.FullError as error:
        raise NoSpace(f"The disk is full: {path} could not be written.") from error
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreInUse(f"{path} is locked by another program, which does not let go of it.") from error
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
        raise NotPermitted(f"{path} could not be opened or written: {error}.") from error
    except (apsw.Error, UnicodeEncodeError) as error:
        raise WriterFailed(f"SQLite with sqlite-vec could not write {path}: {error}.") from error
