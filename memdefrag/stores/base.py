"""What every memory system looks like to the rest of the program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from memdefrag.base.errors import CollectionNotFound, ServerRefused, StoreChanged
from memdefrag.base.fsops import file_sha256
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Capabilities
from memdefrag.model.codec import clean, fit
from memdefrag.model.hashing import Fingerprint
from memdefrag.model.plan import Changes
from memdefrag.model.records import (
    CollectionInfo,
    FileStamp,
    Key,
    MemoryRecord,
    Relation,
    Snapshot,
)
from memdefrag.model.terms import as_in_chroma


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What a person may choose about how stores are opened.

    Attributes:
        chroma_python: the Python whose chromadb writes Chroma folders; None: the built-in one.
        chroma_upgrade: the built-in chromadb may upgrade an older Chroma folder; older programs cannot
        open it
            again.
        owner: of memories whose own owner is no user of the system that they are written to; None: its only user.
    """

    chroma_python: Path | None = None
    chroma_upgrade: bool = False
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes on disk: now, after the deletions alone, after a rebuild; and the rebuild's estimated seconds.

    A forecast, except `now`.
    """

    now: int
    after_apply: int
    after_compact: int
    compact_seconds: float


class RecordsRefused(ServerRefused):
    """A server took all of a batch but some.

    Attributes:
        refused: those that are as they were before, each with the server's reason.
    """

    def __init__(self, message: str, refused: Mapping[Key, str]) -> None:
        super().__init__(message)
        self.refused = refused


class Store(ABC):
    """A container of memories, opened from one address.

    Opening and reading never change a byte or a directory entry. Only `engine.apply` calls `write` and
    `rebuild`, and only on a staged copy.
    """

    kind: ClassVar[str]
    """The address prefix."""

    def __init__(self, address: Address, settings: StoreSettings) -> None:
        self.address = address
        self.settings = settings

    @classmethod
    @abstractmethod
    def detect(cls, path: Path) -> Path | None:
        """The store's own path if `path` holds (or lies in, or encloses) a store of this kind, else None."""

    @classmethod
    def located(cls, address: Address) -> Address:
        """The address with its place in full: an absolute path; a URL as it is."""
        return address.at(address.path.absolute()) if address.is_local else address

    @property
    @abstractmethod
    def format(self) -> str:
        """Program and version that made it, in words."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities: ...

    @property
    def needed_to_write(self) -> str | None:
        """The command that installs what is missing to write the store; None where nothing is, or nothing helps."""
        return None

    @property
    def obstacle(self) -> str:
        """What about this very store forbids to write it, in words; empty where nothing does."""
        return ""

    @abstractmethod
    def collections(self) -> list[CollectionInfo]:
        """All collections, in a stable order."""

    @abstractmethod
    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        """All records of a collection in a stable order, in lists of at most `batch`, with bounded memory.

        Raises:
            CollectionNotFound: there is no such collection.
            StoreDamaged: the files contradict themselves beyond what can be read around.
        """

    @abstractmethod
    def raw_files(self) -> list[Path]:
        """The files that make up the store, absolute and sorted; what a backup copies."""

    @abstractmethod
    def write(self, changes: Changes, progress: Progress) -> None:
        """Carry out the changes on this (staged) copy; make it when it does not exist.

        Raises:
            StoreChanged: a record no longer has the hash the changes name.
            WriterFailed: the library that writes the format failed.
        """

    def expecting_use(self) -> AbstractContextManager[None]:
        """Inside it a write or a search is likely to follow: what takes long to load may be loaded meanwhile."""
        return nullcontext()

    def sweep(self, keys: Iterable[Key]) -> None:  # noqa: B027 - most writes leave nothing
        """Remove from a store that is written live what a crash left beside these records."""

    def fit(self, record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        """The record as it will read back after being written here, and what is lost by that, in words."""
        return fit(record, self.capabilities)

    def fit_relation(self, relation: Relation) -> tuple[Relation | None, tuple[str, ...]]:
        """The link as it will read back after being written here, and what is lost by that, in words.

        None where the store has no place for it; the words say why.
        """
        return relation, ()

    def key_for(self, collection: str, record: MemoryRecord) -> Key:
        """The key under which this store would keep a record that comes from another one.

        The same record gets the same key every time, so that copying it again finds the copy.

        Raises:
            UsageError: no name that the store takes can be made of the record's own.
        """
        return Key(collection, clean(record.key.id))

    def adopted(self, record: MemoryRecord) -> MemoryRecord:
        """A record of another system, said in this one's own terms as far as it has such; for most it is the same."""
        return as_in_chroma(record) if self.capabilities.tags_in_metadata else record

    def refusal(self, record: MemoryRecord) -> str | None:
        """Why the store cannot take a (fitted) record, in words; None when it can."""
        return None

    def unreadable(self) -> list[tuple[Key, str]]:
        """Memories that are there but cannot be read, each with the reason."""
        return []

    def name_fault(self, collection: str) -> str | None:
        """Why no collection can be made under this name, in words; None when one can."""
        return None

    def is_placeholder(self, record: MemoryRecord) -> bool:
        """Whether the owning program made this record by itself and nobody has written to it since.

        What comes from elsewhere may take its place as if nothing stood there.
        """
        return False

    def problems(self) -> list[str]:
        """What is wrong with the store but does not stop it from being read, one sentence each."""
        return []

    def rebuild(self, progress: Progress) -> None:  # noqa: B027 - most stores have no index files
        """Build this (staged) copy's index files anew. Stores without such files do nothing."""

    def lost_in_search(self, records: Sequence[MemoryRecord], progress: Progress) -> list[Key]:
        """Of these records, those that the store's own search does not return first for their own vector.

        Changes nothing: a library that writes on opening is given a copy. Stores without a search of their
        own lose none.
        """
        return []

    def sizes(self, removed: Mapping[str, int]) -> Sizes:
        """Forecast the size after removing so many records from each collection."""
        now = sum(path.stat().st_size for path in self.raw_files())
        return Sizes(now, now, now, 0.0)

    def archived(self) -> frozenset[str]:
        """Ids of the memories in the store's own archive of originals; stores without one have none."""
        return frozenset()

    def relations(self) -> Iterator[Relation]:
        """The links between records; none by default."""
        return iter(())

    def fetch(self, keys: Iterable[Key]) -> list[MemoryRecord]:
        """The records of these keys that exist, in the order asked."""
        wanted = list(keys)
        names, missing = {key.collection for key in wanted}, set(wanted)
        found: dict[Key, MemoryRecord] = {}
        for name in sorted(names & {info.name for info in self.collections()}):
            for records in self.scan(name):
                found.update((record.key, record) for record in records if record.key in missing)
        return [found[key] for key in wanted if key in found]

    def frozen(self) -> AbstractContextManager[None]:
        """Everything read inside comes from one moment, where the store can promise that. Calls may be nested."""
        return nullcontext()

    def close(self) -> None:  # noqa: B027 - most stores hold nothing open
        """Release files. Calling it twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def exists(self) -> bool:
        """Whether there is something at the address yet."""
        return self.address.path.exists()

    def file_stamps(self) -> tuple[FileStamp, ...]:
        """Size and SHA-256 of every raw file, by path relative to the store."""
        root = self.address.path
        return tuple(
            FileStamp(
                path.relative_to(root).as_posix() if root.is_dir() else path.name,
                path.stat().st_size,
                file_sha256(path),
            )
            for path in self.raw_files()
        )


def read_snapshot(
    store: Store, progress: Progress | None = None, *, only: Container[str] | None = None
) -> Snapshot:
    """Read all of a store; or, where its address selects one collection, all collections' infos but only its
    records.

    Args:
        only: of which collections the records are read, whatever the address selects.

    Raises:
        CollectionNotFound: the selected collection does not exist.
        StoreChanged: somebody wrote to the store while it was read.
    """
    try:
        with store.frozen():
            return _read_snapshot(store, progress or Progress(), only)
    except FileNotFoundError as error:
        raise StoreChanged(f"{error.filename} went away while the store was read.", todo="Try again.") from error


def _read_snapshot(store: Store, progress: Progress, only: Container[str] | None) -> Snapshot:
    stats, stamps = file_stats(store), store.file_stamps()
    infos = tuple(store.collections())
    chosen = selected(store, infos) if only is None else [info for info in infos if info.name in only]
    progress.phase("Reading", sum(info.count for info in chosen))
    records: list[MemoryRecord] = []
    for info in chosen:
        for batch in store.scan(info.name):
            records += batch
            progress.step(len(batch))
    if file_stats(store) != stats:
        raise StoreChanged(f"Somebody wrote to {store.address.location} while it was read.", todo="Try again.")
    found = tuple(records)
    relations, fingerprint = tuple(store.relations()), Fingerprint(stamps, found)
    return Snapshot(str(store.address), infos, found, relations, fingerprint, store.capabilities)


def selected(store: Store, infos: Sequence[CollectionInfo]) -> list[CollectionInfo]:
    """Of a store's collections, the one that its address selects; all where it selects none.

    Raises:
        CollectionNotFound: the selected one is not among them.
    """
    wanted = store.address.collection
    found = [info for info in infos if wanted in (None, info.name)]
    if wanted and not found:
        present = ", ".join(info.name for info in infos) or "none"
        raise CollectionNotFound(
            f"There is no collection {wanted!r} in {store.address.location}.",
            todo=f"Collections present: {present}.",
        )
    return found


def file_stats(store: Store) -> list[tuple[Path, int, int]]:
    """Size and time of every raw file: what changes when somebody writes, cheaper to ask twice than all bytes' sums."""
    return [(path, path.stat().st_size, path.stat().st_mtime_ns) for path in store.raw_files()]
