"""What a table of memories has no place for, and what is lost by that. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from memdefrag.base.errors import UsageError
from memdefrag.model.records import MemoryRecord
from memdefrag.stores.postgres import rows
from memdefrag.stores.postgres.tables import UUID, Column, Role, Table

TIME_TOLERANCE = 0.001
"""Seconds. Programs that keep milliseconds lose nothing they would show."""


def fit_row(record: MemoryRecord, table: Table) -> tuple[MemoryRecord, tuple[str, ...]]:
    """The record as a row of the table will give it back, and what of it is lost, in words."""
    clean, zeros = storable(record)
    clean, vector = _with_fitting_vector(clean, table)
    fitted = rows.normal(_owned(clean, table), table)
    return fitted, (*zeros, *vector, *_lost(clean, fitted, table))


def _owned(record: MemoryRecord, table: Table) -> MemoryRecord:
    """The record with another owner, where one is named and its own is nobody that the table takes."""
    stranger = table.users is not None and record.owner not in table.users
    return replace(record, owner=table.default_owner) if stranger and table.default_owner else record


def fitting_id(id: str, column: Column, kind: str) -> str:
    """The id as the column takes it; a uuid is made of one that is none, the same every time.

    Raises:
        UsageError: the column takes numbers only, and it is none.
    """
    clean = _clean(id)
    if column.type == "uuid":
        lower = clean.lower()
        return lower if UUID.fullmatch(lower) else str(uuid5(NAMESPACE_URL, f"memdefrag:{kind}:{clean}"))
    if column.type in ("smallint", "integer", "bigint") and not clean.isdecimal():
        raise UsageError(f"The ids of the target are numbers, and {id!r} is none.")
    return clean


def storable(record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
    """The record without the zero bytes that PostgreSQL has no place for; in metadata values `model.codec` spelled
    them out."""
    clean = replace(
        record,
        text=None if record.text is None else _clean(record.text),
        tags=tuple(_clean(tag) for tag in record.tags),
        owner=None if record.owner is None else _clean(record.owner),
        extras={_clean(name): _cleaned(value) for name, value in record.extras.items()},
        metadata={_clean(name): value for name, value in record.metadata.items()},
    )
    return clean, ("zero bytes or half characters (replaced)",) if clean != record else ()


def _clean(text: str) -> str:
    text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _cleaned(value: Any) -> Any:
    return _clean(value) if isinstance(value, str) else value


def _with_fitting_vector(record: MemoryRecord, table: Table) -> tuple[MemoryRecord, tuple[str, ...]]:
    """pgvector refuses vectors of another length than the column's."""
    column = table.roles.get(Role.EMBEDDING)
    if record.embedding is None or (column is not None and column.dimension in (None, len(record.embedding))):
        return record, ()
    taken = "no vectors" if column is None else f"{column.dimension} dimensions"
    loss = f"a vector of {len(record.embedding)} dimensions (the table takes {taken})"
    return replace(record, embedding=None), (loss,)


def _lost(record: MemoryRecord, fitted: MemoryRecord, table: Table) -> Iterator[str]:
    if record.state is not fitted.state:
        yield f"the state {record.state.value!r}"
    if (record.created, record.updated) != (fitted.created, fitted.updated):
        yield from _lost_times(record, fitted)
    if fitted.owner is None and table.roles[Role.OWNER].not_null:
        yield "the absence of an owner (one must be named)"
    if record.owner not in (None, fitted.owner):
        yield "an owner that is no user of the database (another is written)"
    for name, value in record.extras.items():
        kept = name in fitted.extras and fitted.extras[name] == value
        if not kept and name != table.hash_column and not rows.is_meant(name, value, table):
            yield f"the value of {name!r}"
    for name in record.metadata.keys() - {rows.TAGS}:
        if name not in fitted.metadata:
            yield f"the value of {name!r}"
    if not isinstance(record.metadata.get(rows.TAGS, []), list) and record.metadata[rows.TAGS] != fitted.metadata.get(
        rows.TAGS
    ):
        yield f"the value of {rows.TAGS!r}"


def _lost_times(record: MemoryRecord, fitted: MemoryRecord) -> Iterator[str]:
    if record.created is None and record.updated is None:
        yield "the absence of a time (1970 is written)"
    elif any(
        one is not None and (other is None or abs(one - other) > TIME_TOLERANCE)
        for one, other in ((record.created, fitted.created), (record.updated, fitted.updated))
    ):
        yield "a time that the database has no place for"
