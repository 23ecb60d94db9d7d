"""JSON files that other memory systems export: read whole, never written. Each class tells what a system's mean."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from memdefrag.base import foreign_json
from memdefrag.base.errors import CollectionNotFound, NotPermitted
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Metadata, Relation
from memdefrag.model.service_metadata import moment
from memdefrag.stores.base import Store
from memdefrag.stores.interchange import Count, counted, unique, whole

_FAULTS_TOLD = 100


@dataclass
class Content:
    """What an export holds, and what is wrong with it."""

    records: dict[Key, MemoryRecord] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, record: MemoryRecord, where: str) -> None:
        """Take a record; one whose name is taken, or cannot be written in UTF-8, gets another."""
        named = Key(whole(record.key.collection), whole(record.key.id))
        free = unique(named, self.records.keys())
        if free != record.key:
            self.faults.append(f"{where} has the id {record.key.id!r} of an earlier one (named {free.id!r} here).")
        self.records[free] = record.with_key(free)


class ForeignExport(Store):
    """An export of another system, in one or several collections."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(Commit.FILE, writable=False, relations=True, extras=True, raw_bytes=True)

    @abstractmethod
    def _read(self) -> Content:
        """Everything.

        Raises:
            UnsupportedFormat: the file is no export of that system.
        """

    def collections(self) -> list[CollectionInfo]:
        counts: dict[str, Count] = {}
        for record in self._content.records.values():
            counts.setdefault(record.key.collection, Count()).add(record)
        return counted((), counts)

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        records = [record for record in self._content.records.values() if record.key.collection == collection]
        if not records:
            raise CollectionNotFound(f"There is no collection {collection!r} in {self.address.location}.")
        for start in range(0, len(records), batch):
            yield records[start : start + batch]

    def relations(self) -> Iterator[Relation]:
        yield from self._content.relations

    def raw_files(self) -> list[Path]:
        return [self.address.path.absolute()]

    def problems(self) -> list[str]:
        faults = self._content.faults
        more = len(faults) - _FAULTS_TOLD
        return faults if more <= 0 else [*faults[:_FAULTS_TOLD], f"{more} more faults."]

    def write(self, changes: Changes, progress: Progress) -> None:
        raise NotPermitted(f"A {self.format} can only be read.")

    @cached_property
    def _content(self) -> Content:
        try:
            return self._read()
        except PermissionError as error:
            raise NotPermitted(f"{self.address.path} may not be read: {error.strerror}.") from error


def json_lines(path: Path) -> Iterator[tuple[int, Metadata | None]]:
    """The JSON objects of the lines that are not blank, by line number from 1; None: a line that is none."""
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            if raw.strip(b" \t\r\n\xef\xbb\xbf"):
                yield number, _object(raw)


def first_object(path: Path) -> Metadata | None:
    """The first JSON object among the first lines, if the file looks like lines of JSON at all."""
    with path.open("rb") as file:
        if file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
            return None
    for number, fields in json_lines(path):
        if fields is not None or number > 20:
            return fields
    return None


def decoded(raw: bytes) -> Any:
    """The value of JSON, whose strings may hold bytes that are not UTF-8 (surrogate escapes).

    Raises:
        ValueError: it is none.
    """
    return foreign_json.parse(raw.decode("utf-8-sig", "surrogateescape"))


def strings(value: Any) -> tuple[str, ...]:
    """The strings of a list; none of anything else."""
    return tuple(each for each in value if isinstance(each, str) and each) if isinstance(value, list) else ()


def time_of(fields: Metadata, *names: str) -> float | None:
    """The first of these fields that tells a moment."""
    return next((seconds for name in names if (seconds := moment(fields.get(name))) is not None), None)


def _object(raw: bytes) -> Metadata | None:
    try:
        value = decoded(raw)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
