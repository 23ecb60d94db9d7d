"""Links: rows of ``relations(name, source_memory_id | source_context_id, target_memory_id | target_context_id,
owner_id, strength, relation_metadata, created_at, updated_at, is_active)``.

Either end is a memory or a context; a context is no memory, and is named ``context:ID``.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from memdefrag.base.errors import StoreChanged
from memdefrag.model.hashing import relation_hash
from memdefrag.model.records import Key, Metadata, Relation
from memdefrag.model.service_metadata import moment
from memdefrag.stores.enhanced_memory.layout import RELATIONS, Layout
from memdefrag.stores.enhanced_memory.rows import held_time, time_text
from memdefrag.stores.foreign_sqlite import TABLE, holds, metadata_of, rest, text, value
from memdefrag.stores.memory_export_rows import storable

METADATA = "relation_metadata"
CONTEXT = "context:"

_ENDS = {
    "source": ("source_memory_id", "source_context_id"),
    "target": ("target_memory_id", "target_context_id"),
}
_PLACED = frozenset({"id", "name", "strength", METADATA, "created_at", *_ENDS["source"], *_ENDS["target"]})
_OWN = {"owner_id": "INTEGER", "updated_at": "DATETIME", "is_active": "BOOLEAN"}
"""Columns that a link's metadata tells of, with their types; those of the other columns lie in the row's metadata."""


def read_link(row: sqlite3.Row) -> Relation:
    """The link of a row."""
    extras = rest(row, _PLACED)
    if extras.get("is_active") == 1:
        del extras["is_active"]
    if extras.get("updated_at") == row["created_at"]:
        extras.pop("updated_at", None)
    metadata = metadata_of(row[METADATA], METADATA, extras)
    strength = row["strength"]
    if not isinstance(strength, int | float | None):
        extras["strength"], strength = value(strength), None
    return Relation(
        _end(row, "source"), _end(row, "target"), str(text(row["name"])), strength, {**extras, **metadata},
        moment(row["created_at"]),
    )  # fmt: skip


def read_links(connection: sqlite3.Connection) -> Iterator[Relation]:
    """All links, in the order in which they were made."""
    for row in connection.execute(f"SELECT * FROM {RELATIONS} ORDER BY id"):
        yield read_link(row)


def fit_link(relation: Relation, layout: Layout, owner: str) -> tuple[Relation | None, tuple[str, ...]]:
    """The link as its row will say it, and what is lost by that; None where there is no place for it.

    Args:
        owner: of links that name none, or one who is no user of the database.
    """
    if not layout.links:
        return None, ("links (this database has no place for them)",)
    for end in (relation.source, relation.target):
        if _end_ids(end, layout) is None:
            return None, (f"a link to something that is neither a memory nor a context here ({end})",)
    losses = []
    metadata = dict(relation.metadata)
    metadata.pop(METADATA, None)
    if "owner_id" in layout.links and not (holds("INTEGER", metadata.get("owner_id")) and str(metadata["owner_id"])
                                           in layout.users):  # fmt: skip
        metadata["owner_id"] = int(owner) if owner.isdecimal() else owner
    if type(metadata.get("is_active")) is int and metadata["is_active"] == 1:
        del metadata["is_active"]
    created = held_time(relation.created)
    if (created is None) != (relation.created is None):
        losses.append("the time of a link")
    if metadata.get("updated_at") == time_text(created):
        metadata.pop("updated_at", None)
    strength = None if relation.strength is None else float(relation.strength)
    return replace(
        relation, type=storable(relation.type), strength=strength, metadata=metadata, created=created
    ), tuple(losses)


def link_values(relation: Relation, layout: Layout) -> dict[str, Any]:
    """What each column says of a (fitted) link; the inverse of `read_link`."""
    metadata = dict(relation.metadata)
    own: Metadata = {
        name: metadata.pop(name)
        for name, declared in _OWN.items()
        if name in layout.links and holds(declared, metadata.get(name))
    }
    created = time_text(relation.created)
    said = {
        "name": relation.type,
        "strength": relation.strength,
        METADATA: json.dumps(metadata) if metadata else "null",
        "created_at": created,
        **{name: value for name, value in {"updated_at": created, "is_active": 1}.items() if name in layout.links},
        **own,
    }
    for end, place in (("source", relation.source), ("target", relation.target)):
        said |= dict(zip(_ENDS[end], _end_ids(place, layout) or (None, None), strict=True))
    return said


def rows_of(connection: sqlite3.Connection, relations: Iterable[Relation]) -> list[int]:
    """The numbers of the rows that say these links, to the letter.

    Raises:
        StoreChanged: one is no longer there, or says something else.
    """
    wanted = Counter(map(relation_hash, relations))
    found = []
    if wanted:
        for row in connection.execute(f"SELECT * FROM {RELATIONS} ORDER BY id"):
            hash = relation_hash(read_link(row))
            if wanted[hash] > 0:
                wanted[hash] -= 1
                found.append(int(row["id"]))
    if any(wanted.values()):
        raise StoreChanged("A link between memories was changed meanwhile.")
    return found


def _end(row: sqlite3.Row, end: str) -> Key | str:
    """One end of a link: a memory, or else a context, named by its id."""
    memory, context = (row[name] for name in _ENDS[end])
    return f"{CONTEXT}{context}" if memory is None else Key(TABLE, str(memory))


def _end_ids(end: Key | str, layout: Layout) -> tuple[int | None, int | None] | None:
    """The ids of memory and context that name an end; None where the table cannot name it."""
    if isinstance(end, Key):
        return (int(end.id), None) if end.collection == TABLE and is_row_number(end.id) else None
    id = end.removeprefix(CONTEXT)
    if id == end or not (id == "None" or (id in layout.contexts and is_row_number(id))):
        return None
    return None, None if id == "None" else int(id)


def is_row_number(id: str) -> bool:
    """Whether an id is an integer of SQLite, written as it writes it."""
    digits = id.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and str(int(id)) == id and -(2**63) <= int(id) < 2**63
