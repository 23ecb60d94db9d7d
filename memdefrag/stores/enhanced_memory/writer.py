"""Carries out changes on a staged database. Columns that would say the same keep every byte."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np

from memdefrag.base.errors import CollectionNotFound, StoreChanged, UnsupportedFormat, UsageError
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.enhanced_memory.layout import CHUNKS, RELATIONS, Layout, select_memories
from memdefrag.stores.enhanced_memory.links import is_row_number, link_values, rows_of
from memdefrag.stores.enhanced_memory.rows import content_values, read_row, values
from memdefrag.stores.enhanced_memory.schema import add_users
from memdefrag.stores.foreign_sqlite import TABLE
from memdefrag.stores.memory_export_rows import bound, slot
from memdefrag.stores.sqlite_safe import quote


def carry_out(connection: sqlite3.Connection, layout: Layout, changes: Changes, progress: Progress) -> None:
    """Write inside an open transaction: links that go, memories, links that come.

    Raises:
        UnsupportedFormat: the database has something that may not be written.
        StoreChanged: a memory or link no longer is what the changes name, or stands in the way of a new one.
        CollectionNotFound: a memory is to be in another collection than the one there is.
        UsageError: a new memory's id is no number.
    """
    if layout.obstacle:
        raise UnsupportedFormat(f"The database cannot be written: {layout.obstacle}.")
    for name in {*(put.record.key.collection for put in changes.put), *(info.name for info in changes.collections)}:
        require_collection(name)
    for number in rows_of(connection, changes.unrelate):
        connection.execute(f"DELETE FROM {RELATIONS} WHERE id = ?", (number,))
    for ref in changes.delete:
        found = _found(connection, layout, ref.key, ref.hash)
        connection.execute(f"DELETE FROM {TABLE} WHERE id = ?", (int(found.key.id),))
        _drop_chunks(connection, layout, found.key)
        progress.step()
    if layout.has_users and not layout.users:
        add_users(connection, (put.record.owner for put in changes.put if put.before is None and put.record.owner))
    for put in changes.put:
        _put(connection, layout, put)
        progress.step()
    for relation in changes.relate:
        _insert(connection, RELATIONS, link_values(relation, layout))


def require_collection(name: str) -> None:
    """Raises CollectionNotFound unless it is the only one there is."""
    if name != TABLE:
        raise CollectionNotFound(
            f"There is no collection {name!r}: a database of the Enhanced Memory System holds just {TABLE!r}.",
            todo=f"Name {TABLE!r}, or no collection.",
        )


def _put(connection: sqlite3.Connection, layout: Layout, put: Put) -> None:
    new = put.record
    if put.before is None:
        if not is_row_number(new.key.id):
            raise UsageError(f"The ids of the Enhanced Memory System are numbers, and {new.key.id!r} is none.")
        if _row(connection, new.key):
            raise StoreChanged(f"The memory {new.key} exists already.")
        said = {**values(new, layout), **content_values(new.text or "", layout), "embedding_vector": _bytes(new)}
        _insert(connection, TABLE, {"id": int(new.key.id), **said})
        _drop_chunks(connection, layout, new.key)
        return
    old = _found(connection, layout, new.key, put.before)
    was = values(old, layout)
    changed = {name: value for name, value in values(new, layout).items() if value != was[name]}
    if new.text != old.text:
        changed |= content_values(new.text or "", layout)
        _drop_chunks(connection, layout, new.key)
    if not _is_same_vector(old, new):
        changed["embedding_vector"] = _bytes(new)
    if changed:
        slots = ", ".join(f"{quote(name)} = {slot(value)}" for name, value in changed.items())
        new_values = [bound(value) for value in changed.values()]
        connection.execute(f"UPDATE {TABLE} SET {slots} WHERE id = ?", (*new_values, int(new.key.id)))


def _found(connection: sqlite3.Connection, layout: Layout, key: Key, expected: str) -> MemoryRecord:
    """The memory, if it still has the hash it must have."""
    row = _row(connection, key)
    if row is None:
        raise StoreChanged(f"The memory {key} is no longer there.")
    record, _ = read_row(connection, row, layout)
    if record_hash(record) != expected:
        raise StoreChanged(f"The memory {key} was changed meanwhile.")
    return record


def _row(connection: sqlite3.Connection, key: Key) -> sqlite3.Row | None:
    if key.collection != TABLE or not is_row_number(key.id):
        return None
    found: sqlite3.Row | None = connection.execute(
        f"{select_memories(connection)} WHERE id = ?", (int(key.id),)
    ).fetchone()
    return found


def _drop_chunks(connection: sqlite3.Connection, layout: Layout, key: Key) -> None:
    """A text that is written stands in its row: pieces of an earlier one would be taken for it."""
    if layout.has_chunks:
        connection.execute(f"DELETE FROM {CHUNKS} WHERE memory_id = ?", (int(key.id),))


def _is_same_vector(old: MemoryRecord, new: MemoryRecord) -> bool:
    if old.embedding is None or new.embedding is None:
        return old.embedding is new.embedding
    return np.array_equal(old.embedding, new.embedding)


def _bytes(record: MemoryRecord) -> bytes | None:
    return None if record.embedding is None else np.asarray(record.embedding, "<f4").tobytes()


def _insert(connection: sqlite3.Connection, table: str, said: Mapping[str, Any]) -> None:
    names = ", ".join(quote(name) for name in said)
    slots = ", ".join(slot(value) for value in said.values())
    values = [bound(value) for value in said.values()]
    connection.execute(f"INSERT INTO {quote(table)} ({names}) VALUES ({slots})", values)
