"""What both kinds of hdev store share: what an entry means, and how a batch of changes is written."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import isfinite
from typing import ClassVar, TypeVar

from memdefrag.base.errors import CollectionNotFound, StoreChanged, UsageError
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model import codec
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, touched
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Metadata, State
from memdefrag.model.service_metadata import moment, read
from memdefrag.model.terms import in_columns
from memdefrag.stores.base import Store
from memdefrag.stores.hdev import names
from memdefrag.stores.hdev.keys import entry_name

COLLECTION = "memories"
CAPABILITIES = Capabilities(Commit.IN_PLACE, null_text=False, vectors=False, uri=False)
GLOBAL, GLOBAL_TEXT = "global", "Global memory storage for critical information"
"""The entry that hdev makes whenever it opens a store that lacks it, and what it says."""
ALWAYS = ("created", "updated", "version")
"""Metadata that hdev gives to every entry."""
AT_ONCE = 8
"""Requests or writes that are under way together."""
_PROBLEMS_TOLD = 100
_SAME_TIME_IS_ODD = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """What stands under one name: a record, a reason why it must not be written, both, or (neither) nothing."""

    record: MemoryRecord | None = None
    fault: str | None = None


NOTHING = Found()


class HdevStore(Store):
    """Entries by path, each a text and a JSON object; no vectors."""

    collection_name: ClassVar[str] = COLLECTION
    _faulty: list[tuple[str, str]] | None = None
    most_at_once: ClassVar[int] = BATCH_RECORDS
    """Entries that are read between two reports of progress."""
    hides: ClassVar[bool] = False
    """Whether a folder makes an entry of its name unreachable."""

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    @abstractmethod
    def _listed(self) -> list[str]:
        """The names of all entries, sorted, readable or not."""

    @abstractmethod
    def _look(self, entries: Sequence[str]) -> dict[str, Found]:
        """What stands under each of these sound names now."""

    def _look_for(self, entries: Sequence[str]) -> dict[str, Found]:
        """As `_look`, for names of which many may not be there."""
        return self._look(entries)

    @abstractmethod
    def _other_problems(self) -> list[str]:
        """What is wrong beside entries that cannot be read."""

    @abstractmethod
    def _require_room(self, entries: Sequence[str]) -> None:
        """Insist that new entries would hide nothing.

        Raises:
            UsageError: one would.
        """

    @abstractmethod
    def _put(self, record: MemoryRecord, present: MemoryRecord | None) -> None:
        """Write one entry over what is `present`."""

    @abstractmethod
    def _delete(self, entry: str) -> None:
        """Remove one entry that is there."""

    def collections(self) -> list[CollectionInfo]:
        count = len(self._listed())
        return [CollectionInfo(COLLECTION, count, count, 0)]

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        if collection != COLLECTION:
            raise CollectionNotFound(f"There is no collection {collection!r} in {self.address.location}.")
        listed, size = self._listed(), min(batch, self.most_at_once)
        self._faulty = []
        for start in range(0, len(listed), size):
            looked = self._look(listed[start : start + size])
            self._faulty += [(entry, each.fault) for entry, each in looked.items() if each.fault and not each.record]
            records = [found.record for found in looked.values() if found.record]
            if records:
                yield records

    def fetch(self, keys: Iterable[Key]) -> list[MemoryRecord]:
        asked = [key.id for key in keys if key.collection == COLLECTION and names.fault_of(key.id) is None]
        looked = self._look_for(asked)
        return [record for entry in asked if (record := looked[entry].record)]

    def fit(self, record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        return fit(record)

    def key_for(self, collection: str, record: MemoryRecord) -> Key:
        return Key(COLLECTION, entry_name(record.key.id))

    def adopted(self, record: MemoryRecord) -> MemoryRecord:
        """The record with all that other systems have columns for in its metadata."""
        return in_columns(record, ())

    def unreadable(self) -> list[tuple[Key, str]]:
        """As they were found when the entries were last read."""
        if self._faulty is None:
            list(self.scan(COLLECTION))
        return [(Key(COLLECTION, entry), fault) for entry, fault in self._faulty or ()]

    def is_placeholder(self, record: MemoryRecord) -> bool:
        untouched = record.metadata.keys() <= set(ALWAYS) and record.metadata.get("version") == 1
        return record.key.id == GLOBAL and record.text == GLOBAL_TEXT and untouched

    def problems(self) -> list[str]:
        told, times = [], set()
        listed = self._listed()
        for entry, found in self._look(listed).items():
            if found.fault:
                told.append(f"{entry!r} {found.fault}.")
            if found.record:
                times.add(found.record.created)
        if len(listed) >= _SAME_TIME_IS_ODD and len(times) == 1 and None not in times:
            told.append(
                "All memories say that they were made at the same moment: "
                "hdev notes the age of the home folder there, so their times mean nothing."
            )
        told += self._other_problems()
        more = len(told) - _PROBLEMS_TOLD
        return told if more <= 0 else [*told[:_PROBLEMS_TOLD], f"{more} more problems."]

    def write(self, changes: Changes, progress: Progress) -> None:
        """Write a batch to the live store: all that is put before anything is removed.

        Whoever calls it reads back. Progress is only asked whether to stop: the batch is counted where it is cut.

        Raises:
            StoreChanged: a record is not what the changes name; nothing was written.
            UsageError: a name that no entry may have, or that would hide another; nothing was written.
        """
        progress.check()
        present = self._checked(changes)
        self._put_all([(put.record, present[put.record.key.id].record) for put in changes.put])
        self._each(lambda ref: self._delete(ref.key.id), changes.delete)

    def _put_all(self, entries: Sequence[tuple[MemoryRecord, MemoryRecord | None]]) -> None:
        """Write each entry over what is present."""
        self._each(lambda entry: self._put(*entry), entries)

    def _each(self, work: Callable[[T], None], items: Iterable[T]) -> None:
        """Do the work for each, some at a time: disks and servers both keep one waiting. After a failure nothing more
        is begun."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                for _ in pool.map(work, items):
                    pass
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _checked(self, changes: Changes) -> Mapping[str, Found]:
        """What stands under the names that the changes touch, all of it as they expect."""
        for key in touched(changes):
            if key.collection != COLLECTION:
                raise UsageError(f"hdev has one collection, {COLLECTION!r}; {key} would need another.")
            fault = names.fault_of(key.id)
            if fault:
                raise UsageError(f"The name {key.id!r} {fault}; hdev keeps memories under paths such as notes/door.")
        expected = {put.record.key.id: put.before for put in changes.put}
        expected.update((ref.key.id, ref.hash) for ref in changes.delete)
        present = self._look_for(list(expected))
        for entry, before in expected.items():
            _require_unchanged(entry, present[entry], before)
        new = [entry for entry, before in expected.items() if before is None]
        trouble = names.clash(new, hides=self.hides)
        if trouble:
            raise UsageError(f"{trouble}.")
        self._require_room(new)
        return present


