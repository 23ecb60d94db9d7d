"""A store as a memory server shows it: texts and metadata under paths.

A folder of hdev is read and written entry by entry. Every other store is read whole, again when its files have
changed, and written by plans like any other write; each request, or several that came at once, is a step of its
history that can be undone.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from memdefrag.base.errors import ModelUnavailable, StoreChanged, VerificationFailed
from memdefrag.base.progress import Progress
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups import retention
from memdefrag.engine.backups.acceptance import SERVED
from memdefrag.engine.backups.archive import scratch_folder
from memdefrag.engine.backups.create import create
from memdefrag.engine.embedding import Embed
from memdefrag.engine.exchange import choose_collection
from memdefrag.model import codec
from memdefrag.model.address import Address
from memdefrag.model.carried import misread
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Drop, Plan, Put, Ref, Result, Step, VectorRule, Write
from memdefrag.model.records import DEAD, Key, MemoryRecord
from memdefrag.model.service_metadata import CREATED_KEYS, UPDATED_KEYS
from memdefrag.stores.base import Store, file_stats
from memdefrag.stores.hdev import names
from memdefrag.stores.hdev.files import HdevFiles
from memdefrag.stores.hdev.keys import entry_name, id_of
from memdefrag.stores.hdev.store import NOTHING, Found, fit
from memdefrag.stores.registry import open_store

TRUSTED_SECONDS = 0.3
"""How long what a store lists is believed when its files do not tell whether it changed."""


@dataclass(frozen=True)
class Index:
    """The names of all entries at one moment, and the folders they lie in. The store's own folder is ""."""

    names: frozenset[str]
    empty: frozenset[str] = frozenset()

    @cached_property
    def folders(self) -> frozenset[str]:
        above = {folder for name in (*self.names, *self.empty) for folder in names.folders_of(name)}
        return frozenset({"", *above, *self.empty})

    @cached_property
    def inside(self) -> Mapping[str, list[tuple[str, bool]]]:
        """By folder, what lies directly in it: its full name, and whether it is a folder; sorted."""
        found: dict[str, list[tuple[str, bool]]] = {}
        for name, is_folder in [(name, False) for name in self.names] + [(name, True) for name in self.folders - {""}]:
            found.setdefault(name.rpartition("/")[0], []).append((name, is_folder))
        return {folder: sorted(items) for folder, items in found.items()}

    def below(self, folder: str) -> list[str]:
        """The entries in a folder and in those below it."""
        return sorted(name for name in self.names if not folder or name.startswith(folder + "/"))


_MADE = frozenset((*CREATED_KEYS, *UPDATED_KEYS, "content_hash"))
"""Metadata that a store may make by itself."""


class Entries(ABC):
    """What a server gives out. Reading may be done by several threads at once; writing by one.

    Attributes:
        backend: what the server calls its backend.
        location: of the store on this machine.
        writable: whether `write` can do anything.
    """

    backend: str
    location: str
    writable: bool

    @abstractmethod
    def index(self) -> Index:
        """All names now."""

    @abstractmethod
    def is_folder(self, name: str) -> bool:
        """Whether other entries lie below this (sound) name."""

    def look(self, name: str) -> Found:
        """What stands under this (sound) name."""
        [(_, found)] = self.looks([name])
        return found

    @abstractmethod
    def looks(self, asked: Sequence[str]) -> Iterator[tuple[str, Found]]:
        """What stands under each of these (sound) names, in their order, read as it is asked for."""

    @abstractmethod
    def scan(self) -> Iterator[MemoryRecord]:
        """All entries that can be read."""

    @abstractmethod
    def write(self, put: Sequence[Put], delete: Sequence[MemoryRecord]) -> Mapping[str, str]:
        """Write entries and remove others, all or none where the store can promise that; read back.

        Args:
            put: entries as `look` gives them, the name as the key's id, with the hash of what `look` gave before.
            delete: entries as `look` gave them.

        Returns:
            The names of those that the store does not take, each with the reason; they are as they were.

        Raises:
            MemdefragError: why nothing, or not all, was written.
        """

    def tidy(self, folder: str) -> None:  # noqa: B027 - only real folders can be left empty
        """Remove what is left of a folder whose entries were removed."""


def of(store: Store, embed: Embed | None = None) -> Entries:
    """The entries of an open store: of the collection that its address selects, or of its only one.

    Raises:
        CollectionNotFound, CollectionNeeded: it does not say which.
    """
    return FolderEntries(store) if isinstance(store, HdevFiles) else StoreEntries(store, embed)


