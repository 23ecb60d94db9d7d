"""Reading a store while the program it belongs to goes on working with it.

A store that nobody holds is read itself. Of one that is held, or that changes while it is read, a private copy is made
that is of one moment: SQLite files through SQLite's backup API, all others copied until the source still is, after the
copy, what it was before. (Chroma rewrites its index files in place, and takes into them only what its SQLite file had
before: unchanged index files around one moment of the SQLite file are consistent with it.)
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from memdefrag.base.errors import NoSpace, StoreChanged, StoreInUse
from memdefrag.base.fsops import file_sha256, free_bytes
from memdefrag.base.progress import Progress
from memdefrag.base.scratch import scratch_folder
from memdefrag.base.settings import LOCK_DEADLINE_SECONDS
from memdefrag.base.wording import clock
from memdefrag.engine.in_use import Holder, holders
from memdefrag.model.address import Address
from memdefrag.model.records import Snapshot
from memdefrag.stores import sqlite_safe
from memdefrag.stores.base import Store, StoreSettings, read_snapshot
from memdefrag.stores.registry import open_store, resolve

ATTEMPTS = 10
PAUSE_SECONDS = 0.2
LOCK_SECONDS = LOCK_DEADLINE_SECONDS
_SIDECARS = ("-wal", "-shm", "-journal")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class State:
    """What was read, and when.

    Attributes:
        address: the store itself, also where a copy of it was read.
        moment: seconds since 1970.
        holders: programs that had the store open.
        was_copied: whether a private copy was read.
    """

    address: Address
    moment: float
    holders: tuple[Holder, ...] = ()
    was_copied: bool = False

    @classmethod
    def at_rest(cls, address: Address) -> State:
        """A store that nobody holds, now."""
        return cls(address, time.time())

    def __str__(self) -> str:
        users = f", in use by {', '.join(map(str, self.holders))}" if self.holders else ""
        return f"state of {clock(self.moment)}{users}"

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` says of it."""
        users = [{"pid": holder.pid, "name": holder.name} for holder in self.holders]
        return {"moment": self.moment, "in_use": users, "copied": self.was_copied}


@contextmanager
def steady(
    address: Address | str, progress: Progress, settings: StoreSettings | None = None, *, copy: bool = False
) -> Iterator[tuple[Store, State]]:
    """Open a store, or a private copy of it where a program holds it (or `copy` says so).

    Of a copy the store's own address is that of the copy: `State.address` names the real one.

    Raises:
        StoreInUse: the programs that hold it never left it alone for as long as copying takes.
        NoSpace: no room for the copy.
        NotAStore, StoreDamaged, …: as `open_store`.
    """
    place = resolve(address) if isinstance(address, str) else address
    with open_store(place, settings) as store:
        files = store.raw_files()
        users = tuple(holders(files)) if files else ()
        if not files or not (users or copy):
            yield store, State(store.address, time.time(), users)
            return
        with scratch_folder() as folder:
            moment = _copy(store, folder, users, progress)
            with open_store(store.address.at(folder / store.address.path.name), settings) as copied:
                yield copied, State(store.address, moment, users, was_copied=True)


def steadily(
    address: Address | str,
    progress: Progress,
    work: Callable[[Store, State], Result],
    settings: StoreSettings | None = None,
) -> Result:
    """Do some reading work; once more, on a private copy, when somebody wrote meanwhile."""
    try:
        with steady(address, progress, settings) as opened:
            return work(*opened)
    except StoreChanged:
        with steady(address, progress, settings, copy=True) as opened:
            return work(*opened)


def read_steadily(address: Address | str, progress: Progress) -> tuple[Snapshot, State]:
    """All of a store at one moment; the snapshot bears the store's own address, also when a copy was read."""

    def read(store: Store, state: State) -> tuple[Snapshot, State]:
        return replace(read_snapshot(store, progress), address=str(state.address)), state

    return steadily(address, progress, read)


def _copy(store: Store, folder: Path, users: Sequence[Holder], progress: Progress) -> float:
    """Copy the raw files into `folder` at one moment, which is returned."""
    root = store.address.path
    for attempt in range(ATTEMPTS):
        progress.phase("Copying the store, which is in use")
        files = _own_files(store)
        if free_bytes(folder) < sum(path.stat().st_size for path in files):
            raise NoSpace(f"There is no room in {folder.parent} for a private copy of {root}.")
        try:
            moment = _copy_once(root, files, folder, progress)
            if moment is not None and files == _own_files(store):
                return moment
        except StoreInUse as error:
            raise StoreInUse(f"{error.message} It is open in {_named(users)}.") from error
        except (FileNotFoundError, StoreChanged):
            # A file came or went while it was looked at: try again.
            pass
        shutil.rmtree(folder / root.name, ignore_errors=True)
        (folder / root.name).unlink(missing_ok=True)
        time.sleep(PAUSE_SECONDS * (attempt + 1))
    raise StoreInUse(f"{root} is being written all the time by {_named(users)}.")


def _named(users: Sequence[Holder]) -> str:
    return ", ".join(map(str, users)) or "a program that cannot be seen from here"


def _own_files(store: Store) -> list[Path]:
    """The raw files, without what SQLite keeps beside its databases for a while."""
    files = store.raw_files()
    return [path for path in files if not (path.name.endswith(_SIDECARS) and _database_of(path) in files)]


def _database_of(path: Path) -> Path:
    return path.with_name(path.name.rpartition("-")[0])


def _copy_once(root: Path, files: Sequence[Path], folder: Path, progress: Progress) -> float | None:
    """Copy all files; None when one that is no SQLite database changed meanwhile."""
    databases = [path for path in files if sqlite_safe.is_database(path)]
    others = [path for path in files if path not in databases]
    copies = {path: folder / root.name / path.relative_to(root) for path in files}
    for path, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path in others:
            shutil.copyfile(path, copy)
            progress.check()
    moment = time.time()
    for path in databases:
        sqlite_safe.copy_by_backup(path, copies[path], live=True, seconds=LOCK_SECONDS)
    same = all(file_sha256(path) == file_sha256(copies[path]) for path in others)
    return moment if same else None
