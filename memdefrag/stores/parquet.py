"""Parquet: the portable file of data tools, one memory a row, streamed both ways.

The columns are told by `stores.parquet_rows`. The header of `stores.interchange` stands as JSON under the key
``memdefrag`` of the file's metadata; its list `relations` holds the links that start from no memory of the file. A file
of another program is only read (`stores.parquet_foreign`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from memdefrag.base import foreign_json
from memdefrag.base.errors import CollectionNotFound, NotPermitted, StoreChanged, StoreDamaged
from memdefrag.base.fsops import written_anew
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.base.wording import count
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, touched
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Metadata, Relation
from memdefrag.stores.base import Store
from memdefrag.stores.interchange import (
    DEFAULT_COLLECTION,
    FORMAT,
    HEADER,
    Count,
    LinkChanges,
    counted,
    described,
    header,
    require_known,
    unique,
    whole,
)
from memdefrag.stores.jsonl_links import LINK, LINKS, apart, link
from memdefrag.stores.parquet_columns import MAGIC, ROWS, library, opened, rows
from memdefrag.stores.parquet_foreign import Layout
from memdefrag.stores.parquet_rows import EMBEDDING, Row, parsed, schema, table

_FAULTS_TOLD = 100
_GROUP_BYTES = 64 << 20
"""Of texts in one row group, at least."""
_OWN = frozenset({"id", "collection", "text", "metadata", "state"})
"""Columns by which a file is known as ours whose header another program left out."""


class Parquet(Store):
    """A Parquet file, whose rows may name several collections."""

    kind: ClassVar[str] = "parquet"

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        if not path.is_file() or path.stat().st_size < 2 * len(MAGIC):
            return None
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
            file.seek(-len(MAGIC), os.SEEK_END)
            return path if head == file.read() == MAGIC else None

    @property
    def format(self) -> str:
        return "Parquet"

    @property
    def capabilities(self) -> Capabilities:
        writable = not self.exists or self._layout() is None
        return Capabilities(
            Commit.FILE, writable, relations=True, writes_relations=writable, loose_relations=True,
            extras=True, raw_bytes=True,
        )  # fmt: skip

    def collections(self) -> list[CollectionInfo]:
        counts: dict[str, Count] = {}
        for row in self._rows():
            counts.setdefault(row.record.key.collection, Count()).add(row.record)
        return counted(described(self._header()), counts)

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        known = any(info.name == collection for info in described(self._header()))
        found: list[MemoryRecord] = []
        for row in self._rows(vectors=vectors):
            if row.record.key.collection == collection:
                known = True
                found.append(row.record)
                if len(found) == batch:
                    yield found
                    found = []
        if not known:
            raise CollectionNotFound(f"There is no collection {collection!r} in {self.address.location}.")
        if found:
            yield found

    def relations(self) -> Iterator[Relation]:
        for row in self._rows(vectors=False):
            yield from row.links
        yield from _apart(self._header())

    def raw_files(self) -> list[Path]:
        return [self.address.path.absolute()]

    def problems(self) -> list[str]:
        told = [f"Row {n} has {fault}." for n, row in enumerate(self._rows(vectors=False), 1) for fault in row.faults]
        more = len(told) - _FAULTS_TOLD
        return told if more <= 0 else [*told[:_FAULTS_TOLD], f"{count(more, 'more fault', 'more faults')}."]

    def write(self, changes: Changes, progress: Progress) -> None:
        """Write the file anew."""
        progress.phase("Writing", len(changes.put) + len(changes.delete))
        path = self.address.path
        if not self.capabilities.writable:
            raise NotPermitted(f"{path} was made by another program and can only be read.")
        with written_anew(path) as out:
            self._write(changes, out, progress)

    def _write(self, changes: Changes, out: BinaryIO, progress: Progress) -> None:
        told = self._header() if self.exists else {}
        links = LinkChanges(changes)
        rewrite = _Rewrite(changes, links, progress)
        with library().parquet.ParquetWriter(out, schema(), compression="zstd") as writer:
            for group in _groups(rewrite.rows(self._rows() if self.exists else ())):
                writer.write_table(table(group))
            kept = [relation for relation in _apart(told) if not links.leaves(relation)]
            if changes.collections:
                told = header(told, str(told.get("collection") or changes.collections[0].name), changes.collections)
            told[LINKS] = [apart(relation)[LINK] for relation in (*kept, *rewrite.orphans, *links.left())]
            writer.add_key_value_metadata({HEADER: json.dumps({HEADER: FORMAT, **told})})

    def _header(self) -> Metadata:
        """The file's header; an empty one where it has none.

        Raises:
            UnsupportedFormat: of a newer version.
            StoreDamaged: it is no JSON object.
        """
        with opened(self.address.path) as file:
            return _header(file, self.address.path)

    def _layout(self) -> Layout | None:
        """How another program's file is to be read; None: it is ours."""
        with opened(self.address.path) as file:
            return _layout(file, self.address.path)

    def _rows(self, *, vectors: bool = True) -> Iterator[Row]:
        """Every row, each under a name of its own."""
        seen: set[Key] = set()
        with opened(self.address.path) as file:
            layout = _layout(file, self.address.path)
            default = str(_header(file, self.address.path).get("collection") or DEFAULT_COLLECTION)
            names = file.schema_arrow.names
            vector = layout.vector if layout else EMBEDDING
            wanted = [name for name in names if name != vector]
            for fields, embedding in rows(file, wanted, vector if vectors and vector in names else None):
                row = layout.row(fields, embedding) if layout else parsed(fields, embedding, default)
                yield _named(row, seen)


