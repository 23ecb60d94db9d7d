"""Rows of the table of memories as records, and records as rows.

A column that says what it says of every new row (`version` 1, `access_level` "user") says nothing of a record, nor do
those that say how a text is stored.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from memdefrag.model.records import Key, MemoryRecord, Metadata, State
from memdefrag.model.service_metadata import moment, read, restate, state_of
from memdefrag.model.terms import title_of
from memdefrag.stores.enhanced_memory.layout import FIRST_USER, METADATA, Layout
from memdefrag.stores.enhanced_memory.texts import compressed, decompressed
from memdefrag.stores.foreign_sqlite import TABLE, floats, holds, metadata_of, rest, sql_value, text

_PLACED = frozenset(
    {"id", "content", METADATA, "embedding_vector", "owner_id", "created_at", "updated_at", "is_active",
     "content_compressed", "content_size"}
)  # fmt: skip
_USUAL: Metadata = {"version": 1, "access_level": "user", "access_count": 0}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_row(
    connection: sqlite3.Connection, row: sqlite3.Row, layout: Layout, *, vectors: bool = True
) -> tuple[MemoryRecord, list[str]]:
    """The memory of a row, and what is wrong with it; never fails."""
    stored = dict(row)
    extras = {name: value for name, value in rest(row, _PLACED).items() if value != _USUAL.get(name)}
    metadata = metadata_of(stored[METADATA], METADATA, extras)
    faults = ["metadata that cannot be read"] if METADATA in extras else []
    content, fault = _content(connection, stored, layout)
    faults += [fault] if fault else []
    size = stored.get("content_size")
    if isinstance(size, int) and len(content or "") < size:
        # The system's own reading of previews wrote the first characters back.
        faults.append(f"less text than the {size:,} characters it once had")
    if content and content.startswith("file://"):
        faults.append("its text in a file of its own, which is not part of the database")
    vector = floats(stored.get("embedding_vector"))
    if vector is None and stored.get("embedding_vector"):
        faults.append("a vector that cannot be read")
    record = MemoryRecord(
        Key(TABLE, str(stored["id"])),
        content,
        metadata,
        vector if vectors else None,
        read(metadata).tags,
        created=moment(stored["created_at"]),
        updated=moment(stored.get("updated_at")),
        owner=text(stored.get("owner_id")),
        state=_state(stored.get("is_active") == 0, metadata, layout),
        extras=extras,
    )
    return record, faults


def values(record: MemoryRecord, layout: Layout) -> dict[str, Any]:
    """What each column but those of text and vector says of a (fitted) record; the inverse of `read_row`."""
    said: dict[str, Any] = {
        METADATA: sql_value(record.extras.get(METADATA, json.dumps(record.metadata))),
        "owner_id": record.owner,
        "created_at": time_text(record.created),
        "updated_at": time_text(record.updated),
        "is_active": int(record.state is not State.DELETED),
    }
    said |= {
        name: sql_value(record.extras.get(name, _USUAL.get(name))) for name in layout.columns if name not in _PLACED
    }
    return {name: value for name, value in said.items() if name in layout.columns}


def content_values(content: str, layout: Layout) -> dict[str, Any]:
    """What the columns say of a text that is written."""
    if not layout.compresses:
        return {"content": content}
    packed = compressed(content)
    return {
        "content": content if packed is None else packed,
        "content_compressed": int(packed is not None),
        "content_size": len(content),
    }


def placed(record: MemoryRecord, layout: Layout, owner: str | None) -> tuple[MemoryRecord, list[str]]:
    """The record with tags, times, owner, state and extras as the columns hold them; and what is lost by that.

    Args:
        owner: of memories whose own is no user of the database.
    """
    metadata, extras = record.metadata, dict(record.extras)
    losses: list[str] = []
    tags = tuple(tag for tag in record.tags if tag)
    if tags != read(metadata).tags:
        metadata = _tagged(metadata, tags)
    for name, loss in _unheld(replace(record, metadata=metadata), layout):
        del extras[name]
        losses.append(loss)
    for name, usual in _USUAL.items():
        if extras.get(name) == usual:
            del extras[name]
    if "title" in layout.required and "title" not in extras:
        extras["title"] = title_of(record.text)
    created, updated = held_time(record.created), held_time(record.updated)
    if "updated_at" not in layout.columns:
        updated = None
    if (created is None) != (record.created is None) or (updated is None) != (record.updated is None):
        losses.append("a time that the database has no place for")
    state = _state(record.state is State.DELETED and "is_active" in layout.columns, metadata, layout)
    if state is not record.state:
        losses.append(f"the state {record.state.value!r}")
    kept, lost = _owner(record.owner, layout, owner)
    fitted = replace(
        record, metadata=metadata, tags=read(metadata).tags, created=created, updated=updated, owner=kept, state=state,
        extras=extras,
    )  # fmt: skip
    return fitted, [*losses, *lost]


def time_text(seconds: float | None) -> str | None:
    """A moment as the system writes it; None where it is none, or outside the years 1 to 9999."""
    if seconds is None:
        return None
    try:
        when = _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None
    return when.replace(tzinfo=None).isoformat(" ", "microseconds")


def held_time(seconds: float | None) -> float | None:
    """The moment as it reads back."""
    return moment(time_text(seconds))


def _content(connection: sqlite3.Connection, stored: dict[str, Any], layout: Layout) -> tuple[str | None, str]:
    """The text of a row, wherever and however it is stored, and what is wrong with it."""
    content = text(stored["content"])
    if not stored.get("content_compressed"):
        return content, ""
    if content or not layout.has_chunks:
        return decompressed(content or "")
    chunks = connection.execute(
        "SELECT chunk_data, compression_type FROM memory_chunks WHERE memory_id = ? ORDER BY chunk_index",
        (stored["id"],),
    )
    parts = [(str(text(data)), "") if kind == "none" else decompressed(str(text(data))) for data, kind in chunks]
    return "".join(part for part, _ in parts), next((fault for _, fault in parts if fault), "")


def _unheld(record: MemoryRecord, layout: Layout) -> Iterator[tuple[str, str]]:
    """The extras that would not read back as they are, each with what is lost by that."""
    for name, value in record.extras.items():
        if name == METADATA:
            kept: Metadata = {}
            metadata_of(sql_value(value), METADATA, kept)
            if record.metadata or kept != {METADATA: value}:
                yield name, "metadata that is not JSON"
        elif name not in layout.columns or name in _PLACED or not holds(layout.columns[name], value):
            yield name, f"the value of {name!r}"
        elif name == "context_id" and str(value) not in layout.contexts:
            yield name, f"the context {value} (there is none of that number)"


def _tagged(metadata: Metadata, tags: tuple[str, ...]) -> Metadata:
    """The metadata saying these tags, as a list where they stand nowhere yet."""
    if read(metadata).tags or any(isinstance(metadata.get(name), str) for name in ("tags", "tags_str")):
        restated = restate(metadata, tags=tags, created=None, updated=None)
        if read(restated).tags == tags:
            return restated
    return {**{name: value for name, value in metadata.items() if name != "tags_str"}, "tags": list(tags)}


def _state(deleted: bool, metadata: Metadata, layout: Layout) -> State:
    """Where a column says whether a memory is deleted, metadata of that meaning mean what their writer wants."""
    if deleted:
        return State.DELETED
    if "is_active" in layout.columns:
        metadata = {name: value for name, value in metadata.items() if name != "deleted_at"}
    return state_of(metadata)


def _owner(named: str | None, layout: Layout, default: str | None) -> tuple[str | None, list[str]]:
    """Whose memory it will be, and what is lost by that."""
    if named in layout.users or not (layout.has_users or "owner_id" in layout.required):
        return named, []
    if named is None and "owner_id" not in layout.required:
        return None, []
    if not layout.users and named is not None and _is_user_number(named):
        return named, []
    owner = default or next(iter(layout.users), FIRST_USER)
    written = f"(the user {layout.users.get(owner) or owner} is written)"
    if named is None:
        return owner, [f"the absence of an owner {written}"]
    return owner, [f"an owner that is no user of the database {written}"]


def _is_user_number(name: str) -> bool:
    return name.isascii() and name.isdecimal() and name == str(int(name)) and 0 < int(name) < 1 << 31
