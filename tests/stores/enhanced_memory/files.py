"""Databases as versions of the Enhanced Memory System made them, in miniature."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

_OLD = (
    "id INTEGER PRIMARY KEY, title VARCHAR(200), content TEXT, access_level VARCHAR(20), owner_id INTEGER, context_id "
    "INTEGER, created_at DATETIME, updated_at DATETIME, version INTEGER, is_active BOOLEAN, memory_metadata JSON, "
    "embedding_vector BLOB"
)
_NEW = ", content_compressed BOOLEAN DEFAULT 0, content_size INTEGER DEFAULT 0"
_RELATIONS = (
    "CREATE TABLE relations (id INTEGER PRIMARY KEY, name, source_context_id, target_memory_id, source_memory_id, "
    "target_context_id, owner_id, strength, relation_metadata, created_at)"
)
_CHUNKS = "CREATE TABLE memory_chunks (memory_id, chunk_index, chunk_data, compression_type)"


def make_enhanced(path: Path, *, new: bool = True, count: int = 3) -> Path:
    """A database as the system makes it."""
    with closing(sqlite3.connect(path)) as made:
        made.execute(f"CREATE TABLE memories ({_OLD}{_NEW if new else ''})")
        made.execute(_RELATIONS)
        made.execute(_CHUNKS)
        rows = [
            (n, f"Title {n}", f"Text {n}", 7, "2024-03-01 10:00:00.500000", 1, '{"tags": ["a"]}', vector(n).tobytes())
            for n in range(1, count + 1)
        ]
        columns = "id, title, content, owner_id, created_at, is_active, memory_metadata, embedding_vector"
        made.executemany(f"INSERT INTO memories ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        made.commit()
    return path


def vector(number: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array([number, 0.5, -1], "<f4")


def changed(path: Path, statement: str, *values: object) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement, values)
        connection.commit()
    return path


def make_hybrid(path: Path) -> Path:
    """A database of the system's hybrid storage, as far as that is known: vectors and long texts lie elsewhere."""
    with closing(sqlite3.connect(path)) as made:
        made.execute(
            "CREATE TABLE memories (id INTEGER PRIMARY KEY, title TEXT, content TEXT, owner_id INTEGER, is_active "
            "BOOLEAN, metadata TEXT, created_at DATETIME, updated_at DATETIME)"
        )
        rows = [
            (1, "One", "A short text", 7, 1, '{"tags": ["a"], "n": 1}', MOMENT, None),
            (2, "Two", "A second text", 7, 0, "null", MOMENT, MOMENT),
            (3, "Three", "file:///data/three.txt", 7, 1, "{}", MOMENT, MOMENT),
        ]
        made.executemany("INSERT INTO memories VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        made.commit()
    return path


_USERS = (
    "CREATE TABLE users (id INTEGER NOT NULL, username VARCHAR(50) NOT NULL, email VARCHAR(100) NOT NULL, "
    "hashed_password VARCHAR(255) NOT NULL, is_active BOOLEAN, is_admin BOOLEAN, created_at DATETIME, updated_at "
    "DATETIME, PRIMARY KEY (id))"
)
_CONTEXTS = (
    "CREATE TABLE contexts (id INTEGER NOT NULL, name VARCHAR(100) NOT NULL, description TEXT, access_level "
    "VARCHAR(20), owner_id INTEGER NOT NULL, created_at DATETIME, updated_at DATETIME, is_active BOOLEAN, "
    "context_metadata JSON, PRIMARY KEY (id), FOREIGN KEY(owner_id) REFERENCES users (id))"
)
_MEMORIES = (
    "CREATE TABLE memories (id INTEGER NOT NULL, title VARCHAR(200) NOT NULL, content TEXT NOT NULL, access_level "
    "VARCHAR(20), owner_id INTEGER NOT NULL, context_id INTEGER, created_at DATETIME, updated_at DATETIME, version "
    "INTEGER, is_active BOOLEAN, memory_metadata JSON, embedding_vector BLOB, {}PRIMARY KEY (id), FOREIGN "
    "KEY(owner_id) REFERENCES users (id), FOREIGN KEY(context_id) REFERENCES contexts (id))"
)
_LINKS = (
    "CREATE TABLE relations (id INTEGER NOT NULL, name VARCHAR(100) NOT NULL, source_context_id INTEGER, "
    "target_memory_id INTEGER, source_memory_id INTEGER, target_context_id INTEGER, owner_id INTEGER NOT NULL, "
    "strength FLOAT, relation_metadata JSON, created_at DATETIME, updated_at DATETIME, is_active BOOLEAN, "
    "PRIMARY KEY (id))"
)
_VERSIONS = (
    "CREATE TABLE memory_versions (id INTEGER NOT NULL, memory_id INTEGER NOT NULL, version INTEGER NOT NULL, title "
    "VARCHAR(200) NOT NULL, content TEXT NOT NULL, created_at DATETIME, created_by INTEGER NOT NULL, "
    "change_description TEXT, version_metadata JSON, PRIMARY KEY (id))"
)
_PIECES = (
    "CREATE TABLE memory_chunks (id INTEGER NOT NULL, memory_id INTEGER NOT NULL, chunk_index INTEGER NOT NULL, "
    "chunk_data TEXT NOT NULL, chunk_metadata JSON, compression_type VARCHAR(20), created_at DATETIME, updated_at "
    "DATETIME, is_active BOOLEAN, PRIMARY KEY (id))"
)
_COUNTED = "access_count INTEGER DEFAULT 0, last_accessed DATETIME, "
_PACKED = "content_compressed BOOLEAN DEFAULT 0, content_size INTEGER DEFAULT 0, "
_OF_USER = "CREATE TABLE notes_of_the_user (x PRIMARY KEY, y BLOB) WITHOUT ROWID"
MOMENT = "2024-03-01 09:00:00.123456"


def _shape(more: str, *tables: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        with closing(sqlite3.connect(path)) as made:
            described = (_USERS, _CONTEXTS, _MEMORIES.format(more), _LINKS, _VERSIONS, _OF_USER, *tables)
            for statement in described:
                made.execute(statement)
            for number, name in enumerate(("admin", "alice"), 1):
                user = (number, name, f"{name}@example.invalid", "$2b$12$x", MOMENT, MOMENT)
                made.execute("INSERT INTO users VALUES (?, ?, ?, ?, 1, 0, ?, ?)", user)
            made.execute(
                "INSERT INTO contexts VALUES (3, 'Garden', NULL, 'user', 2, ?, ?, 1, 'null')", (MOMENT, MOMENT)
            )
            made.execute("INSERT INTO notes_of_the_user VALUES (1, x'00ff')")
            made.commit()
        return path

    return make


SHAPES = {
    "old": _shape(""),
    "chunks": _shape("", _PIECES),
    "counted": _shape(_COUNTED),
    "new": _shape(_PACKED + _COUNTED, _PIECES),
}
"""Empty, with two users and a context; by the columns and tables that they have."""


def rows(path: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    """What a statement finds."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement, values).fetchall()
