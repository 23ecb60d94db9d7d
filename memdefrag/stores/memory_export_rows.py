"""Rows of a Memory Defragmenter export as records, and records as rows.

Reading never fails on one bad row: the record is made of what can be read, and the row's faults are named.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic_core import from_json

from memdefrag.base import foreign_json
from memdefrag.base.errors import StoreChanged
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Put
from memdefrag.model.records import Key, MemoryRecord, Metadata, Vector
from memdefrag.model.service_metadata import moment, read
from memdefrag.stores.memory_export_table import Table
from memdefrag.stores.sqlite_safe import columns, quote, tables

ARCHIVE = "memory_archive"
_ARCHIVE_SCHEMA = (
    f"CREATE TABLE IF NOT EXISTS {ARCHIVE} (id INTEGER PRIMARY KEY AUTOINCREMENT, original_id TEXT NOT NULL, "
    "content TEXT NOT NULL, embedding BLOB, metadata TEXT, timestamp REAL, archived_at REAL NOT NULL)"
)
_IN_COLUMNS = ("timestamp", "content_hash")
_BYTES = "memdefrag:base64:"

Row = tuple[Any, ...]


def scan(
    connection: sqlite3.Connection,
    table: Table,
    batch: int,
    *,
    vectors: bool = True,
    where: str = "",
    values: Sequence[Any] = (),
) -> Iterator[list[Row]]:
    """Rows as (what tells them apart, the format's columns, extra columns), in the order of the first."""
    embedding = "embedding" if vectors else "NULL"
    extras = "".join(f", {quote(name)}" for name in table.extras)
    cursor = connection.execute(
        f"SELECT {table.row}, id, content, {embedding}, metadata, timestamp, content_hash{extras} "
        f"FROM {table.sql} {where} ORDER BY {table.row}", values
    )
    while rows := cursor.fetchmany(batch):
        yield rows


def rowids(connection: sqlite3.Connection, table: Table) -> dict[str, Any]:
    """Each record's id, as `read_record` names it, and what tells its row apart."""
    seen: set[str] = set()
    rows = connection.execute(f"SELECT {table.row}, id FROM {table.sql} ORDER BY {table.row}")
    return {_name(rowid, id, seen): rowid for rowid, id in rows}


def _name(rowid: Any, id: Any, seen: set[str]) -> str:
    """The record's id; ``rowid:N`` where the file has none of its own for it. Adds it to `seen`."""
    name = id if isinstance(id, str) and id and id not in seen and _is_whole(id) else f"rowid:{rowid}"
    seen.add(name)
    return name


def _is_whole(text: str) -> bool:
    """Whether UTF-8 can write it."""
    return text.isascii() or text == text.encode("utf-8", "replace").decode()


def one(connection: sqlite3.Connection, table: Table, key: Key, rowid: Any) -> MemoryRecord:
    [[row]] = scan(connection, table, 1, where=f"WHERE {table.row} = {slot(rowid)}", values=(bound(rowid),))
    return replace(read_record(row, table, set())[0], key=key)


def read_record(row: Row, table: Table, seen: set[str]) -> tuple[MemoryRecord, list[str]]:
    """The memory of a row, and what is wrong with it; never fails."""
    rowid, id, content, raw_vector, raw_metadata, timestamp, content_hash, *others = row
    name = _name(rowid, id, seen)
    text = _text(content)
    vector, vector_fault = read_vector(raw_vector)
    metadata, metadata_fault = read_metadata(raw_metadata)
    extras = {key: _json(value) for key, value in zip(table.extras, others, strict=True) if value is not None}
    if metadata is None:
        metadata, extras["metadata"] = {}, _json(raw_metadata)
    if timestamp:
        metadata["timestamp"] = _json(timestamp)
    if content_hash is not None:
        metadata["content_hash"] = _text(content_hash)
    faults = [
        "no id of its own" if name != id else "",
        _text_fault(content, text),
        vector_fault,
        metadata_fault,
        "a timestamp that cannot be understood" if timestamp and moment(timestamp) is None else "",
    ]
    record = MemoryRecord(Key(table.name, name), text, metadata, vector, **read(metadata)._asdict(), extras=extras)
    return record, [fault for fault in faults if fault]


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return None if value is None else str(value)


def _text_fault(content: Any, text: str | None) -> str:
    if text is None or not text.strip():
        return "no text"
    if not isinstance(content, str):
        return "a text that is not stored as text"
    if not _is_whole(text):
        return "a text that is not UTF-8"
    return "a zero byte in the text" if "\0" in text else ""


def read_vector(raw: Any) -> tuple[Vector | None, str]:
    """The vector of a JSON array, and what is wrong with it."""
    if raw is None:
        return None, ""
    try:
        values = _parsed(raw)
        if not isinstance(values, list):
            raise ValueError("not an array")
        with np.errstate(over="ignore"):
            vector = np.array(values, np.float32)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None, "a vector that cannot be read"
    if vector.ndim != 1:
        return None, "a vector that cannot be read"
    if not len(vector):
        return None, ""
    if not np.isfinite(vector).all():
        return vector, "a vector with values that are no numbers"
    return vector, "" if vector.any() else "a vector of zeros"


def _parsed(raw: Any) -> Any:
    """A JSON value; by the quicker reader where it takes it (half of reading an export is reading vectors)."""
    try:
        return from_json(raw)
    except ValueError:
        return json.loads(raw)


def read_metadata(raw: Any) -> tuple[Metadata | None, str]:
    """The metadata of a JSON object, and what is wrong with it; None where it cannot be read."""
    if raw is None or raw == "":
        return {}, ""
    try:
        metadata = foreign_json.parse(raw)
    except (ValueError, TypeError, AttributeError):
        metadata = None
    return (metadata, "") if isinstance(metadata, dict) else (None, "metadata that cannot be read")


def _json(value: Any) -> Any:
    """A value of SQLite as a JSON value."""
    return _BYTES + base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _sql(value: Any) -> Any:
    """The value of SQLite that `_json` made a JSON value of."""
    if isinstance(value, str) and value.startswith(_BYTES):
        try:
            return base64.b64decode(value[len(_BYTES) :], validate=True)
        except ValueError:
            return value
    return value


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def storable(text: str) -> str:
    """The text as SQLite gives it back: surrogates that stand for no byte are replaced."""
    if text.isascii():
        return text
    kept = "".join("?" if "\ud800" <= char < "\udc80" or "\udcff" < char <= "\udfff" else char for char in text)
    return _encoded(kept).decode("utf-8", "surrogateescape")


def guarded(
    connection: sqlite3.Connection, table: Table, rowids: dict[str, Any], key: Key, expected: str
) -> tuple[Any, MemoryRecord]:
    """The row of a record that still has the hash it must have, and the record.

    Raises:
        StoreChanged: it has another, or is gone.
    """
    rowid = rowids.get(key.id) if key.collection == table.name else None
    if rowid is None:
        raise StoreChanged(f"The memory {key} is no longer there.")
    record = one(connection, table, key, rowid)
    if record_hash(record) != expected:
        raise StoreChanged(f"The memory {key} was changed meanwhile.")
    return rowid, record


def delete(connection: sqlite3.Connection, table: Table, rowid: Any) -> None:
    connection.execute(f"DELETE FROM {table.sql} WHERE {table.row} = {slot(rowid)}", (bound(rowid),))


def put(connection: sqlite3.Connection, table: Table, rowids: dict[str, Any], wanted: Put) -> None:
    """Insert a record, or set those columns of its row that say something else.

    Raises:
        StoreChanged: the row is not what `wanted` expects.
    """
    record = wanted.record
    if wanted.before is None:
        if record.key.id in rowids:
            raise StoreChanged(f"The memory {record.key} exists already.")
        values = _values(record, table)
        slots = ", ".join(slot(value) for value in values.values())
        names = ", ".join(quote(name) for name in values)
        said = [bound(value) for value in values.values()]
        connection.execute(f"INSERT INTO {table.sql} ({names}) VALUES ({slots})", said)
        return
    rowid, present = guarded(connection, table, rowids, record.key, wanted.before)
    old = _values(present, table)
    new = {name: value for name, value in _values(record, table).items() if value != old[name]}
    if new:
        slots = ", ".join(f"{quote(name)} = {slot(value)}" for name, value in new.items())
        said = [bound(value) for value in (*new.values(), rowid)]
        connection.execute(f"UPDATE {table.sql} SET {slots} WHERE {table.row} = {slot(rowid)}", said)


def archive(connection: sqlite3.Connection, records: Sequence[MemoryRecord], progress: Progress) -> None:
    """Keep originals in the app's own archive table, which is made when it is missing."""
    connection.execute(_ARCHIVE_SCHEMA)
    now = time.time()
    for record in records:
        values = (*_archived(record), now)
        slots = ", ".join(slot(value) for value in values)
        connection.execute(
            f"INSERT INTO {ARCHIVE} (original_id, content, embedding, metadata, timestamp, archived_at) "
            f"VALUES ({slots})",
            [bound(value) for value in values],
        )
        progress.step()


def archived_ids(connection: sqlite3.Connection) -> Iterator[str]:
    """The ids that the originals in the archive table had."""
    if ARCHIVE in tables(connection) and "original_id" in columns(connection, ARCHIVE):
        for (name,) in connection.execute(f"SELECT DISTINCT original_id FROM {ARCHIVE}"):
            yield str(name)


def unarchive(connection: sqlite3.Connection, records: Sequence[MemoryRecord], progress: Progress) -> None:
    """Remove the newest row of the archive for each of these originals, if it is still there to the letter."""
    if ARCHIVE not in tables(connection):
        return
    found: dict[bytes, list[int]] = {}
    kept = connection.execute(
        f"SELECT id, original_id, content, embedding, metadata, timestamp FROM {ARCHIVE} ORDER BY id"
    )
    for number, *values in kept:
        found.setdefault(_digest(values), []).append(number)
    for record in records:
        rowids = found.get(_digest(_archived(record)))
        if rowids:
            connection.execute(f"DELETE FROM {ARCHIVE} WHERE id = ?", (rowids.pop(),))
        progress.step()


def _archived(record: MemoryRecord) -> tuple[str, str, bytes, str, float]:
    """What a row of the archive says of a record: id, content, vector, metadata, time."""
    return (
        record.key.id,
        record.text or "",
        _vector_json(record.embedding).encode(),
        json.dumps(record.metadata),
        float(record.created or 0.0),
    )


def _digest(values: Iterable[Any]) -> bytes:
    digest = hashlib.sha256()
    for value in values:
        data = _encoded(value) if isinstance(value, str) else value
        data = data if isinstance(data, bytes) else repr(data).encode()
        digest.update(b"%d:" % len(data) + data)
    return digest.digest()


def _values(record: MemoryRecord, table: Table) -> dict[str, Any]:
    """What each column says of the record; the inverse of `read_record`."""
    metadata = {key: value for key, value in record.metadata.items() if key not in _IN_COLUMNS}
    return {
        "id": record.key.id,
        "content": record.text,
        "embedding": _vector_json(record.embedding),
        "metadata": _sql(record.extras.get("metadata", json.dumps(metadata))),
        "timestamp": record.metadata.get("timestamp", 0.0),
        "content_hash": record.metadata.get("content_hash"),
        **{name: _sql(record.extras.get(name)) for name in table.extras},
    }


def _vector_json(vector: Vector | None) -> str:
    return "[]" if vector is None else json.dumps(vector.tolist())


def slot(value: Any) -> str:
    """The placeholder for a value, which is then handed over as `bound`.

    Texts that are not UTF-8 are handed over as bytes, which only a database of UTF-8 takes for what they are.
    """
    return "CAST(? AS TEXT)" if isinstance(bound(value), bytes) and isinstance(value, str) else "?"


def bound(value: Any) -> Any:
    return value if not isinstance(value, str) or _is_whole(value) else _encoded(value)