class _Rewrite:
    """The memories that a file holds after the changes, each with its links."""

    def __init__(self, changes: Changes, links: LinkChanges, progress: Progress) -> None:
        self.changes, self.links, self.progress = changes, links, progress
        self.orphans: list[Relation] = []

    def rows(self, old: Iterable[Row]) -> Iterator[tuple[MemoryRecord, list[Relation]]]:
        """All of them, the new ones last.

        Raises:
            StoreChanged: a record is not what the changes say.
        """
        puts = {put.record.key: put for put in self.changes.put}
        deletes = {ref.key: ref.hash for ref in self.changes.delete}
        unseen = set(touched(self.changes))
        for record, told, _ in old:
            made = self.links.starting_at(record.key)
            links = [relation for relation in told if self.links.stays(relation, made)] + list(made.values())
            if record.key not in unseen:
                yield record, links
                continue
            put = puts.get(record.key)
            if record_hash(record) != deletes.get(record.key, put.before if put else None):
                raise StoreChanged(f"The memory {record.key} was changed meanwhile.")
            if put is None:
                self.orphans += links
            else:
                yield put.record, links
            unseen.remove(record.key)
            self.progress.step()
        for put in self.changes.put:
            if put.before is None and put.record.key in unseen:
                yield put.record, list(self.links.starting_at(put.record.key).values())
                unseen.remove(put.record.key)
                self.progress.step()
        if unseen:
            raise StoreChanged(f"The memory {min(unseen)} is no longer there.")


def _header(file: Any, path: Path) -> Metadata:
    raw = (file.metadata.metadata or {}).get(HEADER.encode())
    try:
        told = {} if raw is None else foreign_json.parse(raw)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise StoreDamaged(f"The header of {path} is no JSON object.")
    require_known(told, path)
    return told


def _layout(file: Any, path: Path) -> Layout | None:
    columns = file.schema_arrow
    ours = _header(file, path) or set(columns.names) >= _OWN
    return None if ours else Layout.of(columns, path)


def _apart(header: Metadata) -> Iterator[Relation]:
    """The links that a header holds."""
    told = header.get(LINKS)
    for each in told if isinstance(told, list) else ():
        relation = link(each, DEFAULT_COLLECTION)
        if relation is not None:
            yield relation


def _named(row: Row, seen: set[Key]) -> Row:
    """The row under a name that UTF-8 can write and no earlier row has."""
    key = Key(whole(row.record.key.collection), whole(row.record.key.id))
    free = unique(key, seen)
    seen.add(free)
    if free == row.record.key:
        return row
    fault = f"the id {key.id!r} a second time" if free != key else "an id or collection that is not UTF-8"
    links = tuple(replace(relation, source=free) for relation in row.links)
    return Row(row.record.with_key(free), links, (*row.faults, f"{fault} (named {free.id!r} here)"))


def _groups(
    found: Iterable[tuple[MemoryRecord, list[Relation]]],
) -> Iterator[list[tuple[MemoryRecord, list[Relation]]]]:
    """Row groups: so many rows, or fewer long ones."""
    group: list[tuple[MemoryRecord, list[Relation]]] = []
    size = 0
    for record, links in found:
        group.append((record, links))
        size += len(record.text or "")
        if len(group) == ROWS or size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
