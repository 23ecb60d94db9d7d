"""Which parts of the format a database has: each version of the service added columns and tables.

What is there is asked of the database, never of a version number: upgraded files, and files whose upgrade stopped
half-way, differ from fresh ones.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memdefrag.stores.foreign_sqlite import TABLE, is_utf8
from memdefrag.stores.memory_export_table import required_columns
from memdefrag.stores.memory_service.vectors import VECTORS, Vectors
from memdefrag.stores.sqlite_safe import columns, quote, tables

DEFAULT = "default"
"""What the service calls the store of rows that name none."""

GRAPH, EVENTS, SEARCHED = "memory_graph", "sync_events", "memory_content_fts"
_OF_LINKS = frozenset({"source_hash", "target_hash", "similarity", "connection_types", "metadata", "created_at"})
_OF_EVENTS = frozenset({"seq", "event_id", "op", "content_hash", "payload", "created_at"})
_OF_CLOCK = frozenset({"key", "value"})
"""Columns without which a table is not the service's."""
_SAID = frozenset({"id", "content_hash", "content", "tags", "metadata", "embedding_pending", "store"})
"""Columns that every row that we write has a value for, or has by itself."""

TRIGGERS = (
    f"CREATE TRIGGER memories_fts_ai AFTER INSERT ON memories BEGIN INSERT INTO {SEARCHED}(rowid, content) "
    "VALUES (new.id, new.content); END",
    f"CREATE TRIGGER memories_fts_au AFTER UPDATE ON memories BEGIN DELETE FROM {SEARCHED} WHERE rowid = old.id; "
    f"INSERT INTO {SEARCHED}(rowid, content) VALUES (new.id, new.content); END",
    f"CREATE TRIGGER memories_fts_ad AFTER DELETE ON memories BEGIN DELETE FROM {SEARCHED} WHERE rowid = old.id; END",
)
"""The service's own, which damage the index of words whenever a text changes: ``integrity-check`` fails until it is
built anew (versions 10.8 to 12.4)."""

SEARCH_TABLE = (
    f"CREATE VIRTUAL TABLE {SEARCHED} USING fts5( content, content='memories', content_rowid='id', tokenize='trigram' )"
)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a database has.

    Attributes:
        columns: of the table of memories, with their declared types in capitals.
        dimension: of the vectors; None where there are none yet, or none readable.
        metric: "cosine" or "l2".
        partitioned: vectors name the store of their row.
        graph: columns of the table of links; none where there is no such table.
        events: columns of the log from which other machines learn of changes, where that log is in use.
        triggers: the service's own triggers: name and statement.
        searched: there is an index of words.
        obstacle: why nothing may be written, in words; empty where something may.
        required: columns that are not the service's and must not be empty, with what SQLite puts there by itself.
        utf8: texts can hold any bytes.
    """

    columns: Mapping[str, str]
    dimension: int | None = None
    metric: str = "cosine"
    partitioned: bool = True
    graph: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    triggers: tuple[tuple[str, str], ...] = ()
    searched: bool = False
    obstacle: str = ""
    required: Mapping[str, Any] = field(default_factory=dict)
    utf8: bool = True

    @property
    def has_stores(self) -> bool:
        return "store" in self.columns

    @property
    def marks_deleted(self) -> bool:
        return "deleted_at" in self.columns


def read_layout(connection: sqlite3.Connection) -> Layout:
    """What the open database has."""
    vectors = Vectors(connection)
    used = EVENTS in tables(connection) and connection.execute(f"SELECT 1 FROM {EVENTS} LIMIT 1").fetchone()
    own, strange = _triggers(connection)
    graph, events = columns(connection, GRAPH), columns(connection, EVENTS)
    index = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (SEARCHED,)).fetchone()
    obstacle = strange
    if not vectors.known:
        obstacle = obstacle or f"its table {VECTORS} is not one that Memory Service makes"
    if index and _plain(str(index[0])) != _plain(SEARCH_TABLE):
        obstacle = obstacle or f"its table {SEARCHED} is not one that Memory Service makes"
    if used and not (events >= _OF_EVENTS and columns(connection, "metadata") >= _OF_CLOCK):
        obstacle = obstacle or "its log of changes is in use, and is not one that Memory Service keeps"
    return Layout(
        _declared(connection),
        vectors.dimension,
        vectors.metric,
        vectors.partitioned,
        graph if has_links(connection) else frozenset(),
        events if used else frozenset(),
        own,
        index is not None,
        obstacle or _rows(connection),
        {name: usual for name, usual in required_columns(connection, TABLE) if name not in _SAID},
        is_utf8(connection),
    )


def has_links(connection: sqlite3.Connection) -> bool:
    """Whether there is a table of links, and it is the service's."""
    return GRAPH in tables(connection) and columns(connection, GRAPH) >= _OF_LINKS


def _rows(connection: sqlite3.Connection) -> str:
    """Why rows cannot be told apart as the service does it; empty where they can."""
    try:
        other = connection.execute(f"SELECT 1 FROM {TABLE} WHERE rowid IS NOT id LIMIT 1").fetchone()
    except sqlite3.OperationalError:
        return f"the rows of its table {TABLE} have no numbers"
    if other:
        return f"the ids of its table {TABLE} are not the numbers of its rows"
    [twice] = connection.execute(f"SELECT count(*) > count(DISTINCT content_hash) FROM {TABLE}").fetchone()
    return "several of its memories have one content_hash, or none" if twice else ""


def _declared(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute(f"PRAGMA table_info({quote(TABLE)})")
    return {row[1]: str(row[2]).upper() for row in rows}


def _triggers(connection: sqlite3.Connection) -> tuple[tuple[tuple[str, str], ...], str]:
    """The service's triggers; and what is wrong where there are others, which may do anything."""
    own = []
    known = {_plain(trigger) for trigger in TRIGGERS}
    for name, sql in connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"):
        if _plain(str(sql)) not in known:
            return (), f"it has a trigger ({name}) that is not the service's and would act on every write"
        own.append((str(name), str(sql)))
    return tuple(own), ""


def _plain(sql: str) -> str:
    """A statement without the differences that mean nothing."""
    return re.sub(r"\s+", "", sql.replace("IF NOT EXISTS ", "")).rstrip(";").lower()
