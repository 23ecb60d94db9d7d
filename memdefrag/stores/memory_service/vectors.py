"""Vectors of a virtual table of sqlite-vec 0.1, read from its shadow tables by plain SQL.

`_rowids` says in which chunk and at which place a row's vector stands, `_chunks` which places are valid and whose they
are, `_vector_chunks00` holds rows of little-endian float32. From the source of sqlite-vec and from files it wrote.
"""

from __future__ import annotations

import re
import sqlite3
from functools import lru_cache
from typing import Any

import numpy as np

from memdefrag.model.records import Vector
from memdefrag.stores.foreign_sqlite import floats
from memdefrag.stores.sqlite_safe import tables

VECTORS = "memory_embeddings"
SHADOWS = frozenset(f"{VECTORS}_{name}" for name in ("rowids", "chunks", "vector_chunks00"))

_CHUNKS_KEPT = 4
_KNOWN = re.compile(
    r"CREATE VIRTUAL TABLE (?:IF NOT EXISTS )?memory_embeddings USING vec0\s*\(\s*"
    r"content_embedding\s+float\[\d+\](?:\s+distance_metric=cosine)?(?P<store>\s*,\s*store\s+text\s+partition\s+key)?\s*\)",
    re.I,
)


class Vectors:
    """The vectors of the shadow tables, by the id of their row.

    Attributes:
        dimension: None where there are no readable vectors.
        partitioned: every vector names the store of its row.
        known: the table is one that the service makes, so that new vectors can be told to it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.dimension: int | None = None
        self.metric = "l2"
        made = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (VECTORS,)).fetchone()
        size = re.search(r"float\[(\d+)\]", str(made[0]), re.I) if made else None
        if size and tables(connection) >= SHADOWS:
            self.dimension = int(size[1])
            self.metric = "cosine" if re.search(r"distance_metric\s*=\s*cosine", str(made[0]), re.I) else "l2"
        match = _KNOWN.fullmatch(str(made[0]).strip()) if made else None
        self.known = match is not None
        self.partitioned = bool(match and match["store"])
        self._chunk = lru_cache(_CHUNKS_KEPT)(self._read_chunk)

    def of(self, rowid: int) -> Vector | None:
        """The vector of a row; None where it has none, or where the tables contradict each other about it."""
        if not self.dimension:
            return None
        place = self._connection.execute(
            f"SELECT chunk_id, chunk_offset FROM {VECTORS}_rowids WHERE rowid = ?", (rowid,)
        ).fetchone()
        chunk = self._chunk(place[0]) if place else None
        if chunk is None or not _is_at(chunk, rowid, place[1]):
            return None
        size = self.dimension * 4
        return floats(chunk[2][place[1] * size : (place[1] + 1) * size])

    def contradictions(self) -> list[str]:
        """Where the shadow tables do not fit each other; sqlite-vec would read beyond its memory there."""
        if self.dimension is None:
            return ["the tables of the vectors are not complete"]
        found = []
        for chunk_id, number in self._connection.execute(
            f"SELECT chunk.chunk_id, data._rowid_ FROM {VECTORS}_chunks AS chunk "
            f"LEFT JOIN {VECTORS}_vector_chunks00 AS data ON data.rowid = chunk.chunk_id ORDER BY chunk.chunk_id"
        ):
            if number != chunk_id or self._chunk(chunk_id) is None:
                found.append(f"the sizes of chunk {chunk_id} do not fit each other")
        for rowid, chunk_id, at in self._connection.execute(
            f"SELECT rowid, chunk_id, chunk_offset FROM {VECTORS}_rowids ORDER BY chunk_id, rowid"
        ):
            chunk = self._chunk(chunk_id)
            if chunk is None or not _is_at(chunk, rowid, at):
                found.append(f"the vector of row {rowid} is not where the tables say")
        return found

    def _read_chunk(self, chunk_id: int) -> tuple[bytes, Any, bytes] | None:
        """A chunk's validity bits, row ids and vectors, if their sizes fit each other."""
        row = self._connection.execute(
            f"SELECT size, validity, rowids, vectors FROM {VECTORS}_chunks AS chunk "
            f"JOIN {VECTORS}_vector_chunks00 AS data ON data.rowid = chunk.chunk_id WHERE chunk_id = ?",
            (chunk_id,),
        ).fetchone()
        if row is None or self.dimension is None:
            return None
        size, validity, rowids, vectors = row
        if not isinstance(size, int) or not all(isinstance(blob, bytes) for blob in (validity, rowids, vectors)):
            return None
        sizes = (len(validity), len(rowids), len(vectors))
        if size % 8 or sizes != (size // 8, size * 8, size * self.dimension * 4):
            return None
        return validity, np.frombuffer(rowids, "<i8"), vectors


def _is_at(chunk: tuple[bytes, Any, bytes], rowid: int, at: Any) -> bool:
    """Whether the vector of a row stands at that place of the chunk."""
    validity, rowids, _ = chunk
    return (
        isinstance(at, int) and 0 <= at < len(rowids) and bool(validity[at // 8] >> at % 8 & 1) and rowids[at] == rowid
    )