class FolderEntries(Entries):
    """The entries of a folder, each read and written by itself.

    Before the first write of a run the folder is backed up.
    """

    backend = "FilesystemMemoryBackend"

    def __init__(self, store: HdevFiles) -> None:
        self.store, self.location = store, str(store.root)
        self.writable = store.capabilities.writable
        self._is_backed_up = False

    def index(self) -> Index:
        return Index(*map(frozenset, self.store.names_and_empty_folders()))

    def is_folder(self, name: str) -> bool:
        return self.store.is_folder(name)

    def looks(self, asked: Sequence[str]) -> Iterator[tuple[str, Found]]:
        return self.store.looks(asked)

    def scan(self) -> Iterator[MemoryRecord]:
        for info in self.store.collections():
            for batch in self.store.scan(info.name):
                yield from batch

    def write(self, put: Sequence[Put], delete: Sequence[MemoryRecord]) -> Mapping[str, str]:
        if not self._is_backed_up:
            if self.index().names:
                create(self.store, None, "before it was served", Progress())
            self._is_backed_up = True
        self.store.write(Changes(tuple(put), tuple(map(Ref.of, delete))), Progress())
        self._require_written(put, delete)
        return {}

    def _require_written(self, put: Sequence[Put], delete: Sequence[MemoryRecord]) -> None:
        found = {record.key: record_hash(record) for record in self.store.fetch(each.record.key for each in put)}
        if any(found.get(each.record.key) != record_hash(each.record) for each in put) or self.store.fetch(
            record.key for record in delete
        ):
            raise VerificationFailed("What was written reads back differently.", todo="Ask for it again.")

    def tidy(self, folder: str) -> None:
        root = self.store.root / folder
        for path in sorted([root, *root.rglob("*")], key=lambda path: len(path.parts), reverse=True):
            with suppress(OSError):
                path.rmdir()


@dataclass(frozen=True)
class _View:
    """All of a collection at one moment, by the names that are given out; `dead`: what stands there, and is not."""

    stats: list[tuple[Path, int, int]]
    records: Mapping[str, MemoryRecord]
    dead: Mapping[str, MemoryRecord]

    @cached_property
    def index(self) -> Index:
        return Index(frozenset(self.records))


