"""Memory Defragmenter's files, made by nobody's library."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from memdefrag.model.records import MemoryRecord
from memdefrag.stores.base import Store
from memdefrag.stores.registry import open_store
from tests.stores.contract import everything

DDL = (
    "CREATE TABLE memories (id TEXT PRIMARY KEY, content TEXT NOT NULL, embedding TEXT, metadata TEXT, "
    "timestamp REAL, content_hash TEXT)"
)
NOON = 1735732800.25


def make(path: Path, rows: Sequence[Sequence[Any]], ddl: str = DDL, table: str = "memories") -> Store:
    """A file with these rows, made by nobody's library."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(ddl)
        for row in rows:
            connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    return open_store(f"memory-export:{path}")


def execute(path: Path, *statements: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.text_factory = bytes
        rows: list[Any] = []
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        return rows


def only(store: Store) -> MemoryRecord:
    [record] = everything(store).values()
    return record


def row(**fields: Any) -> list[Any]:
    values = {
        "id": "1",
        "content": "text",
        "embedding": "[1.0, 0.5]",
        "metadata": '{"tags": "a,b"}',
        "timestamp": NOON,
        "content_hash": "h",
    }
    return list({**values, **fields}.values())