def record_of(entry: str, text: str, metadata: Metadata) -> MemoryRecord:
    """The record of an entry.

    `created` and `updated` are what the metadata says. hdev notes a wrong time there, but a file's own time
    changes with every copy of the folder and is not to be had from a server, so that a record would change
    although nobody changed it.
    """
    created, updated = moment(metadata.get("created")), moment(metadata.get("updated"))
    tags = read({"tags": metadata.get("tags")}).tags
    return MemoryRecord(Key(COLLECTION, entry), text, metadata, tags=tags, created=created, updated=updated)


def fit(record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
    """The record as an entry will give it back: tags and times stated in the metadata. And what gets lost.

    What the metadata says already stays as it is, to the letter.
    """
    fitted, lost = codec.fit(record, CAPABILITIES)
    losses = list(lost)
    if fitted.state is not State.LIVE:
        losses.append(f"the state {fitted.state.value!r}")
    metadata = dict(fitted.metadata)
    said = record_of(fitted.key.id, "", metadata)
    tags = [tag for tag in fitted.tags if tag]
    if tuple(tags) != said.tags:
        metadata["tags"] = tags
    for name, meant, wanted in (
        ("created", said.created, fitted.created),
        ("updated", said.updated, fitted.updated),
    ):
        if wanted is not None and isfinite(wanted) and wanted != meant:
            metadata[name] = repr(float(wanted))
    entry = replace(record_of(fitted.key.id, fitted.text or "", metadata), key=fitted.key)
    return entry, tuple(losses)


def _require_unchanged(entry: str, found: Found, before: str | None) -> None:
    if found.record is not None and before is None:
        raise StoreChanged(f"The memory {entry!r} exists already.")
    if found.record is None and before is not None:
        raise StoreChanged(f"The memory {entry!r} is no longer there.")
    if found.record is not None and record_hash(found.record) != before:
        raise StoreChanged(f"The memory {entry!r} was changed meanwhile.")
    if found.fault:
        raise UsageError(f"{entry!r} {found.fault}; memdefrag leaves it alone.")
