"""A row as a memory, and a memory as a row. Pure.

A column with a meaning becomes a part of the record; all others are kept in its extras. Where a column's text is not
exactly what we would write for its meaning (NULL tags, an infinite time, JSON numbers beyond Python's), the text is
kept in the extras too and is written back as it was, as long as the meaning stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from memdefrag.model.hashing import text_hash
from memdefrag.model.records import Key, MemoryRecord, State
from memdefrag.stores.postgres import values
from memdefrag.stores.postgres.tables import Column, Role, Table

Row = dict[str, str | None]
"""Text by column; None is NULL."""

_EMPTY = {"boolean": "false", "smallint": "0", "integer": "0", "bigint": "0", "real": "0", "double precision": "0"}
TAGS = "tags"
"""Key of the metadata that holds the tags where there is no column for them."""


def read(row: Mapping[str, str | None], table: Table, *, vectors: bool = True) -> MemoryRecord:
    """The memory of a row; never fails. Without `vectors` the vector is left out, and nothing else."""
    meant: dict[Role, Any] = {}
    extras: dict[str, Any] = {}
    for column in table.columns:
        raw, role = row[column.name], table.meanings.get(column.name)
        if role is None:
            extras[column.name] = _extra(raw, column)
            continue
        meant[role] = _meaning(raw, role)
        if not _says_all(meant[role], raw, column, role):
            extras[column.name] = raw
    if table.hash_column and extras[table.hash_column] == text_hash(meant[Role.TEXT] or ""):
        del extras[table.hash_column]
    metadata = meant[Role.METADATA]
    return MemoryRecord(
        Key(table.name, meant[Role.ID]),
        meant[Role.TEXT],
        metadata,
        meant.get(Role.EMBEDDING) if vectors else None,
        tags=meant[Role.TAGS] if Role.TAGS in meant else _tags_in(metadata),
        created=meant.get(Role.CREATED),
        updated=meant.get(Role.UPDATED),
        owner=meant.get(Role.OWNER),
        state=State.DELETED if meant.get(Role.DELETED) else State.LIVE,
        extras=extras,
    )


def write(record: MemoryRecord, table: Table) -> Row:
    """What every column says of the memory; the inverse of `read`. What the record does not say is filled in."""
    meant = _meanings(record, table)
    times = {Role.CREATED: record.created, Role.UPDATED: record.updated}
    row: Row = {}
    for column in table.columns:
        role, kept = table.meanings.get(column.name), record.extras.get(column.name)
        if role is None:
            row[column.name] = _other(record, column, table)
            continue
        text = _text(meant[role], column, role)
        said = times[role] if role in times else _meaning(text, role)
        same = column.name in record.extras and _same(_meaning(kept, role), said)
        row[column.name] = kept if same and not (kept is None and column.not_null) else text
    return row


def normal(record: MemoryRecord, table: Table) -> MemoryRecord:
    """The record as it will be read after it was written. Its vector comes back bit for bit, so it is left out."""
    column = table.roles.get(Role.EMBEDDING)
    bare = record
    if record.embedding is not None and column is not None:
        others = {name: value for name, value in record.extras.items() if name != column.name}
        bare = replace(record, embedding=None, extras=others)
    return replace(read(write(bare, table), table), key=record.key, embedding=record.embedding)


def is_meant(name: str, raw: Any, table: Table) -> bool:
    """Whether the text of a column says no more than its meaning, so that nothing is lost when that changes."""
    role = table.meanings.get(name)
    if role is None or not isinstance(raw, str):
        return role is not None and raw is None
    readers = {Role.METADATA: values.read_object, Role.TAGS: values.read_array, Role.EMBEDDING: values.read_vector}
    return readers.get(role, values.read_time)(raw) is not None


def _says_all(meaning: Any, raw: str | None, column: Column, role: Role) -> bool:
    """Whether the text can be told from its meaning. Numbers of a vector may be printed in more ways than one."""
    if role is Role.EMBEDDING:
        return (meaning is None) == (raw is None)
    return role is Role.ID or _text(meaning, column, role) == raw


def _meaning(raw: str | None, role: Role) -> Any:
    """What a column's text says; the empty value where it says nothing we understand."""
    match role:
        case Role.EMBEDDING:
            return None if raw is None else values.read_vector(raw)
        case Role.METADATA:
            return {} if raw is None else values.read_object(raw) or {}
        case Role.TAGS:
            return () if raw is None else values.read_array(raw) or ()
        case Role.CREATED | Role.UPDATED:
            return None if raw is None else values.read_time(raw)
        case Role.DELETED:
            return raw == "true"
    return raw


def _text(meaning: Any, column: Column, role: Role) -> str | None:
    """The text of a meaning. Nothing said is NULL, or something empty where the column wants a value."""
    match role:
        case Role.EMBEDDING:
            return None if meaning is None else values.write_vector(meaning, array=column.type.endswith("[]"))
        case Role.METADATA:
            return values.write_json(meaning) if meaning or column.not_null else None
        case Role.TAGS:
            return values.write_array(meaning)
        case Role.CREATED | Role.UPDATED:
            written = None
            if meaning is not None:
                written = values.write_time(meaning, column.time_digits or 0, zone=column.has_zone)
            return values.write_time(0.0, 0, zone=column.has_zone) if written is None and column.not_null else written
        case Role.DELETED:
            return "true" if meaning else "false"
        case Role.TEXT:
            return "" if meaning is None and column.not_null else meaning
    return None if meaning is None else str(meaning)


def _meanings(record: MemoryRecord, table: Table) -> dict[Role, Any]:
    """What the record says to each role. A time it lacks is told by the other one."""
    metadata = record.metadata
    if Role.TAGS not in table.roles and _tags_in(metadata) != record.tags:
        metadata = {**metadata, TAGS: list(record.tags)}
    created, updated = record.created, record.updated
    return {
        Role.ID: record.key.id,
        Role.TEXT: record.text,
        Role.EMBEDDING: record.embedding,
        Role.METADATA: metadata,
        Role.TAGS: record.tags,
        Role.CREATED: updated if created is None and table.roles[Role.CREATED].not_null else created,
        Role.UPDATED: created if updated is None and table.roles[Role.UPDATED].not_null else updated,
        Role.OWNER: table.default_owner if record.owner is None else record.owner,
        Role.DELETED: record.state is State.DELETED,
    }


def _tags_in(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    tags = metadata.get(TAGS)
    return tuple(tags) if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags) else ()


def _extra(raw: str | None, column: Column) -> Any:
    """A column of no known meaning as a JSON value of the same type, as far as there is one."""
    if raw is not None and column.type == "boolean":
        return raw == "true"
    return int(raw) if raw is not None and column.type in ("smallint", "integer", "bigint") else raw


def _other(record: MemoryRecord, column: Column, table: Table) -> str | None:
    """The text of a column of no known meaning: as the extras say, else something empty."""
    value = record.extras.get(column.name)
    if value is None and column.name == table.hash_column and column.name not in record.extras:
        return text_hash(record.text or "")
    if value is None:
        return _nothing(record, column) if column.not_null else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _nothing(record: MemoryRecord, column: Column) -> str | None:
    if column.time_digits is not None:
        known = record.updated or record.created or 0.0
        return values.write_time(known, column.time_digits, zone=column.has_zone)
    if column.type.endswith("[]") or column.type in ("json", "jsonb"):
        return "{}"
    return _EMPTY.get(column.type, "" if column.type.startswith(("text", "character varying")) else None)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=True)
    return type(one) is type(other) and bool(one == other)
