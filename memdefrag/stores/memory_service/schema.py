"""The tables of a new database, as version 12.4 of the service makes them.

So the service finds nothing to upgrade: its registry names the migrations that would have made these tables, with the
checksums of their files. From a database that version 12.4.0 made, and from its ``storage/migrations``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from memdefrag.base.errors import UsageError
from memdefrag.model.plan import Changes
from memdefrag.stores.memory_service.layout import SEARCH_TABLE, TRIGGERS, Layout
from memdefrag.stores.memory_service.library import Execute
from memdefrag.stores.memory_service.vectors import VECTORS

METRICS = ("cosine", "l2")
"""By which a database can be searched, the service's own first; versions before 8 have the other."""
USUAL_DIMENSION = 384
"""Of the model that the service takes where it is told of none."""

_MEMORIES = {
    "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "content_hash": "TEXT UNIQUE NOT NULL",
    "content": "TEXT NOT NULL",
    "tags": "TEXT",
    "memory_type": "TEXT",
    "metadata": "TEXT",
    "created_at": "REAL",
    "updated_at": "REAL",
    "created_at_iso": "TEXT",
    "updated_at_iso": "TEXT",
    "deleted_at": "REAL DEFAULT NULL",
    "store": "TEXT DEFAULT 'default'",
    "parent_id": "TEXT",
    "version": "INTEGER DEFAULT 1",
    "confidence": "REAL DEFAULT 1.0",
    "last_accessed": "INTEGER",
    "superseded_by": "TEXT",
    "embedding_pending": "INTEGER NOT NULL DEFAULT 0",
}
_GRAPH = {
    "source_hash": "TEXT NOT NULL",
    "target_hash": "TEXT NOT NULL",
    "similarity": "REAL NOT NULL",
    "connection_types": "TEXT NOT NULL",
    "metadata": "TEXT",
    "created_at": "REAL NOT NULL",
    "relationship_type": "TEXT DEFAULT 'related'",
}
_EVENTS = (
    "seq INTEGER PRIMARY KEY AUTOINCREMENT, schema_version INTEGER NOT NULL DEFAULT 1, agent_id TEXT, "
    "event_id TEXT NOT NULL, op TEXT NOT NULL, content_hash TEXT NOT NULL, payload TEXT NOT NULL, "
    "created_at REAL NOT NULL, created_at_iso TEXT, hlc_physical INTEGER, hlc_logical INTEGER, embedding_model TEXT, "
    "embedding_dim INTEGER, UNIQUE(agent_id, event_id)"
)
_BELIEFS = (
    "id INTEGER PRIMARY KEY AUTOINCREMENT, belief_hash TEXT UNIQUE NOT NULL, content TEXT NOT NULL, "
    "confidence REAL NOT NULL DEFAULT 0.5, status TEXT NOT NULL DEFAULT 'candidate', created_at TEXT NOT NULL, "
    "updated_at TEXT NOT NULL, derived_from TEXT NOT NULL DEFAULT '[]', contradicted_by TEXT NOT NULL DEFAULT '[]', "
    "metadata TEXT DEFAULT '{}'"
)
_CURSOR = (
    "peer_id TEXT PRIMARY KEY, last_seq_seen INTEGER NOT NULL DEFAULT 0, last_hlc_physical INTEGER, "
    "last_hlc_logical INTEGER, updated_at REAL NOT NULL"
)
_PUSHED = "peer_id TEXT PRIMARY KEY, last_seq_pushed INTEGER NOT NULL DEFAULT 0, updated_at REAL NOT NULL"
_REGISTRY = (
    "version INTEGER PRIMARY KEY, name TEXT NOT NULL, filename TEXT NOT NULL, applied_at TEXT NOT NULL, checksum TEXT"
)


def _columns(described: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in described.items())


