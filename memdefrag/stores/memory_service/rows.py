"""Rows of the table of memories as records, and records as rows.

A column that says what it says of every new row (`version` 1, `confidence` 1) says nothing of a record. The ISO columns
repeat the times beside them; `embedding_pending` is the service's own mark of a vector still to be made. Whether a
memory is deleted or replaced only its columns say, as for the service: metadata of these names mean what their writer
wants.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from dataclasses import replace
from math import isfinite
from typing import Any

from memdefrag.model.records import Key, MemoryRecord, Metadata, State, Vector
from memdefrag.model.service_metadata import iso, moment, piece_of, read
from memdefrag.stores.foreign_sqlite import BYTES, metadata_of, rest, text
from memdefrag.stores.memory_export_rows import storable
from memdefrag.stores.memory_service.layout import Layout

_PLACED = frozenset(
    {"id", "content_hash", "content", "tags", "metadata", "created_at", "updated_at", "created_at_iso",
     "updated_at_iso", "store", "embedding_pending"}
)  # fmt: skip
_USUAL: Metadata = {"version": 1, "confidence": 1.0}


def read_row(row: sqlite3.Row, collection: str, vector: Vector | None) -> MemoryRecord:
    """The memory of a row; never fails."""
    extras = {name: value for name, value in rest(row, _PLACED).items() if value != _USUAL.get(name)}
    metadata = metadata_of(row["metadata"], "metadata", extras)
    return MemoryRecord(
        Key(collection, str(text(row["content_hash"]))),
        text(row["content"]),
        metadata,
        vector,
        _tags(text(row["tags"])),
        created=_time(row, "created_at"),
        updated=_time(row, "updated_at"),
        state=_state(metadata, extras),
        extras=extras,
    )


def values(record: MemoryRecord, layout: Layout) -> dict[str, Any]:
    """What each column says of a (fitted) record; the inverse of `read_row`."""
    said: dict[str, Any] = {
        "content": record.text,
        "tags": ",".join(record.tags),
        "metadata": _sql(record.extras.get("metadata", json.dumps(record.metadata))),
        "created_at": record.created,
        "updated_at": record.updated,
        "created_at_iso": _iso(record.created),
        "updated_at_iso": _iso(record.updated),
    }
    said |= {
        name: _sql(record.extras.get(name, _USUAL.get(name))) for name in layout.columns if name not in _PLACED
    }
    return {name: value for name, value in said.items() if name in layout.columns}


def placed(record: MemoryRecord, layout: Layout) -> tuple[MemoryRecord, list[str]]:
    """The record with tags, times, state and extras as the columns can hold them; and what is lost by that."""
    losses = []
    tags, extras = record.tags, dict(record.extras)
    joined = ",".join(_clean_tag(tag) for tag in tags)
    while (read_back := _tags(joined)) != tags:
        tags, joined = read_back, ",".join(read_back)
    if tags != record.tags:
        losses.append("tags that do not fit between commas (written differently)")
    created, updated = moment(record.created), moment(record.updated)
    if (created, updated) != (record.created, record.updated):
        losses.append("a time that is none")
    for name, value in record.extras.items():
        if type(value) is int and layout.columns.get(name) == "REAL":
            extras[name] = value = float(value)
        if not _is_held(name, value, record, layout):
            losses.append(f"the value of {name!r}")
        if not _is_held(name, value, record, layout) or value == _USUAL.get(name):
            del extras[name]
    extras = _stating(record.state, record.metadata, extras, layout)
    state = _state(record.metadata, extras)
    if state is not record.state:
        losses.append(f"the state {record.state.value!r}")
    vector = None if state is State.DELETED else record.embedding
    fitted = replace(
        record, tags=tags, created=created, updated=updated, extras=extras, state=state, embedding=vector
    )
    return fitted, losses


def _stating(state: State, metadata: Metadata, extras: Metadata, layout: Layout) -> Metadata:
    """The extras made to say the state, as far as there are columns that can."""
    if state is State.DELETED and layout.marks_deleted and _state(metadata, extras) is not State.DELETED:
        return {**extras, "deleted_at": time.time()}
    dropped = {"deleted_at"} if state is not State.DELETED else set()
    if state not in (State.DELETED, State.SUPERSEDED) and extras.get("superseded_by"):
        dropped.add("superseded_by")
    return {name: value for name, value in extras.items() if name not in dropped}


def _state(metadata: Metadata, extras: Metadata) -> State:
    if extras.get("deleted_at") is not None:
        return State.DELETED
    return State.SUPERSEDED if extras.get("superseded_by") else piece_of(metadata)


def _is_held(name: str, value: Any, record: MemoryRecord, layout: Layout) -> bool:
    """Whether an extra of that name has a place, and a column gives its value back as it is."""
    if name == "metadata":
        kept: Metadata = {}
        metadata_of(_sql(value), name, kept)
        return not record.metadata and kept == {name: value}
    if name not in layout.columns or name in _PLACED or isinstance(value, bool):
        return False
    declared = layout.columns[name]
    if isinstance(value, str):
        return storable(value) == value and (declared == "TEXT" or value.startswith(BYTES) or not _is_number(value))
    if isinstance(value, int):
        return declared not in ("TEXT", "REAL") and -(2**63) <= value < 2**63
    return isinstance(value, float) and isfinite(value) and declared == "REAL"


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _tags(raw: str | None) -> tuple[str, ...]:
    return read({"tags": raw}).tags


def _clean_tag(tag: str) -> str:
    """As the service itself makes a tag fit: a comma becomes a hyphen."""
    return storable(tag.strip().replace(",", "-"))


def _time(row: sqlite3.Row, name: str) -> float | None:
    """The number; of a row that has none, the ISO text beside it."""
    names = set(row.keys())
    for column in (name, f"{name}_iso"):
        found = moment(row[column]) if column in names else None
        if found is not None:
            return found
    return None


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    try:
        return iso(seconds)
    except OverflowError:
        return None


def _sql(value: Any) -> Any:
    """The value of SQLite that a JSON value stands for."""
    if isinstance(value, str) and value.startswith(BYTES):
        try:
            return base64.b64decode(value[len(BYTES) :], validate=True)
        except ValueError:
            return value
    return value