class StoreEntries(Entries):
    """The memories of one collection of any store, under names made of their ids.

    Of the backups that the writes of a run make, only the first is kept: each write can be undone by itself.

    Raises:
        CollectionNotFound, CollectionNeeded: there is none, or there are several and none is named.
    """

    def __init__(self, store: Store, embed: Embed | None = None) -> None:
        self.backend, self.writable = store.format, store.capabilities.writable
        self._collection = choose_collection(store.collections(), store.address.collection, str(store.address))
        self._store, self._embed, self.location = store, embed, store.address.location
        self._lock = threading.Lock()
        self._view: _View | None = None
        self._looked = 0.0
        self._first_backup: str | None = None

    def index(self) -> Index:
        return self._now().index

    def is_folder(self, name: str) -> bool:
        return name in self._now().index.folders

    def looks(self, asked: Sequence[str]) -> Iterator[tuple[str, Found]]:
        view = self._now()
        for name in asked:
            record = _known(view.records, name)
            yield name, NOTHING if record is None else Found(self._shown(name, record))

    def scan(self) -> Iterator[MemoryRecord]:
        for name, record in self._now().records.items():
            yield self._shown(name, record)

    def write(self, put: Sequence[Put], delete: Sequence[MemoryRecord]) -> Mapping[str, str]:
        view = self._now()
        drops = [Drop(Ref.of(old)) for record in delete if (old := _known(view.records, record.key.id))]
        refused: dict[str, str] = {}
        with scratch_folder("serving") as scratch:
            source = Address("jsonl", str(scratch / "entries.jsonl"))
            writes = self._staged(source, view, [each.record for each in put], refused)
            try:
                skipped = self._applied(source, [*writes.values(), *drops])
            except ModelUnavailable as error:
                wanting = {name for name, step in writes.items() if _makes_vector(step)}
                writes = {name: step for name, step in writes.items() if name not in wanting}
                if not (writes or drops):
                    raise
                refused |= dict.fromkeys(wanting, error.message)
                skipped = self._applied(source, [*writes.values(), *drops])
            finally:
                self._view = None
        refused |= {name: skipped[step.key] for name, step in writes.items() if step.key in skipped}
        if gone := [drop.record.key for drop in drops if drop.record.key in skipped]:
            raise StoreChanged(f"The store did not remove it: {skipped[gone[0]]}.")
        return refused

    def _applied(self, source: Address, steps: Sequence[Step]) -> dict[Key, str]:
        """Carry the steps out; the keys of those that the store did not take, each with the reason."""
        if not steps:
            return {}
        target, settings = str(self._store.address.select(None)), {"reason": SERVED}
        plan = Plan(source=str(source), target=target, settings=settings, steps=tuple(steps))
        report = apply(plan, ApplyOptions(confirm_shrink=True, embed=self._embed))
        if report.backup and self._first_backup:
            retention.discard(report.backup)
        self._first_backup = self._first_backup or report.backup
        return {each.key: each.reason for each in report.skipped if each.key}

    def _staged(
        self, source: Address, view: _View, put: Sequence[MemoryRecord], refused: dict[str, str]
    ) -> dict[str, Write]:
        """By name the steps that write these entries, whose records are put into a file of their own.

        Those that the store does not take go to `refused`.
        """
        steps: dict[str, Write] = {}
        records: list[MemoryRecord] = []
        for entry in put:
            old, dead = (_known(records, entry.key.id) for records in (view.records, view.dead))
            key = dead.key if dead else Key(self._collection, id_of(entry.key.id))
            like = old or MemoryRecord(key, None)
            record = replace(
                like, text=entry.text, metadata=entry.metadata, tags=entry.tags, created=entry.created,
                updated=entry.updated, embedding=None,
            )  # fmt: skip
            reason = self._refusal(record)
            if reason:
                refused[entry.key.id] = reason
                continue
            records.append(record)
            result = Result(
                record.text, record.tags, record.created, record.updated, record.uri, record.metadata,
                self._vector_rule(old, record),
            )  # fmt: skip
            before = record_hash(there) if (there := old or dead) else None
            steps[entry.key.id] = Write(Ref.of(record), record.key, before, result, reason=SERVED)
        with open_store(source, must_exist=False) as lines:
            lines.write(Changes(put=tuple(Put(record, None) for record in records)), Progress())
            hashes = {record.key: Ref.of(record) for record in lines.fetch(record.key for record in records)}
        return {name: replace(step, record=hashes[step.key]) for name, step in steps.items()}

    def _refusal(self, record: MemoryRecord) -> str | None:
        fitted, losses = self._store.fit(record)
        if fitted.text != record.text:
            return f"The store would lose {', '.join(losses)}."
        if fitted.tags != tuple(filter(None, record.tags)):
            return f"The store would write its tags in another way: {', '.join(fitted.tags)}."
        if said := misread(record, fitted):
            return f"The store would no longer take it for a live memory: it says {min(said)!r}."
        return self._store.refusal(fitted)

    def _vector_rule(self, old: MemoryRecord | None, new: MemoryRecord) -> VectorRule:
        capabilities = self._store.capabilities
        if old and old.text == new.text:
            return VectorRule.KEEP
        wanted = capabilities.vectors and (capabilities.searched or not capabilities.null_vector)
        return VectorRule.EMBED if wanted and new.text else VectorRule.SOURCE

    def _now(self) -> _View:
        """The store as it is; read anew when its files have changed."""
        with self._lock:
            view = self._view
            if view and time.monotonic() - self._looked < TRUSTED_SECONDS:
                return view
            with open_store(self._store.address) as store:
                stats = file_stats(store)
                if view is None or not stats or stats != view.stats:
                    view = self._read(store, stats)
            self._view, self._looked = view, time.monotonic()
            return view

    def _read(self, store: Store, stats: list[tuple[Path, int, int]]) -> _View:
        found = [record for batch in store.scan(self._collection, vectors=False) for record in batch]
        alive, dead = (
            {entry_name(record.key.id): record for record in found if (record.state in DEAD) is gone}
            for gone in (False, True)
        )
        return _View(stats, alive, dead)

    def _shown(self, name: str, record: MemoryRecord) -> MemoryRecord:
        """A memory as an entry of this name: without what the store itself writes into metadata."""
        metadata = codec.meant(record.metadata, self._store.capabilities)
        if self._store.capabilities.tags_in_metadata and not _MADE.isdisjoint(metadata):
            own = {name: value for name, value in metadata.items() if name not in _MADE}
            again = self._store.fit(replace(record, metadata=own))[0].metadata
            metadata = {key: value for key, value in metadata.items() if key in own or again.get(key) != value}
        return fit(replace(record, metadata=metadata))[0].with_key(Key(record.key.collection, name))


def _known(records: Mapping[str, MemoryRecord], name: str) -> MemoryRecord | None:
    """The memory that is listed under this name, or under the one that its id makes."""
    return records.get(name) or records.get(entry_name(id_of(name)))


def _makes_vector(step: Write) -> bool:
    return step.result is not None and step.result.vector is VectorRule.EMBED
