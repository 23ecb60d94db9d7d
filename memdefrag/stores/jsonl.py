"""JSON lines: the portable file, one memory a line, that anything can read and write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from memdefrag.base.errors import CollectionNotFound, NotPermitted, StoreDamaged, UnsupportedFormat
from memdefrag.base.fsops import written_anew
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, MemoryRecord, Metadata, Relation
from memdefrag.stores.base import Store
from memdefrag.stores.interchange import Count, counted, described, require_known
from memdefrag.stores.jsonl_file import is_compressed
from memdefrag.stores.jsonl_lines import Line, read_lines
from memdefrag.stores.jsonl_rewrite import Rewrite

SUFFIXES = (".jsonl", ".ndjson")
_FAULTS_TOLD = 100


class JsonLines(Store):
    """A JSON lines file; its lines may name several collections. A compressed one is only read."""

    kind: ClassVar[str] = "jsonl"

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        if not path.is_file():
            return None
        with path.open("rb") as handle:
            looks_like_json = handle.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
        if looks_like_json or is_compressed(path):
            try:
                first = next(read_lines(path), None)
            except StoreDamaged:
                first = None
            if first is not None and (first.header or first.record is not None or first.links):
                return path
        return path if path.suffix.lower() in SUFFIXES else None

    @property
    def format(self) -> str:
        return "JSON lines"

    @property
    def capabilities(self) -> Capabilities:
        writable = not self._compressed
        return Capabilities(
            Commit.FILE, writable, relations=True, writes_relations=writable, loose_relations=True,
            extras=True, raw_bytes=True,
        )  # fmt: skip

    def collections(self) -> list[CollectionInfo]:
        counts: dict[str, Count] = {}
        header: Metadata = {}
        bad = 0
        for line in self._lines():
            if line.header:
                header = line.fields or {}
            elif line.record is None:
                bad += not line.links
            else:
                counts.setdefault(line.record.key.collection, Count()).add(line.record)
        if bad and not counts and not header:
            raise UnsupportedFormat(f"No line of {self.address.location} is a JSON object with a text.")
        return counted(described(header), counts)

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        found: list[MemoryRecord] = []
        known = False
        for line in self._lines():
            if line.header:
                known = any(info.name == collection for info in described(line.fields or {}))
            elif line.record is not None and line.record.key.collection == collection:
                known = True
                found.append(line.record if vectors else replace(line.record, embedding=None))
                if len(found) == batch:
                    yield found
                    found = []
        if not known:
            raise CollectionNotFound(f"There is no collection {collection!r} in {self.address.location}.")
        if found:
            yield found

    def relations(self) -> Iterator[Relation]:
        for line in self._lines():
            yield from line.links

    def raw_files(self) -> list[Path]:
        return [self.address.path.absolute()]

    def problems(self) -> list[str]:
        told = [f"Line {line.number} has {fault}." for line in self._lines() for fault in line.faults]
        more = len(told) - _FAULTS_TOLD
        return told if more <= 0 else [*told[:_FAULTS_TOLD], f"{more} more lines have faults."]

    def write(self, changes: Changes, progress: Progress) -> None:
        """Write the file anew; lines that are not named, bad ones among them, keep every byte."""
        progress.phase("Writing", len(changes.put) + len(changes.delete))
        path = self.address.path
        if not self.capabilities.writable:
            raise NotPermitted(f"{path} is compressed and can only be read.")
        with written_anew(path) as out:
            Rewrite(changes, out, progress).run(self._lines() if self.exists else iter(()))

    @cached_property
    def _compressed(self) -> bool:
        with suppress(OSError):  # What cannot be opened is told where it is read.
            return is_compressed(self.address.path)
        return False

    def _lines(self) -> Iterator[Line]:
        try:
            for line in read_lines(self.address.path):
                if line.header:
                    require_known(line.fields or {}, self.address.path)
                yield line
        except PermissionError as error:
            raise NotPermitted(f"{self.address.path} may not be read: {error.strerror}.") from error
