"""The SQLite databases of mcp-memory-service, versions 7 to 12 (its sqlite_vec storage), read without sqlite-vec.

Table ``memories(id, content_hash UNIQUE, content, tags, memory_type, metadata, created_at, updated_at, …)``; versions
from 8.64 on keep deleted rows (`deleted_at`), from 10.30 on replaced ones (`superseded_by`), from 11 on name a `store`
for each. Vectors stand in the shadow tables of the virtual table ``memory_embeddings`` (sqlite-vec 0.1): `_rowids` says
in which chunk and at which place, `_chunks` which places are valid, `_vector_chunks00` holds rows of little-endian
float32. Links are in ``memory_graph``. From the service's source and from files it wrote.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from memdefrag.base.errors import CollectionNotFound
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, State, Vector
from memdefrag.model.service_metadata import moment, read
from memdefrag.stores.foreign_sqlite import TABLE, ForeignSqlite, floats, metadata_of, rest, text
from memdefrag.stores.sqlite_safe import columns, tables

DEFAULT = "default"
"""What the service calls the store of rows that name none."""

_VECTORS = "memory_embeddings"
_SHADOWS = frozenset(f"{_VECTORS}_{name}" for name in ("rowids", "chunks", "vector_chunks00"))
_KNOWN = frozenset({"content_hash", "content", "tags", "metadata", "created_at", "updated_at", "store"})
_CHUNKS_KEPT = 4
_NO_VECTOR = "no vector, so that the service's search does not find it"


class MemoryService(ForeignSqlite):
    """A database of mcp-memory-service. Its collections are the service's stores."""

    kind: ClassVar[str] = "memory-service"
    required: ClassVar[frozenset[str]] = frozenset({"content_hash", "content", "tags", "memory_type", "created_at"})

    @property
    def format(self) -> str:
        return "Memory Service database (sqlite_vec)"

    def collections(self) -> list[CollectionInfo]:
        with self._reading() as connection:
            vectors = _Vectors(connection)
            present = columns(connection, TABLE)
            rows = connection.execute(
                f"SELECT {_store(present)} AS name, count(*) AS count, total({_dead(present)}) AS dead FROM {TABLE} "
                "GROUP BY 1 ORDER BY 1"
            )
            found = [(str(row["name"]), int(row["count"]), int(row["dead"])) for row in rows]
            return [
                CollectionInfo(name, count, count - dead, self._embedded(connection, vectors, name),
                               vectors.dimension, vectors.metric)
                for name, count, dead in found
            ]  # fmt: skip

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        with self._reading() as connection:
            name = _store(columns(connection, TABLE))
            rows = connection.execute(f"SELECT * FROM {TABLE} WHERE {name} = ? ORDER BY id", (collection,))
            found = rows.fetchmany(batch)
            if not found:
                raise CollectionNotFound(f"There is no store {collection!r} in {self.address.location}.")
            stored = _Vectors(connection) if vectors else None
            while found:
                yield [_record(row, collection, stored.of(row["id"]) if stored else None) for row in found]
                found = rows.fetchmany(batch)

    def relations(self) -> Iterator[Relation]:
        with self._reading() as connection:
            if "memory_graph" not in tables(connection):
                return
            stores = dict(connection.execute(f"SELECT content_hash, {_store(columns(connection, TABLE))} FROM {TABLE}"))
            for row in connection.execute("SELECT * FROM memory_graph ORDER BY source_hash, target_hash"):
                rows_rest = rest(row, frozenset({"source_hash", "target_hash", "similarity", "created_at", "metadata"}))
                kind = str(rows_rest.pop("relationship_type", "related"))
                metadata = metadata_of(row["metadata"], "metadata", rows_rest)
                yield Relation(
                    _end(row["source_hash"], stores), _end(row["target_hash"], stores), kind, row["similarity"],
                    {**rows_rest, **metadata}, moment(row["created_at"]),
                )  # fmt: skip

    def _embedded(self, connection: sqlite3.Connection, vectors: _Vectors, name: str) -> int:
        if not vectors.dimension:
            return 0
        store = _store(columns(connection, TABLE))
        [count] = connection.execute(
            f"SELECT count(*) FROM {TABLE} WHERE {store} = ? AND id IN (SELECT rowid FROM {_VECTORS}_rowids)", (name,)
        ).fetchone()
        return int(count)

    def _faults(self, connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
        vectors = _Vectors(connection)
        for row in connection.execute(f"SELECT * FROM {TABLE} ORDER BY id"):
            record = _record(row, DEFAULT, vectors.of(row["id"]))
            if "metadata" in record.extras:
                yield record.key.id, "metadata that cannot be read"
            if record.embedding is None and record.state is State.LIVE:
                yield record.key.id, _NO_VECTOR
            if record.embedding is not None and not np.isfinite(record.embedding).all():
                yield record.key.id, "a vector with values that are no numbers"


class _Vectors:
    """The vectors of the shadow tables, by the id of their row.

    Attributes:
        dimension: None where there are no readable vectors.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.dimension: int | None = None
        self.metric = "l2"
        made = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (_VECTORS,)).fetchone()
        size = re.search(r"float\[(\d+)\]", str(made[0]), re.I) if made else None
        if size and tables(connection) >= _SHADOWS:
            self.dimension = int(size[1])
            self.metric = "cosine" if re.search(r"distance_metric\s*=\s*cosine", str(made[0]), re.I) else "l2"
        self._chunk = lru_cache(_CHUNKS_KEPT)(self._read_chunk)

    def of(self, rowid: int) -> Vector | None:
        """The vector of a row; None where it has none, or where the tables contradict each other about it."""
        if not self.dimension:
            return None
        place = self._connection.execute(
            f"SELECT chunk_id, chunk_offset FROM {_VECTORS}_rowids WHERE rowid = ?", (rowid,)
        ).fetchone()
        chunk = self._chunk(place[0]) if place else None
        if chunk is None:
            return None
        validity, rowids, vectors = chunk
        at = place[1]
        size = self.dimension * 4
        if not 0 <= at < len(rowids) or not validity[at // 8] >> at % 8 & 1 or rowids[at] != rowid:
            return None
        return floats(vectors[at * size : (at + 1) * size])

    def _read_chunk(self, chunk_id: int) -> tuple[bytes, Any, bytes] | None:
        """A chunk's validity bits, row ids and vectors, if their sizes fit each other."""
        row = self._connection.execute(
            f"SELECT size, validity, rowids, vectors FROM {_VECTORS}_chunks AS chunk "
            f"JOIN {_VECTORS}_vector_chunks00 AS data ON data.rowid = chunk.chunk_id WHERE chunk_id = ?",
            (chunk_id,),
        ).fetchone()
        if row is None or self.dimension is None:
            return None
        size, validity, rowids, vectors = row
        sizes = (len(validity), len(rowids), len(vectors))
        if sizes != (size // 8, size * 8, size * self.dimension * 4):
            return None
        return validity, np.frombuffer(rowids, "<i8"), vectors


def _record(row: sqlite3.Row, collection: str, vector: Vector | None) -> MemoryRecord:
    extras = rest(row, _KNOWN)
    metadata = metadata_of(row["metadata"], "metadata", extras)
    if extras.get("deleted_at") is not None:
        state = State.DELETED
    else:
        state = State.SUPERSEDED if extras.get("superseded_by") else read(metadata).state
    return MemoryRecord(
        Key(collection, str(text(row["content_hash"]))),
        text(row["content"]),
        metadata,
        vector,
        read({"tags": text(row["tags"])}).tags,
        created=moment(row["created_at"]),
        updated=moment(row["updated_at"]) if "updated_at" in row.keys() else None,  # noqa: SIM118
        state=state,
        extras=extras,
    )


def _store(present: frozenset[str]) -> str:
    """The SQL for the store of a row."""
    return f"coalesce(nullif(store, ''), '{DEFAULT}')" if "store" in present else f"'{DEFAULT}'"


def _dead(present: frozenset[str]) -> str:
    """The SQL for whether a row is deleted or replaced."""
    signs = {"deleted_at": "deleted_at IS NOT NULL", "superseded_by": "superseded_by > ''"}
    return " OR ".join(sign for name, sign in signs.items() if name in present) or "0"


def _end(content_hash: Any, stores: dict[Any, str]) -> Key | str:
    """One end of a link: a memory's key, or the hash of one that is gone."""
    known = stores.get(content_hash)
    return str(content_hash) if known is None else Key(known, str(content_hash))
