"""The SQLite file that Memory Defragmenter's export script writes and its import script reads.

One table ``memories(id TEXT PRIMARY KEY, content TEXT NOT NULL, embedding TEXT, metadata TEXT, timestamp REAL,
content_hash TEXT)``: `embedding` is a JSON array (``[]``: none), `metadata` a JSON object without the keys that
live in columns, `timestamp` seconds since 1970 (0: unknown). The app keeps originals in ``memory_archive``.
Here the two columns are part of a record's metadata, so that Memory Service's rules hold for it as everywhere.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from memdefrag.base.errors import CollectionNotFound, UnsupportedFormat
from memdefrag.base.fsops import fault_point
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, State
from memdefrag.model.service_metadata import in_columns, read
from memdefrag.stores import memory_export_rows as rows
from memdefrag.stores.base import Sizes, Store
from memdefrag.stores.foreign_sqlite import is_utf8
from memdefrag.stores.memory_export_rows import ARCHIVE
from memdefrag.stores.memory_export_table import TABLES, Table, find_table, given, lacking
from memdefrag.stores.sqlite_safe import MAGIC, check, open_readonly, open_staged, pending

_SCHEMA = (
    "CREATE TABLE memories (id TEXT PRIMARY KEY, content TEXT NOT NULL, embedding TEXT, metadata TEXT, "
    "timestamp REAL, content_hash TEXT)",
    "CREATE INDEX idx_memories_timestamp ON memories(timestamp)",
    "CREATE INDEX idx_memories_content_hash ON memories(content_hash)",
)
_COMPACT_BYTES_PER_SECOND = 50e6


class MemoryExport(Store):
    """A Memory Defragmenter export. Its one collection is called like its table."""

    kind: ClassVar[str] = "memory-export"
    collection_name: ClassVar[str] = TABLES[0]
    """The collection of a new export; the file has no place for another name."""

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        if not path.is_file() or not _is_sqlite(path):
            return None
        with open_readonly(path) as connection:
            return path if find_table(connection) else None

    @property
    def format(self) -> str:
        return "Memory Defragmenter export"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            Commit.SQLITE,
            writable=not self.obstacle,
            tags_in_metadata=True,
            null_text=False,
            uri=False,
            archive=True,
            raw_bytes=self._about.utf8,
        )

    @property
    def obstacle(self) -> str:
        return self._about.obstacle

    def fit(self, record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        """As every store, and: times and hash as the columns hold them, extras where there is a column."""
        kept = {name: value for name, value in record.extras.items() if name in self._places}
        kept = given(kept, self._required)
        rest = {name: value for name, value in record.extras.items() if name not in kept}
        text = None if record.text is None else rows.storable(record.text)
        fitted, losses = super().fit(replace(record, text=text, extras=rest))
        if text != record.text:
            losses = ("half characters (replaced by question marks)", *losses)
        metadata = in_columns(fitted.metadata, record.key.id)
        if (hash := rows.storable(metadata["content_hash"])) != metadata["content_hash"]:
            metadata["content_hash"] = hash
            losses = (*losses, "half characters in the content hash (replaced by question marks)")
        if "metadata" in kept and metadata.keys() - {"timestamp", "content_hash"}:
            del kept["metadata"]
            losses = (*losses, "metadata that is not JSON")
        return replace(fitted, metadata=metadata, extras=kept), losses

    def refusal(self, record: MemoryRecord) -> str | None:
        """Why a record cannot be taken: a column that is not the format's wants a value for it."""
        return lacking(record.extras, self._required)

    def collections(self) -> list[CollectionInfo]:
        with self._reading() as (connection, table):
            count, embedded = connection.execute(
                f"SELECT count(*), count(CASE WHEN length(embedding) > 2 THEN 1 END) FROM {table.sql}"
            ).fetchone()
            hidden = connection.execute(
                f"SELECT metadata FROM {table.sql} "
                "WHERE metadata LIKE '%\"superseded\\_by\"%' ESCAPE '\\' "
                "OR metadata LIKE '%\"deleted\\_at\"%' ESCAPE '\\'"
            )
            dead = sum(
                read(rows.read_metadata(raw)[0] or {}).state in (State.DELETED, State.SUPERSEDED) for (raw,) in hidden
            )
            sample = connection.execute(f"SELECT embedding FROM {table.sql} WHERE length(embedding) > 2 LIMIT 100")
            sizes = Counter(len(vector) for (raw,) in sample if (vector := rows.read_vector(raw)[0]) is not None)
        dimension = sizes.most_common(1)[0][0] if sizes else None
        return [CollectionInfo(table.name, count, count - dead, embedded, dimension)]

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        with self._reading() as (connection, table):
            _require_collection(collection, table)
            seen: set[str] = set()
            for found in rows.scan(connection, table, batch, vectors=vectors):
                yield [rows.read_record(row, table, seen)[0] for row in found]

    def fetch(self, keys: Iterable[Key]) -> list[MemoryRecord]:
        wanted = list(keys)
        with self._reading() as (connection, table):
            rowids = rows.rowids(connection, table)
            named = [(key, rowids.get(key.id)) for key in wanted if key.collection == table.name]
            return [rows.one(connection, table, key, rowid) for key, rowid in named if rowid is not None]

    def archived(self) -> frozenset[str]:
        with open_readonly(self.address.path) as connection:
            return frozenset(rows.archived_ids(connection))

    def raw_files(self) -> list[Path]:
        path = self.address.path.absolute()
        return sorted([path, *pending(path)])

    def problems(self) -> list[str]:
        found: dict[str, list[str]] = {}
        sizes: dict[int, list[str]] = {}
        with self._reading() as (connection, table):
            damage = [f"SQLite finds damage: {line}." for line in check(connection)]
            seen: set[str] = set()
            for row in chain.from_iterable(rows.scan(connection, table, BATCH_RECORDS)):
                record, faults = rows.read_record(row, table, seen)
                for fault in faults:
                    found.setdefault(fault, []).append(record.key.id)
                if record.embedding is not None:
                    sizes.setdefault(len(record.embedding), []).append(record.key.id)
        damage += [f"It is only read: {self.obstacle}."] if self.obstacle else []
        for size in sorted(sizes, key=lambda size: len(sizes[size]))[:-1]:
            found[f"a vector of {size} dimensions, unlike most"] = sizes[size]
        return damage + [f"{_memories(ids)} with {fault}, the first is {ids[0]!r}." for fault, ids in found.items()]

    def sizes(self, removed: Mapping[str, int]) -> Sizes:
        """What a merge removes goes into the file's archive, beside what the survivor said: the file grows."""
        now = super().sizes(removed).now
        with open_readonly(self.address.path) as connection:
            [pages] = connection.execute("PRAGMA freelist_count").fetchone()
            [page] = connection.execute("PRAGMA page_size").fetchone()
        free = pages * page
        count = sum(info.count for info in self.collections())
        archived = int((now - free) * min(1.0, sum(removed.values()) / max(1, count)))
        return Sizes(now, now + max(0, archived - free), now - free + archived, now / _COMPACT_BYTES_PER_SECOND)

    def write(self, changes: Changes, progress: Progress) -> None:
        """Carry out the changes in one transaction; rows that are not named keep every byte."""
        archived = len(changes.archive) + len(changes.unarchive)
        progress.phase("Writing", len(changes.put) + len(changes.delete) + archived)
        with self._writing() as (connection, table):
            put_into = {put.record.key.collection for put in changes.put}
            for name in put_into.union(info.name for info in changes.collections):
                _require_collection(name, table)
            rowids = rows.rowids(connection, table)
            for ref in changes.delete:
                rowid, _ = rows.guarded(connection, table, rowids, ref.key, ref.hash)
                rows.delete(connection, table, rowid)
                del rowids[ref.key.id]
                progress.step()
            for put in changes.put:
                rows.put(connection, table, rowids, put)
                progress.step()
            if changes.unarchive:
                rows.unarchive(connection, changes.unarchive, progress)
            if changes.archive:
                rows.archive(connection, changes.archive, progress)
            fault_point("commit rows")

    def rebuild(self, progress: Progress) -> None:
        """Give the space of deleted rows back."""
        progress.phase("Compacting")
        with open_staged(self.address.path) as connection:
            fault_point("vacuum")
            connection.execute("VACUUM")

    @property
    def _places(self) -> frozenset[str]:
        """The extras this file has a place for."""
        return frozenset({*self._about.table.extras, "metadata"}) if self._about.table else frozenset()

    @property
    def _required(self) -> Mapping[str, Any]:
        return self._about.table.required if self._about.table else {}

    @cached_property
    def _about(self) -> _About:
        """What a write has to know of the file."""
        if not self.exists:
            return _About()
        with self._reading() as (connection, table):
            return _About(table, is_utf8(connection), _trigger(connection, table))

    @contextmanager
    def _reading(self) -> Iterator[tuple[sqlite3.Connection, Table]]:
        with open_readonly(self.address.path) as connection:
            yield connection, self._table(connection)

    @contextmanager
    def _writing(self) -> Iterator[tuple[sqlite3.Connection, Table]]:
        """One transaction on the staged file, which is made where it does not exist."""
        new = not self.exists
        with open_staged(self.address.path, create=True) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for statement in _SCHEMA if new else ():
                    connection.execute(statement)
                table = self._table(connection)
                self._refuse_triggers(connection, table)
                self.__dict__.pop("_about", None)
                yield connection, table
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _table(self, connection: sqlite3.Connection) -> Table:
        table = find_table(connection)
        if table is None:
            raise UnsupportedFormat(
                f"{self.address.location} has no table of memories as Memory Defragmenter exports them."
            )
        return table

    def _refuse_triggers(self, connection: sqlite3.Connection, table: Table) -> None:
        if found := _trigger(connection, table):
            raise UnsupportedFormat(
                f"{self.address.location} cannot be written: {found}.",
                todo="Export the memories again, or remove the trigger.",
            )


@dataclass(frozen=True, slots=True)
class _About:
    """What a write has to know of a file: its table, whether its texts can hold any bytes, what forbids to write."""

    table: Table | None = None
    utf8: bool = True
    obstacle: str = ""


def _trigger(connection: sqlite3.Connection, table: Table) -> str:
    """What is wrong where a trigger would act on what is written; empty where none would."""
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) IN (?, ?)",
        (table.name.lower(), ARCHIVE),
    ).fetchone()
    return f"it has a trigger ({found[0]}) that would act on every write" if found else ""


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(len(MAGIC)) == MAGIC


def _require_collection(name: str, table: Table) -> None:
    if name != table.name:
        raise CollectionNotFound(
            f"There is no collection {name!r}: an export holds just {table.name!r}.",
            todo=f"Name {table.name!r}, or no collection.",
        )


def _memories(ids: list[str]) -> str:
    return "1 memory" if len(ids) == 1 else f"{len(ids)} memories"
