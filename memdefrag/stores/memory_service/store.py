"""A database of mcp-memory-service as a store.

Table ``memories(id, content_hash UNIQUE, content, tags, memory_type, metadata, created_at, updated_at, …)``; versions
from 8.64 on keep deleted rows (`deleted_at`), from 10.30 on replaced ones (`superseded_by`), from 11 on name a `store`
for each. A hash stands once in the whole database, whichever the store, deleted rows included.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from memdefrag.base.errors import CollectionNotFound, NotPermitted
from memdefrag.base.fsops import fault_point
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, State
from memdefrag.model.service_metadata import hash_kept, moment
from memdefrag.model.terms import as_in_database
from memdefrag.stores.foreign_sqlite import TABLE, ForeignSqlite, select_rows
from memdefrag.stores.interchange import unique
from memdefrag.stores.memory_export_rows import storable
from memdefrag.stores.memory_export_table import given, lacking
from memdefrag.stores.memory_service import graph, library, schema, writer
from memdefrag.stores.memory_service.layout import DEFAULT, Layout, read_layout
from memdefrag.stores.memory_service.rows import placed, read_row
from memdefrag.stores.memory_service.vectors import VECTORS, Vectors
from memdefrag.stores.sqlite_safe import columns, open_staged

_NEIGHBOURS = 10
_SAME_DISTANCE = 1e-6
_NO_VECTOR = "no vector, so that the service's search does not find it"


class MemoryService(ForeignSqlite):
    """A database of mcp-memory-service. Its collections are the service's stores."""

    kind: ClassVar[str] = "memory-service"
    required: ClassVar[frozenset[str]] = frozenset({"content_hash", "content", "tags", "memory_type", "created_at"})

    @property
    def format(self) -> str:
        return "Memory Service database (sqlite_vec)"

    @property
    def capabilities(self) -> Capabilities:
        layout = self._layout
        return Capabilities(
            Commit.SQLITE,
            writable=library.is_installed() and not layout.obstacle,
            null_text=False,
            vectors=layout.dimension is not None or not self.exists,
            uri=False,
            relations=bool(layout.graph),
            writes_relations=bool(layout.graph),
            parallel_relations=False,
            loose_relations=True,
            links_of_deleted=False,
            new_collections=layout.has_stores,
            shared_metrics=schema.METRICS,
            empty_collections=False,
            content_ids=True,
            searched=True,
            soft_delete=layout.marks_deleted,
            raw_bytes=layout.utf8,
        )

    @property
    def obstacle(self) -> str:
        return self._layout.obstacle

    @property
    def needed_to_write(self) -> str | None:
        return None if library.is_installed() else library.EXTRA

    def fit(self, record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        """As every store, and: tags between commas, extras and state where there are columns, vectors of one length."""
        text = None if record.text is None else storable(record.text)
        fitted, losses = super().fit(replace(record, text=text, extras={}))
        if text != record.text:
            losses = ("half characters (replaced by question marks)", *losses)
        size, wanted = 0 if fitted.embedding is None else len(fitted.embedding), self._layout.dimension
        if size and wanted and size != wanted:
            losses = (*losses, f"a vector of {size} dimensions (those of this database have {wanted})")
            fitted = replace(fitted, embedding=None)
        extras = given(record.extras, self._layout.required)
        fitted, more = placed(replace(fitted, extras=extras), self._layout)
        return fitted, (*losses, *more)

    def fit_relation(self, relation: Relation) -> tuple[Relation | None, tuple[str, ...]]:
        return graph.fit_relation(relation, self._layout)

    def key_for(self, collection: str, record: MemoryRecord) -> Key:
        """A hash as the service makes it stays, whatever it was made of; anything else becomes the text's hash."""
        return Key(collection, hash_kept(record.key.id, record.text))

    def adopted(self, record: MemoryRecord) -> MemoryRecord:
        """The record with type, state, tags and times where the service looks for them; tags in its own spelling."""
        metadata, columns = record.metadata, self._layout.columns
        record = as_in_database(record)
        extras = dict(record.extras)
        by, deleted = metadata.get("superseded_by"), moment(metadata.get("deleted_at"))
        if record.state is State.SUPERSEDED and "superseded_by" in columns and by:
            extras.setdefault("superseded_by", by if isinstance(by, str) else json.dumps(by))
        if record.state is State.DELETED and "deleted_at" in columns and deleted:
            extras.setdefault("deleted_at", deleted)
        return replace(record, extras=extras)

    def refusal(self, record: MemoryRecord) -> str | None:
        """Why a record cannot be taken: its hash stands in another of the service's stores, or a column that is not
        the service's wants a value."""
        there = self._stores.get(record.key.id, record.key.collection)
        if there == record.key.collection:
            return lacking(record.extras, self._layout.required)
        return f"the service keeps a text once, and has this one in its store {there!r}"

    def collections(self) -> list[CollectionInfo]:
        with self._reading() as connection:
            vectors = Vectors(connection)
            present = columns(connection, TABLE)
            rows = connection.execute(
                f"SELECT {_store(present)} AS name, count(*) AS count, total({_dead(present)}) AS dead FROM {TABLE} "
                "GROUP BY 1 ORDER BY 1"
            )
            found = [(str(row["name"]), int(row["count"]), int(row["dead"])) for row in rows]
            return [
                CollectionInfo(name, count, count - dead, self._embedded(connection, vectors, name),
                               vectors.dimension, vectors.metric)
                for name, count, dead in found or [(DEFAULT, 0, 0)]
            ]  # fmt: skip

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        with self._reading() as connection:
            name = _store(columns(connection, TABLE))
            rows = connection.execute(f"{select_rows(connection)} WHERE {name} = ? ORDER BY id", (collection,))
            found = rows.fetchmany(batch)
            if not found and collection not in {info.name for info in self.collections()}:
                raise CollectionNotFound(f"There is no store {collection!r} in {self.address.location}.")
            stored = Vectors(connection) if vectors else None
            seen: set[Key] = set()
            while found:
                records = [read_row(row, collection, stored.of(row["id"]) if stored else None) for row in found]
                yield [_only(record, seen) for record in records]
                found = rows.fetchmany(batch)

    def relations(self) -> Iterator[Relation]:
        with self._reading() as connection:
            yield from graph.read_relations(connection, _store(columns(connection, TABLE)))

    def write(self, changes: Changes, progress: Progress) -> None:
        """Carry out the changes in one transaction; a hash stays as it is, and so do rows that are not named."""
        if not library.is_installed():
            raise NotPermitted(
                f"A {self.format} can only be read without the extra 'memory-service'.", todo=library.EXTRA
            )
        progress.phase("Writing", len(changes.put) + len(changes.delete))
        if self.exists:
            with self._reading() as connection:
                layout = self._layout
                work = writer.tasks(connection, layout, changes)
            with library.transaction(self.address.path) as execute:
                writer.carry_out(execute, layout, work, changes, progress)
        else:
            work = writer.new_tasks(changes)
            dimension, metric = schema.dimension_of(changes), schema.metric_of(changes)
            with library.transaction(self.address.path) as execute:
                schema.make(execute, dimension, metric)
                writer.carry_out(execute, schema.FRESH, work, changes, progress)
                schema.finish(execute)
        self.__dict__.pop("_layout", None)
        self.__dict__.pop("_stores", None)

    def rebuild(self, progress: Progress) -> None:
        """Give the space of deleted rows back."""
        progress.phase("Compacting")
        with open_staged(self.address.path) as connection:
            fault_point("vacuum")
            connection.execute("VACUUM")

    def lost_in_search(self, records: Sequence[MemoryRecord], progress: Progress) -> list[Key]:
        if not library.is_installed() or not self._layout.dimension:
            return []
        lost = []
        with library.searching(self.address.path) as execute:
            for record in records:
                if record.embedding is not None and not self._finds(execute, record):
                    lost.append(record.key)
        return lost

    def _finds(self, execute: library.Execute, record: MemoryRecord) -> bool:
        """Whether the service's search has a record among the nearest of its own vector."""
        within = " AND near.store = ?" if self._layout.partitioned else ""
        asked = (np.asarray(record.embedding, "<f4").tobytes(), _NEIGHBOURS, record.key.collection)
        nearest = execute(
            f"SELECT content_hash, distance FROM {VECTORS} AS near JOIN {TABLE} ON id = near.rowid "
            f"WHERE content_embedding MATCH ? AND k = ?{within} ORDER BY distance",
            asked[: 3 if within else 2],
        ).fetchall()
        first = [name for name, distance in nearest if distance <= nearest[0][1] + _SAME_DISTANCE]
        return record.key.id in first or len(first) == _NEIGHBOURS

    @cached_property
    def _layout(self) -> Layout:
        if not self.exists:
            return schema.FRESH
        with self._reading() as connection:
            return read_layout(connection)

    @cached_property
    def _stores(self) -> dict[str, str]:
        """In which of the service's stores each hash stands."""
        if not self.exists:
            return {}
        with self._reading() as connection:
            store = _store(columns(connection, TABLE))
            rows = connection.execute(f"SELECT content_hash, {store} FROM {TABLE}")
            return {str(hash): str(name) for hash, name in rows}

    def _embedded(self, connection: sqlite3.Connection, vectors: Vectors, name: str) -> int:
        if not vectors.dimension:
            return 0
        store = _store(columns(connection, TABLE))
        [count] = connection.execute(
            f"SELECT count(*) FROM {TABLE} WHERE {store} = ? AND id IN (SELECT rowid FROM {VECTORS}_rowids)", (name,)
        ).fetchone()
        return int(count)

    def _faults(self, connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
        vectors = Vectors(connection)
        for row in connection.execute(f"{select_rows(connection)} ORDER BY id"):
            record = read_row(row, DEFAULT, vectors.of(row["id"]))
            if "metadata" in record.extras:
                yield record.key.id, "metadata that cannot be read"
            if record.embedding is None and record.state is State.LIVE:
                yield record.key.id, _NO_VECTOR
            if record.embedding is not None and not np.isfinite(record.embedding).all():
                yield record.key.id, "a vector with values that are no numbers"


def _only(record: MemoryRecord, seen: set[Key]) -> MemoryRecord:
    """The record under a name that no earlier one has: in a foreign table a hash may stand twice."""
    key = unique(record.key, seen)
    seen.add(key)
    return record.with_key(key)


def _store(present: frozenset[str]) -> str:
    """The SQL for the store of a row."""
    return f"coalesce(nullif(store, ''), '{DEFAULT}')" if "store" in present else f"'{DEFAULT}'"


def _dead(present: frozenset[str]) -> str:
    """The SQL for whether a row is deleted or replaced."""
    signs = {"deleted_at": "deleted_at IS NOT NULL", "superseded_by": "superseded_by > ''"}
    return " OR ".join(sign for name, sign in signs.items() if name in present) or "0"
