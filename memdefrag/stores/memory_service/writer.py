"""Carries out changes on a staged database, as the service itself would.

First everything that is named is read and compared with what the changes expect, by plain SQL; only then is the library
loaded that writes vectors, and all is written in one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from memdefrag.base.errors import CollectionNotFound, StoreChanged, StoreDamaged, UnsupportedFormat
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import Key, MemoryRecord, State, Vector
from memdefrag.stores.foreign_sqlite import TABLE, select_rows
from memdefrag.stores.memory_export_rows import bound, slot
from memdefrag.stores.memory_service import graph
from memdefrag.stores.memory_service.events import tell
from memdefrag.stores.memory_service.layout import DEFAULT, GRAPH, SEARCHED, Layout
from memdefrag.stores.memory_service.library import Execute
from memdefrag.stores.memory_service.rows import read_row, values
from memdefrag.stores.memory_service.vectors import VECTORS, Vectors
from memdefrag.stores.sqlite_safe import quote


@dataclass(frozen=True, slots=True)
class Task:
    """What becomes of one row.

    Attributes:
        rowid: None where the row is to be made.
        old, new: what it says now, and is to say; None: there is no row.
        has_vector: there is an entry for it among the vectors, readable or not.
    """

    rowid: int | None
    old: MemoryRecord | None
    new: MemoryRecord | None
    has_vector: bool = False


def new_tasks(changes: Changes) -> list[Task]:
    """What is to be done in a database that is still to be made."""
    for key in (*(put.record.key for put in changes.put if put.before), *(ref.key for ref in changes.delete)):
        raise _gone(key)
    return [Task(None, None, put.record) for put in changes.put]


def tasks(connection: sqlite3.Connection, layout: Layout, changes: Changes) -> list[Task]:
    """What is to be done, deletions first.

    Args:
        connection: reads the database; rows are `sqlite3.Row`.

    Raises:
        UnsupportedFormat: the database has something that may not be written.
        StoreDamaged: its vectors contradict themselves, which sqlite-vec does not survive.
        StoreChanged: a record no longer has the hash that the changes name, or stands in the way of a new one.
        CollectionNotFound: this version has no such store.
    """
    if layout.obstacle:
        raise UnsupportedFormat(f"The database cannot be written: {layout.obstacle}.")
    vectors = Vectors(connection)
    if wrong := vectors.contradictions():
        raise StoreDamaged(
            f"The database cannot be written: {wrong[0]} ({len(wrong)} faults of that kind).",
            todo="Let Memory Service repair its vectors (scripts/maintenance), or restore a backup.",
        )
    return list(_Present(connection, layout, vectors).tasks(changes))


class _Present:
    """What the database says now of the memories that changes name."""

    def __init__(self, connection: sqlite3.Connection, layout: Layout, vectors: Vectors) -> None:
        self._connection, self._layout, self._vectors = connection, layout, vectors
        self._select = select_rows(connection)

    def tasks(self, changes: Changes) -> Iterator[Task]:
        going = set()
        for ref in changes.delete:
            task = self._found(ref.key, ref.hash)
            going.add(task.rowid)
            yield task
        for put in changes.put:
            yield from self._put(put, going)

    def _put(self, put: Put, going: set[int | None]) -> Iterator[Task]:
        record = put.record
        if not self._layout.has_stores and record.key.collection != DEFAULT:
            raise CollectionNotFound(
                f"There is no store {record.key.collection!r}: this version of the database has just {DEFAULT!r}."
            )
        if put.before is not None:
            task = self._found(record.key, put.before)
            yield Task(task.rowid, task.old, record, task.has_vector)
            return
        row = self._row(record.key.id)
        if row is not None and row["id"] not in going:
            task = self._task(row)
            # As the service does before it stores again what was deleted.
            if task.old is None or task.old.state is not State.DELETED:
                raise StoreChanged(f"The memory {record.key.id} exists already, in the store {_collection(row)!r}.")
            yield task
        yield Task(None, None, record)

    def _found(self, key: Key, expected: str) -> Task:
        row = self._row(key.id)
        if row is None or _collection(row) != key.collection:
            raise _gone(key)
        task = self._task(row)
        if task.old is None or record_hash(task.old) != expected:
            raise StoreChanged(f"The memory {key} was changed meanwhile.")
        return task

    def _task(self, row: sqlite3.Row) -> Task:
        """The row's deletion."""
        has_vector = self._connection.execute(f"SELECT 1 FROM {VECTORS}_rowids WHERE rowid = ?", (row["id"],))
        old = read_row(row, _collection(row), self._vectors.of(row["id"]))
        return Task(row["id"], old, None, has_vector.fetchone() is not None)

    def _row(self, id: str) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._connection.execute(
            f"{self._select} WHERE content_hash = {slot(id)}", (bound(id),)
        ).fetchone()
        return found