_TABLES = {
    "metadata": "key TEXT PRIMARY KEY, value TEXT NOT NULL",
    "memories": _columns(_MEMORIES),
    "migration_registry": _REGISTRY,
    "memory_graph": f"{_columns(_GRAPH)}, PRIMARY KEY (source_hash, target_hash)",
    "beliefs": _BELIEFS,
    "sync_events": _EVENTS,
    "sync_cursor": _CURSOR,
    "push_cursor": _PUSHED,
}
_INDEXES = {
    "idx_content_hash": "memories(content_hash)",
    "idx_created_at": "memories(created_at)",
    "idx_memory_type": "memories(memory_type)",
    "idx_deleted_at": "memories(deleted_at)",
    "idx_memories_embedding_pending": "memories(embedding_pending)",
    "idx_graph_source": "memory_graph(source_hash)",
    "idx_graph_target": "memory_graph(target_hash)",
    "idx_graph_relationship": "memory_graph(relationship_type)",
    "idx_beliefs_status": "beliefs(status)",
    "idx_beliefs_confidence": "beliefs(confidence)",
    "idx_sync_events_hash": "sync_events(content_hash)",
    "idx_sync_events_seq": "sync_events(seq)",
    "idx_sync_events_op": "sync_events(op, content_hash)",
    "idx_sync_events_hlc": "sync_events(hlc_physical, hlc_logical, agent_id, event_id)",
    "idx_sync_cursor_updated": "sync_cursor(updated_at)",
    "idx_push_cursor_updated": "push_cursor(updated_at)",
}
_MIGRATIONS = (
    (8, "add_graph_table", "2f9a9790446132e799e98216c8b63817370806f5f8cae6c07a1a2f72df2db526"),
    (9, "add_relationship_type", "1ac4592fe01144b1274de6a255661c40c4d1e80034a8521bc6e65bfdfaaf640a"),
    (10, "fix_asymmetric_relationships", "cfd32afb02e75faee4054eea5deb807c812bd9df95f09958f6a8e1e88da98a4f"),
    (11, "memory_evolution_p1", "0701f310c540c4d00df1cb1889315b729ea1c8e0a77db8561ceff96d848f5a43"),
    (12, "add_belief_store", "7c8ba14e31023c3d8c94b74436c9160c76744066a0d4ffb3a5d7b3253d9df318"),
    (15, "add_sync_events", "e178451d72dde5cf414cebbfba5a8fa77c9a5a1781d6e2ebc371273605f315cb"),
    (16, "add_hlc_to_sync_events", "50c08256872940e289fab24a56e9fa93c8f15261fdedc31ff6fefb3a666a1dd8"),
    (17, "add_embedding_consistency", "ede2fa157a74ea4b232bac5b7cd09ea8dafaf6a0f1c5fc0e8fd781649cfb4e66"),
    (18, "add_sync_cursor", "694dd8917ec1c7979cfe0c494a6f12070f3abcd8683745a5fe65aa275c23aac4"),
    (19, "add_push_cursor", "df1886eb50d9de69784c8a0dc15fca81151689c1e1f22c656a7e8c417b459d76"),
)

FRESH = Layout(
    {name: kind.split()[0] for name, kind in _MEMORIES.items()},
    graph=frozenset(_GRAPH),
    searched=True,
)
"""What a new database has, but for its vectors."""


def dimension_of(changes: Changes) -> int:
    """How long the vectors of a new database are to be.

    Raises:
        UsageError: they are of different lengths, and a database holds vectors of one.
    """
    told = {info.dimension for info in changes.collections if info.dimension}
    told |= {len(put.record.embedding) for put in changes.put if put.record.embedding is not None}
    if len(told) > 1:
        raise UsageError(
            f"The vectors have {' and '.join(map(str, sorted(told)))} dimensions; a database of Memory Service holds "
            "vectors of one model.",
            todo="Bring them together by re-embedding, or make a database for each.",
        )
    return told.pop() if told else USUAL_DIMENSION


def metric_of(changes: Changes) -> str:
    """By which metric a new database is to be searched.

    Raises:
        UsageError: the collections have different ones, or one that the service has not.
    """
    told = {info.metric for info in changes.collections} or {METRICS[0]}
    if len(told) > 1 or not told <= set(METRICS):
        raise UsageError(
            f"A database of Memory Service is searched by cosine or l2, not by {' and '.join(sorted(told))}."
        )
    return told.pop()


def make(execute: Execute, dimension: int, metric: str) -> None:
    """Make the tables inside an open transaction, but for the triggers, which fill the index while rows are written."""
    for statement in _statements(dimension, metric):
        execute(statement)
    now = datetime.now(UTC).isoformat()
    for version, name, checksum in _MIGRATIONS:
        execute(
            "INSERT INTO migration_registry VALUES (?, ?, ?, ?, ?)",
            (version, name, f"{version:03}_{name}.sql", now, checksum),
        )
    told = {"fts5_enabled": "true", "schema_version": str(_MIGRATIONS[-1][0])}
    if metric == "cosine":
        told["distance_metric"] = metric
    for key, value in told.items():
        execute("INSERT INTO metadata VALUES (?, ?)", (key, value))


def finish(execute: Execute) -> None:
    """Make the triggers."""
    for trigger in TRIGGERS:
        execute(trigger)


def _statements(dimension: int, metric: str) -> Iterator[str]:
    # Not statements of a stranger's words: everything stands above, but for a number.
    yield from (f"CREATE TABLE {name} ({described})" for name, described in _TABLES.items())
    yield from (f"CREATE INDEX {name} ON {place}" for name, place in _INDEXES.items())
    yield SEARCH_TABLE
    how = " distance_metric=cosine" if metric == "cosine" else ""
    described = f"content_embedding FLOAT[{dimension}]{how}, store TEXT partition key"
    yield f"CREATE VIRTUAL TABLE {VECTORS} USING vec0({described})"
