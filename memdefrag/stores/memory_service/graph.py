"""Links between memories: rows of ``memory_graph(source_hash, target_hash, similarity, connection_types, metadata,
created_at, relationship_type)``, at most one from one memory to another."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from memdefrag.model.records import Key, Relation
from memdefrag.model.service_metadata import moment
from memdefrag.stores.foreign_sqlite import TABLE, metadata_of, rest, value
from memdefrag.stores.memory_export_rows import storable
from memdefrag.stores.memory_service.layout import GRAPH, Layout, has_links

TYPES = "connection_types"
_PLACED = frozenset({"source_hash", "target_hash", "similarity", "created_at", "metadata"})
_RELATED = "related"
_ANY_TYPES = '["semantic"]'


def read_relations(connection: sqlite3.Connection, store: str) -> Iterator[Relation]:
    """All links. `store`: the SQL for the store of a memory."""
    if not has_links(connection):
        return
    stores = dict(connection.execute(f"SELECT content_hash, {store} FROM {TABLE}"))
    for row in connection.execute(f"SELECT * FROM {GRAPH} ORDER BY source_hash, target_hash"):
        others = rest(row, _PLACED)
        kind = str(others.pop("relationship_type", _RELATED))
        metadata = metadata_of(row["metadata"], "metadata", others)
        strength = row["similarity"]
        if not isinstance(strength, int | float | None):
            others["similarity"], strength = value(strength), None
        yield Relation(
            _end(row["source_hash"], stores), _end(row["target_hash"], stores), kind, strength,
            {**others, **metadata}, moment(row["created_at"]),
        )  # fmt: skip


def fit_relation(relation: Relation, layout: Layout) -> tuple[Relation | None, tuple[str, ...]]:
    """The link as its row will say it, and what is lost by that, in words."""
    if not layout.graph:
        return None, ("links (this version of the database has no place for them)",)
    if end_hash(relation.source) == end_hash(relation.target):
        return None, ("a link of a memory with itself",)
    losses = []
    kind = relation.type if "relationship_type" in layout.graph else _RELATED
    if kind != relation.type:
        losses.append("the type of a link")
    source, target = (storable(end) if isinstance(end, str) else end for end in (relation.source, relation.target))
    if (storable(kind), source, target) != (kind, relation.source, relation.target):
        kind = storable(kind)
        losses.append("half characters in a link (replaced by question marks)")
    strength, created = relation.strength, moment(relation.created)
    if strength is None:
        strength = 0.0
        losses.append("that a link has no strength (0 is written)")
    if created is None:
        created = 0.0
        losses.append("that a link has no time (1970 is written)")
    metadata = {TYPES: _ANY_TYPES, **relation.metadata}
    if not isinstance(metadata[TYPES], str):
        metadata[TYPES] = json.dumps(metadata[TYPES])
    return Relation(source, target, kind, float(strength), metadata, created), tuple(losses)


def row_of(relation: Relation, layout: Layout) -> dict[str, Any]:
    """What each column says of a (fitted) link; the inverse of reading."""
    metadata = {name: value for name, value in relation.metadata.items() if name != TYPES}
    own = {name: metadata.pop(name) for name in layout.graph - _PLACED if name in metadata}
    said = {
        "source_hash": end_hash(relation.source),
        "target_hash": end_hash(relation.target),
        "similarity": relation.strength,
        "metadata": json.dumps(metadata),
        "created_at": relation.created,
        "relationship_type": relation.type,
        TYPES: relation.metadata[TYPES],
        **own,
    }
    return {name: value for name, value in said.items() if name in layout.graph}


def end_hash(end: Key | str) -> str:
    """What the table names an end of a link by."""
    return storable(end.id if isinstance(end, Key) else end)


def _end(content_hash: Any, stores: dict[Any, str]) -> Key | str:
    """One end of a link: a memory's key, or the hash of one that is gone."""
    known = stores.get(content_hash)
    return str(content_hash) if known is None else Key(known, str(content_hash))
