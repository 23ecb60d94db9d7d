"""Databases of Memory Service in miniature, as its versions made them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

DIMENSION, CHUNK = 4, 8
_OLD = (
    "CREATE TABLE memories (id INTEGER PRIMARY KEY AUTOINCREMENT, content_hash TEXT UNIQUE NOT NULL, content TEXT "
    "NOT NULL, tags TEXT, memory_type TEXT, metadata TEXT, created_at REAL, updated_at REAL, created_at_iso TEXT, "
    "updated_at_iso TEXT{more})"
)
_NEW = ", deleted_at REAL, store TEXT DEFAULT 'default', superseded_by TEXT"
_GRAPH = (
    "CREATE TABLE memory_graph (source_hash TEXT, target_hash TEXT, similarity REAL, connection_types TEXT, metadata "
    "TEXT, created_at REAL, relationship_type TEXT)"
)


def vector(number: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.arange(number, number + DIMENSION, dtype=np.float32)


def make_service(path: Path, count: int = 3, *, new: bool = True) -> Path:
    """A database as the service makes it, with vectors in sqlite-vec's shadow tables (`CHUNK` to a chunk)."""
    with closing(sqlite3.connect(path)) as made:
        made.execute(_OLD.format(more=_NEW if new else ""))
        rows = [
            (n, f"hash{n}", f"Text {n}", f"tag{n},both", "note", json.dumps({"n": n}), 1.7e9 + n, 1.8e9 + n)
            for n in range(1, count + 1)
        ]
        columns = "id, content_hash, content, tags, memory_type, metadata, created_at, updated_at"
        made.executemany(f"INSERT INTO memories ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        add_vectors(made, count, cosine=new)
        if new:
            made.execute(_GRAPH)
        made.commit()
    return path


def add_vectors(made: sqlite3.Connection, count: int, *, cosine: bool) -> None:
    metric = " distance_metric=cosine" if cosine else ""
    made.execute("PRAGMA writable_schema=ON")
    made.execute(
        "INSERT INTO sqlite_master VALUES ('table', 'memory_embeddings', 'memory_embeddings', 0, ?)",
        (f"CREATE VIRTUAL TABLE memory_embeddings USING vec0(content_embedding FLOAT[{DIMENSION}]{metric})",),
    )
    made.execute("PRAGMA writable_schema=OFF")
    made.execute("CREATE TABLE memory_embeddings_rowids (rowid INTEGER PRIMARY KEY, id, chunk_id, chunk_offset)")
    made.execute("CREATE TABLE memory_embeddings_chunks (chunk_id INTEGER PRIMARY KEY, size, validity, rowids)")
    made.execute("CREATE TABLE memory_embeddings_vector_chunks00 (rowid INTEGER PRIMARY KEY, vectors)")
    for start in range(0, count, CHUNK):
        ids = list(range(start + 1, min(start + CHUNK, count) + 1))
        chunk = start // CHUNK + 1
        padded = np.array(ids + [0] * (CHUNK - len(ids)), "<i8")
        vectors = np.concatenate([vector(n) if n else np.zeros(DIMENSION) for n in padded]).astype("<f4")
        made.execute(
            "INSERT INTO memory_embeddings_chunks VALUES (?, ?, ?, ?)",
            (chunk, CHUNK, bytes([(1 << len(ids)) - 1]), padded.tobytes()),
        )
        made.execute("INSERT INTO memory_embeddings_vector_chunks00 VALUES (?, ?)", (chunk, vectors.tobytes()))
        made.executemany(
            "INSERT INTO memory_embeddings_rowids VALUES (?, NULL, ?, ?)",
            [(n, chunk, place) for place, n in enumerate(ids)],
        )


def changed(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path