def carry_out(
    execute: Execute, layout: Layout, work: Iterable[Task], changes: Changes, progress: Progress
) -> None:
    """Write inside an open transaction: links that go, memories, links that come, and the index of words."""
    for name, _ in layout.triggers:
        execute(f"DROP TRIGGER {quote(name)}")
    for relation in changes.unrelate:
        ends = graph.end_hash(relation.source), graph.end_hash(relation.target)
        execute(f"DELETE FROM {GRAPH} WHERE source_hash = ? AND target_hash = ?", ends)
    texts_changed = False
    for task in work:
        texts_changed |= _write(execute, layout, task)
        tell(execute, layout, task.old, task.new)
        progress.step()
    for relation in changes.relate:
        _insert(execute, GRAPH, graph.row_of(relation, layout))
    for _, sql in layout.triggers:
        execute(sql)
    if layout.searched and texts_changed:
        execute(f"INSERT INTO {SEARCHED}({SEARCHED}) VALUES ('rebuild')")


def _write(execute: Execute, layout: Layout, task: Task) -> bool:
    """Write one row, its vector, and remove its links where it goes; whether the texts of the table changed."""
    old, new = task.old, task.new
    if old is not None and layout.graph and _is_going(old, new):
        end, ends = slot(old.key.id), (bound(old.key.id), bound(old.key.id))
        execute(f"DELETE FROM {GRAPH} WHERE source_hash = {end} OR target_hash = {end}", ends)
    if new is None:
        _write_vector(execute, layout, task, task.rowid)
        execute(f"DELETE FROM {TABLE} WHERE id = ?", (task.rowid,))
        return True
    said = values(new, layout)
    if old is None:
        own = {"store": new.key.collection} if layout.has_stores else {}
        rowid = _insert(execute, TABLE, {"content_hash": new.key.id, **own, **said})
        _write_vector(execute, layout, task, rowid)
        return True
    was = values(old, layout)
    changed = {name: value for name, value in said.items() if value != was[name]}
    if _write_vector(execute, layout, task, task.rowid) and "embedding_pending" in layout.columns:
        changed["embedding_pending"] = 0
    if changed:
        slots = ", ".join(f"{quote(name)} = {slot(value)}" for name, value in changed.items())
        new_values = [bound(value) for value in changed.values()]
        execute(f"UPDATE {TABLE} SET {slots} WHERE id = ?", (*new_values, task.rowid))
    return "content" in changed


def _is_going(old: MemoryRecord, new: MemoryRecord | None) -> bool:
    """Whether the memory is there now and then no longer, or only marked as deleted."""
    return new is None or (new.state is State.DELETED and old.state is not State.DELETED)


def _write_vector(execute: Execute, layout: Layout, task: Task, rowid: int | None) -> bool:
    """Make the vector of a row what the record says; whether one was written."""
    vector = task.new.embedding if task.new else None
    if vector is not None and task.has_vector and _is_same(task.old, vector):
        return False
    if vector is not None and task.has_vector:
        execute(f"UPDATE {VECTORS} SET content_embedding = ? WHERE rowid = ?", (_bytes(vector), rowid))
        return True
    if task.has_vector:
        execute(f"DELETE FROM {VECTORS} WHERE rowid = ?", (rowid,))
    if vector is None or task.new is None:
        return False
    execute(f"DELETE FROM {VECTORS} WHERE rowid = ?", (rowid,))
    said: dict[str, Any] = {"rowid": rowid, "content_embedding": _bytes(vector)}
    _insert(execute, VECTORS, {**said, "store": task.new.key.collection} if layout.partitioned else said)
    return True


def _is_same(old: MemoryRecord | None, vector: Vector) -> bool:
    return old is not None and old.embedding is not None and np.array_equal(old.embedding, vector)


def _bytes(vector: Vector) -> bytes:
    return np.asarray(vector, "<f4").tobytes()


def _insert(execute: Execute, table: str, said: dict[str, Any]) -> int:
    """Insert a row; its number."""
    names = ", ".join(quote(name) for name in said)
    slots = ", ".join(slot(value) for value in said.values())
    values = tuple(bound(value) for value in said.values())
    execute(f"INSERT INTO {quote(table)} ({names}) VALUES ({slots})", values)
    return int(execute("SELECT last_insert_rowid()").fetchone()[0])


def _collection(row: sqlite3.Row) -> str:
    return str(row["store"] or DEFAULT) if "store" in set(row.keys()) else DEFAULT


def _gone(key: Key) -> StoreChanged:
    return StoreChanged(f"The memory {key} is no longer there.")
