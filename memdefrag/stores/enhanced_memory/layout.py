"""Which tables and columns a database has: each version of the system added some, and scripts added some without it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from memdefrag.stores.foreign_sqlite import TABLE, is_utf8, select_rows
from memdefrag.stores.sqlite_safe import columns, quote, tables

CHUNKS, CONTEXTS, RELATIONS, USERS = "memory_chunks", "contexts", "relations", "users"
METADATA, HYBRID_METADATA = "memory_metadata", "metadata"
"""The column of the metadata, and its name in a database of the system's hybrid storage."""
_OF_HYBRID = frozenset({"id", "title", "content", HYBRID_METADATA, "created_at"})
ELSEWHERE = "coalesce(content, '') LIKE 'file://%'"
"""The SQL for whether the text of a row of a hybrid database is the name of the file that holds it."""
_ITS_OWN = frozenset({"owner_id", "access_level", "context_id", "is_active", "embedding_vector"})
"""Of these a hybrid database has at least one; what else it has is not known."""
FIRST_USER = "1"
"""The owner in a database that knows no users yet."""

_COMPRESSION = frozenset({"content_compressed", "content_size"})
_SAID = _COMPRESSION | {"id", "title", "content", "owner_id", "is_active", "memory_metadata", "version", "access_level",
                        "access_count"}  # fmt: skip
_SAID_OF_LINKS = frozenset({"id", "name", "owner_id", "is_active", "relation_metadata"})
"""Columns that we have a value for in every row."""
_NEEDED = {
    CHUNKS: {"memory_id", "chunk_index", "chunk_data", "compression_type"},
    USERS: {"id", "username", "email", "hashed_password", "is_active", "is_admin", "created_at", "updated_at"},
    RELATIONS: {"id", "name", "strength", "relation_metadata", "created_at"}
    | {f"{end}_{what}_id" for end in ("source", "target") for what in ("memory", "context")},
}
"""Columns without which a table is not the system's."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a database has.

    Attributes:
        columns: of the table of memories, with their declared types in capitals.
        required: those of them that must not be empty.
        links: columns of the table of relations; none where there is no such table.
        users: names by id, in the order of the ids; those who own a memory and are no user any more without a name.
        has_users: there is a table of users.
        contexts: ids of the contexts, and those that memories or relations name.
        has_chunks: there is a table of texts in pieces.
        obstacle: why nothing may be written, in words; empty where something may.
        utf8: texts can hold any bytes.
    """

    columns: Mapping[str, str]
    required: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    users: Mapping[str, str] = field(default_factory=dict)
    has_users: bool = True
    contexts: frozenset[str] = frozenset()
    has_chunks: bool = False
    obstacle: str = ""
    utf8: bool = True

    @property
    def compresses(self) -> bool:
        """Whether a text can be marked as compressed."""
        return self.columns.keys() >= _COMPRESSION


def is_hybrid(present: frozenset[str]) -> bool:
    """Whether a table of memories with these columns is one of the system's hybrid storage.

    That keeps vectors in a ChromaDB folder and long texts in files (named as ``file://``) beside the database.
    """
    return METADATA not in present and present >= _OF_HYBRID and bool(present & _ITS_OWN)


def select_memories(connection: sqlite3.Connection) -> str:
    """The SQL that reads the memories whose text is there, by the usual names of their columns."""
    if not is_hybrid(columns(connection, TABLE)):
        return select_rows(connection)
    return f"{select_rows(connection, {HYBRID_METADATA: METADATA})} WHERE NOT {ELSEWHERE}"


def read_layout(connection: sqlite3.Connection) -> Layout:
    """What the open database has."""
    present = frozenset(
        name for name in tables(connection) if _NEEDED.get(name, set()) <= columns(connection, name)
    )
    described = list(connection.execute(f"PRAGMA table_info({quote(TABLE)})"))
    return Layout(
        {row[1]: str(row[2]).upper() for row in described},
        frozenset(row[1] for row in described if row[3]),
        columns(connection, RELATIONS) if RELATIONS in present else frozenset(),
        _users(connection, has_users=USERS in present),
        USERS in present,
        frozenset(_contexts(connection, present)),
        CHUNKS in present,
        next(_obstacles(connection), ""),
        is_utf8(connection),
    )


def _users(connection: sqlite3.Connection, *, has_users: bool) -> dict[str, str]:
    owned = "owner_id" in columns(connection, TABLE)
    named = f"SELECT DISTINCT owner_id FROM {TABLE} WHERE owner_id IS NOT NULL ORDER BY 1"
    owners = connection.execute(named) if owned else ()
    known = connection.execute(f"SELECT id, username FROM {USERS} ORDER BY id") if has_users else ()
    found = {str(id): str(name) for id, name in known}
    return {**found, **{str(id): "" for (id,) in owners if str(id) not in found}}


def _contexts(connection: sqlite3.Connection, present: frozenset[str]) -> Iterator[str]:
    """Ids of contexts, also of those that are only named: what names them stays as it is."""
    places = [(CONTEXTS, "id"), (TABLE, "context_id")]
    places += [(RELATIONS, f"{end}_context_id") for end in ("source", "target")]
    for table, name in places:
        if table in present and name in columns(connection, table):
            rows = connection.execute(f"SELECT DISTINCT {quote(name)} FROM {quote(table)}")
            yield from (str(id) for (id,) in rows if id is not None)


def _obstacles(connection: sqlite3.Connection) -> Iterator[str]:
    """What may not be written over, or could not be said of a new row."""
    if is_hybrid(columns(connection, TABLE)):
        yield "it is one half of a hybrid storage, whose vectors and long texts are kept beside it"
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        yield f"it has a trigger ({name}), which the system does not make and which would act on every write"
    for table, said in ((TABLE, _SAID), (RELATIONS, _SAID_OF_LINKS)):
        for _, name, declared, required, _, primary in connection.execute(f"PRAGMA table_info({quote(table)})"):
            if name == "id" and (not primary or str(declared).upper() != "INTEGER"):
                yield f"the ids of its table {table} are no row numbers, as the system's are"
            if required and name not in said:
                yield f"its table {table} wants a value for {name}, which we do not know"
