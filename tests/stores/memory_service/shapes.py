"""Databases as three versions of the service made them, in miniature, with real tables of vectors and words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw
import sqlite_vec

from tests.stores.memory_service.files import DIMENSION

_COLUMNS = (
    "id INTEGER PRIMARY KEY AUTOINCREMENT, content_hash TEXT UNIQUE NOT NULL, content TEXT NOT NULL, tags TEXT, "
    "memory_type TEXT, metadata TEXT, created_at REAL, updated_at REAL, created_at_iso TEXT, updated_at_iso TEXT"
)
_GRAPH = (
    "CREATE TABLE memory_graph (source_hash TEXT NOT NULL, target_hash TEXT NOT NULL, similarity REAL NOT NULL, "
    "connection_types TEXT NOT NULL, metadata TEXT, created_at REAL NOT NULL, relationship_type TEXT DEFAULT 'related',"
    " PRIMARY KEY (source_hash, target_hash))"
)
_EVENTS = (
    "CREATE TABLE sync_events (seq INTEGER PRIMARY KEY AUTOINCREMENT, schema_version INTEGER NOT NULL DEFAULT 1, "
    "agent_id TEXT, event_id TEXT NOT NULL, op TEXT NOT NULL, content_hash TEXT NOT NULL, payload TEXT NOT NULL, "
    "created_at REAL NOT NULL, created_at_iso TEXT, hlc_physical INTEGER, hlc_logical INTEGER, embedding_model TEXT, "
    "embedding_dim INTEGER, UNIQUE(agent_id, event_id))"
)
_WORDS = (
    "CREATE VIRTUAL TABLE memory_content_fts USING fts5(\n content,\n content='memories',\n content_rowid='id',\n "
    "tokenize='trigram'\n)",
    "CREATE TRIGGER memories_fts_ai AFTER INSERT ON memories\nBEGIN\n INSERT INTO memory_content_fts(rowid, content)\n"
    " VALUES (new.id, new.content);\nEND",
    "CREATE TRIGGER memories_fts_au AFTER UPDATE ON memories\nBEGIN\n DELETE FROM memory_content_fts WHERE rowid = "
    "old.id;\n INSERT INTO memory_content_fts(rowid, content)\n VALUES (new.id, new.content);\nEND",
    "CREATE TRIGGER memories_fts_ad AFTER DELETE ON memories\nBEGIN\n DELETE FROM memory_content_fts WHERE rowid = "
    "old.id;\nEND",
)
_METADATA = "CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
_OF_USER = "CREATE TABLE notes_of_the_user (x PRIMARY KEY, y BLOB) WITHOUT ROWID"
_VECTORS = f"CREATE VIRTUAL TABLE memory_embeddings USING vec0(\n content_embedding FLOAT[{DIMENSION}]"


def v7(path: Path) -> Path:
    return _make(path, f"CREATE TABLE memories ({_COLUMNS})", f"{_VECTORS}\n)")


def v10(path: Path) -> Path:
    memories = f"CREATE TABLE memories ({_COLUMNS}, deleted_at REAL DEFAULT NULL)"
    return _make(path, memories, f"{_VECTORS} distance_metric=cosine\n)", _METADATA, _GRAPH, *_WORDS)


def v12(path: Path) -> Path:
    memories = (
        f"CREATE TABLE memories ({_COLUMNS}, deleted_at REAL DEFAULT NULL, store TEXT DEFAULT 'default', "
        "parent_id TEXT, version INTEGER DEFAULT 1, confidence REAL DEFAULT 1.0, last_accessed INTEGER, "
        "superseded_by TEXT, embedding_pending INTEGER NOT NULL DEFAULT 0)"
    )
    vectors = f"{_VECTORS} distance_metric=cosine,\n store TEXT partition key\n)"
    return _make(path, memories, vectors, _METADATA, _GRAPH, _EVENTS, *_WORDS)


SHAPES: dict[str, Callable[[Path], Path]] = {"v7": v7, "v10": v10, "v12": v12}


def connected(path: Path) -> apsw.Connection:
    """With sqlite-vec."""
    connection = apsw.Connection(str(path))
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.enable_load_extension(False)
    return connection


def _make(path: Path, *statements: str) -> Path:
    connection = connected(path)
    for statement in (*statements, _OF_USER, "INSERT INTO notes_of_the_user VALUES (1, x'00ff')"):
        connection.execute(statement)
    connection.close()
    return path
