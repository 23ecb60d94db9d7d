"""JSON lines: the portable file, one memory a line, that anything can read and write."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from memdefrag.base.errors import CollectionNotFound, NotPermitted, StoreChanged, UnsupportedFormat
from memdefrag.base.fsops import PRIVATE_FILE, fault_point, replacing
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, touched
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Metadata, State
from memdefrag.stores.base import Store
from memdefrag.stores.jsonl_lines import (
    DEFAULT_COLLECTION,
    HEADER,
    Line,
    changed_line,
    new_line,
    read_lines,
)

SUFFIXES = (".jsonl", ".ndjson")
FORMAT = 1
_FAULTS_TOLD = 100


class JsonLines(Store):
    """A JSON lines file; its lines may name several collections."""

    kind: ClassVar[str] = "jsonl"

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        if not path.is_file():
            return None
        with path.open("rb") as handle:
            looks_like_json = handle.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
        if looks_like_json:
            first = next(read_lines(path), None)
            if first is not None and (first.header or first.record is not None):
                return path
        return path if path.suffix.lower() in SUFFIXES else None

    @property
    def format(self) -> str:
        return "JSON lines"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(Commit.FILE, extras=True, raw_bytes=True)

    def collections(self) -> list[CollectionInfo]:
        counts: dict[str, _Count] = {}
        header: Metadata = {}
        bad = 0
        for line in self._lines():
            if line.header:
                header = line.fields or {}
            elif line.record is None:
                bad += 1
            else:
                counts.setdefault(line.record.key.collection, _Count()).add(line.record)
        if bad and not counts and not header:
            raise UnsupportedFormat(f"No line of {self.address.location} is a JSON object with a text.")
        described = {info.name: info for info in _described(header)}
        names = dict.fromkeys([*described, *counts])
        return [counts.get(name, _Count()).info(described.get(name) or _bare(name)) for name in names]

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        found: list[MemoryRecord] = []
        known = False
        for line in self._lines():
            if line.header:
                known = any(info.name == collection for info in _described(line.fields or {}))
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
        with replacing(path) as scratch:
            fault_point(f"write {path.name}")
            mode = path.stat().st_mode & 0o777 if self.exists else PRIVATE_FILE
            with open(os.open(scratch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "wb") as out:
                _Rewrite(changes, out, progress).run(self._lines() if self.exists else iter(()))

    def _lines(self) -> Iterator[Line]:
        try:
            yield from read_lines(self.address.path)
        except PermissionError as error:
            raise NotPermitted(f"{self.address.path} may not be read: {error.strerror}.") from error


@dataclass
class _Count:
    """Counts the records of one collection."""

    count: int = 0
    live: int = 0
    sizes: Counter[int] = field(default_factory=Counter)

    def add(self, record: MemoryRecord) -> None:
        self.count += 1
        self.live += record.state in (State.LIVE, State.CHUNK)
        if record.embedding is not None:
            self.sizes[len(record.embedding)] += 1

    def info(self, described: CollectionInfo) -> CollectionInfo:
        dimension = self.sizes.most_common(1)[0][0] if self.sizes else described.dimension
        return CollectionInfo(
            described.name,
            self.count,
            self.live,
            self.sizes.total(),
            dimension,
            described.metric,
            described.model,
            described.settings,
        )


class _Rewrite:
    """One pass over the old lines that writes the new ones."""

    def __init__(self, changes: Changes, out: BinaryIO, progress: Progress) -> None:
        self.changes, self.out, self.progress = changes, out, progress
        self.puts: dict[Key, Put] = {put.record.key: put for put in changes.put}
        self.deletes = {ref.key: ref.hash for ref in changes.delete}
        self.unseen = set(touched(changes))
        self.default = DEFAULT_COLLECTION

    def run(self, lines: Iterator[Line]) -> None:
        first = next(lines, None)
        added = self.changes.collections
        old = (first.fields or {}) if first is not None and first.header else {}
        if first is None and added:
            self.default = added[0].name
        self.default = str(old.get("collection") or self.default)
        if added:
            self._write(_header(old, self.default, added))
        for line in chain([first] if first is not None else [], lines):
            if not (line.header and added):
                self._pass(line)
        for put in self.changes.put:
            if put.before is None and put.record.key in self.unseen:
                self._write(new_line(put.record, self.default))
                self._done(put.record.key)
        if self.unseen:
            raise StoreChanged(f"The memory {min(self.unseen)} is no longer there.")

    def _pass(self, line: Line) -> None:
        """Write a line as it is, changed, or not at all."""
        record = line.record
        if record is None or (record.key not in self.unseen and not line.renamed):
            self._write(line.raw)
            return
        put = self.puts.get(record.key, Put(record, record_hash(record)))
        expected = self.deletes.get(record.key, put.before)
        if record_hash(record) != expected:
            raise StoreChanged(f"The memory {record.key} was changed meanwhile.")
        if record.key not in self.deletes:
            self._write(changed_line(line, put.record, self.default))
        self._done(record.key)

    def _write(self, raw: bytes) -> None:
        self.out.write(raw if raw.endswith(b"\n") else raw + b"\n")

    def _done(self, key: Key) -> None:
        if key in self.unseen:
            self.unseen.remove(key)
            self.progress.step()


def _described(header: Metadata) -> list[CollectionInfo]:
    """The collections that a header describes, its own first."""
    listed = header.get("collections")
    entries = [header, *(listed if isinstance(listed, list) else [])]
    infos = []
    for entry in entries:
        name = entry.get("name", entry.get("collection")) if isinstance(entry, dict) else None
        if isinstance(name, str):
            settings = entry.get("settings")
            infos.append(
                CollectionInfo(
                    name,
                    0,
                    0,
                    0,
                    metric=str(entry.get("metric", "cosine")),
                    model=entry.get("model"),
                    settings=settings if isinstance(settings, dict) else {},
                )
            )
    return infos


def _header(old: Metadata, default: str, added: tuple[CollectionInfo, ...]) -> bytes:
    """The first line, with these collections described too."""
    header: dict[str, Any] = {HEADER: FORMAT, "collection": default, **old}
    for info in added:
        entry = {"metric": info.metric, "model": info.model, "settings": dict(info.settings)}
        if info.name == default:
            header.update(entry)
        else:
            header["collections"] = [*header.get("collections", []), {"name": info.name, **entry}]
    return json.dumps(header, ensure_ascii=False).encode() + b"\n"


def _bare(name: str) -> CollectionInfo:
    return CollectionInfo(name, 0, 0, 0)
