"""The tables of a new database, as the system's present models make them; and a user where memories need an owner."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime

from memdefrag.stores.enhanced_memory.layout import FIRST_USER, USERS, Layout

_ID = "id INTEGER NOT NULL PRIMARY KEY"
_TIMES = "created_at DATETIME, updated_at DATETIME"
_MEMORIES = {
    "id": "INTEGER NOT NULL PRIMARY KEY",
    "title": "VARCHAR(200) NOT NULL",
    "content": "TEXT NOT NULL",
    "content_compressed": "BOOLEAN DEFAULT 0",
    "content_size": "INTEGER DEFAULT 0",
    "access_level": "VARCHAR(20)",
    "owner_id": "INTEGER NOT NULL REFERENCES users (id)",
    "context_id": "INTEGER REFERENCES contexts (id)",
    "created_at": "DATETIME",
    "updated_at": "DATETIME",
    "version": "INTEGER",
    "is_active": "BOOLEAN",
    "memory_metadata": "JSON",
    "embedding_vector": "BLOB",
    "access_count": "INTEGER DEFAULT 0",
    "last_accessed": "DATETIME",
}
_RELATIONS = {
    "id": "INTEGER NOT NULL PRIMARY KEY",
    "name": "VARCHAR(100) NOT NULL",
    "source_context_id": "INTEGER REFERENCES contexts (id)",
    "target_memory_id": "INTEGER REFERENCES memories (id)",
    "source_memory_id": "INTEGER REFERENCES memories (id)",
    "target_context_id": "INTEGER REFERENCES contexts (id)",
    "owner_id": "INTEGER NOT NULL REFERENCES users (id)",
    "strength": "FLOAT",
    "relation_metadata": "JSON",
    "created_at": "DATETIME",
    "updated_at": "DATETIME",
    "is_active": "BOOLEAN",
}


def _columns(described: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in described.items())


_TABLES = {
    "users": f"{_ID}, username VARCHAR(50) NOT NULL, email VARCHAR(100) NOT NULL, hashed_password VARCHAR(255) "
    f"NOT NULL, is_active BOOLEAN, is_admin BOOLEAN, {_TIMES}",
    "contexts": f"{_ID}, name VARCHAR(100) NOT NULL, description TEXT, access_level VARCHAR(20), owner_id INTEGER NOT "
    f"NULL REFERENCES users (id), {_TIMES}, is_active BOOLEAN, context_metadata JSON",
    "memories": _columns(_MEMORIES),
    "relations": _columns(_RELATIONS),
    "memory_versions": f"{_ID}, memory_id INTEGER NOT NULL REFERENCES memories (id), version INTEGER NOT NULL, title "
    "VARCHAR(200) NOT NULL, content TEXT NOT NULL, created_at DATETIME, created_by INTEGER NOT NULL REFERENCES users "
    "(id), change_description TEXT, version_metadata JSON",
    "memory_chunks": f"{_ID}, memory_id INTEGER NOT NULL REFERENCES memories (id), chunk_index INTEGER NOT NULL, "
    f"chunk_data TEXT NOT NULL, chunk_metadata JSON, compression_type VARCHAR(20), {_TIMES}, is_active BOOLEAN",
    "search_history": f'{_ID}, "query" TEXT NOT NULL, results_count INTEGER, user_id INTEGER NOT NULL REFERENCES users '
    "(id), created_at DATETIME, search_metadata JSON",
    "system_config": f'{_ID}, "key" VARCHAR(100) NOT NULL UNIQUE, value TEXT NOT NULL, description TEXT, is_active '
    "BOOLEAN, updated_at DATETIME, updated_by INTEGER REFERENCES users (id)",
    "audit_logs": f"{_ID}, action VARCHAR(100) NOT NULL, resource_type VARCHAR(50) NOT NULL, resource_id INTEGER NOT "
    "NULL, user_id INTEGER NOT NULL REFERENCES users (id), audit_details JSON, ip_address VARCHAR(45), user_agent "
    "TEXT, created_at DATETIME",
}
_UNIQUE = ("username", "email")

FRESH = Layout(
    {name: kind.split()[0] for name, kind in _MEMORIES.items()},
    frozenset(name for name, kind in _MEMORIES.items() if "NOT NULL" in kind),
    links=frozenset(_RELATIONS),
    has_chunks=True,
)
"""What a new database has."""

_NO_PASSWORD = "$2b$12$" + "." * 53
"""A well-formed bcrypt hash that no known password has, so that nobody can log in before a password is set."""


def make(connection: sqlite3.Connection) -> None:
    """Make the tables, inside an open transaction."""
    for table, described in _TABLES.items():
        connection.execute(f"CREATE TABLE {table} ({described})")
        connection.execute(f"CREATE INDEX ix_{table}_id ON {table} (id)")
    for name in _UNIQUE:
        connection.execute(f"CREATE UNIQUE INDEX ix_{USERS}_{name} ON {USERS} ({name})")


def add_users(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Make the users that a database without any needs as owners of what is written."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    for id in sorted(set(ids)):
        name = "memdefrag" if id == FIRST_USER else f"memdefrag-{id}"
        connection.execute(
            f"INSERT INTO {USERS} (id, username, email, hashed_password, is_active, is_admin, created_at, updated_at) "
            "VALUES (?, ?, ?, ?, 1, 0, ?, ?)",
            (int(id), name, f"{name}@localhost.invalid", _NO_PASSWORD, now, now),
        )
