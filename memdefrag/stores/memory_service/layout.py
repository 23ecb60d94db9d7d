"""Which parts of the format a database has: each version of the service added columns and tables.

What is there is asked of the database, never of a version number: upgraded files, and files whose upgrade stopped
half-way, differ from fresh ones.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from memdefrag.stores.foreign_sqlite import TABLE
from memdefrag.stores.memory_service.vectors import VECTORS, Vectors
from memdefrag.stores.sqlite_safe import columns, quote, tables

DEFAULT = "default"
"""What the service calls the store of rows that name none."""

GRAPH, EVENTS, SEARCHED = "memory_graph", "sync_events", "memory_content_fts"

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
    index = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (SEARCHED,)).fetchone()
    obstacle = strange
    if not vectors.known:
        obstacle = obstacle or f"its table {VECTORS} is not one that Memory Service makes"
    if index and _plain(str(index[0])) != _plain(SEARCH_TABLE):
        obstacle = obstacle or f"its table {SEARCHED} is not one that Memory Service makes"
    return Layout(
        _declared(connection),
        vectors.dimension,
        vectors.metric,
        vectors.partitioned,
        columns(connection, GRAPH) if GRAPH in tables(connection) else frozenset(),
        columns(connection, EVENTS) if used else frozenset(),
        own,
        index is not None,
        obstacle,
    )


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
