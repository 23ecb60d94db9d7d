"""Which programs hold a store's files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from memdefrag.base.errors import StoreInUse

LOCK_PROBE_SECONDS = 0.2
_SIDECARS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Holder:
    """A running program that has one of the files open."""

    pid: int
    name: str
    command: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"

    @property
    def advice(self) -> str:
        """How a person closes it, in one sentence."""
        known = {
            "claude": "Quit Claude Desktop (from its menu, closing the window is not enough).",
            "mcp": "Stop the memory service: quit the assistant (Claude Desktop, an editor, …) that started it.",
            "chroma": "Stop the Chroma server (Ctrl-C in its terminal).",
        }
        said = f"{self.name} {self.command}".lower()
        return next((text for word, text in known.items() if word in said), f"Close {self.name}, then try again.")


def holders(paths: Iterable[Path]) -> list[Holder]:
    """Other processes with one of these files (or an SQLite sidecar of one) open.

    Sees only processes this user may look at.
    """
    wanted = {os.path.realpath(str(path) + suffix) for path in paths for suffix in ("", *_SIDECARS)}
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            if any(file.path in wanted for file in process.open_files()):
                found.append(Holder(process.pid, process.name(), " ".join(process.cmdline())[:200]))
        except (psutil.Error, OSError):
            continue
    return found


def require_free(paths: Iterable[Path]) -> None:
    """Raise when another program holds the store or keeps its SQLite file locked.

    Raises:
        StoreInUse: naming the program and its process id.
    """
    files = list(paths)
    found = holders(files)
    if found:
        names = ", ".join(str(holder) for holder in found)
        raise StoreInUse(f"The store is open in {names}.", todo=" ".join(holder.advice for holder in found))
    for path in files:
        if _is_sqlite(path) and _is_locked(path):
            raise StoreInUse(f"{path.name} is locked by another program that cannot be seen from here.")


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(16) == b"SQLite format 3\x00"


def _is_locked(path: Path) -> bool:
    """Whether a write transaction is refused. Opens read-write but changes nothing."""
    if not os.access(path, os.W_OK) or any(Path(f"{path}{suffix}").exists() for suffix in _SIDECARS):
        return False
    connection = sqlite3.connect(path.absolute().as_uri() + "?mode=rw", uri=True, timeout=LOCK_PROBE_SECONDS)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    finally:
        connection.close()
    return False
