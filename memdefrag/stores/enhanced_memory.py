"""The SQLite databases of the Enhanced Memory System, all of its formats, read without the system.

Table ``memories(id, title, content, owner_id, context_id, created_at, …, memory_metadata, embedding_vector)``; newer
ones add `content_compressed`, `content_size` and the table ``memory_chunks``. The columns that are there tell the
format, there is no version number. Vectors are little-endian float32; times are ISO text in UTC; JSON columns hold
``null`` where they are empty. Compressed texts are base64 of gzip or zlib (RFC 1952, 1950), whichever the bytes begin
with: the database does not say. From the system's models and from files it wrote.
"""

from __future__ import annotations

import base64
import sqlite3
import zlib
from collections.abc import Iterator
from typing import Any, ClassVar

from memdefrag.base.errors import CollectionNotFound
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, State
from memdefrag.model.service_metadata import moment, read
from memdefrag.stores.foreign_sqlite import TABLE, ForeignSqlite, floats, metadata_of, rest, text
from memdefrag.stores.sqlite_safe import columns, tables

LARGEST_TEXT = 256 << 20
"""Bytes to which a compressed text may unpack."""

_KNOWN = frozenset({"id", "content", "memory_metadata", "embedding_vector", "owner_id", "created_at", "updated_at"})
_RELATION_KNOWN = frozenset(
    {"name", "strength", "relation_metadata", "created_at"}
    | {f"{end}_{kind}_id" for end in ("source", "target") for kind in ("memory", "context")}
)
_EITHER_HEADER = zlib.MAX_WBITS | 32


class EnhancedMemory(ForeignSqlite):
    """A database of the Enhanced Memory System. Its one collection is called like its table."""

    kind: ClassVar[str] = "enhanced"
    required: ClassVar[frozenset[str]] = _KNOWN - {"updated_at"} | {"title"}

    @property
    def format(self) -> str:
        return "Enhanced Memory System database"

    def collections(self) -> list[CollectionInfo]:
        with self._reading() as connection:
            active = "is_active" if "is_active" in columns(connection, TABLE) else "1"
            found, live, embedded = connection.execute(
                f"SELECT count(*), total(coalesce({active}, 1) <> 0), count(CASE WHEN length(embedding_vector) % 4 = 0 "
                f"AND length(embedding_vector) > 0 THEN 1 END) FROM {TABLE}"
            ).fetchone()
            size = connection.execute(
                f"SELECT length(embedding_vector) / 4 FROM {TABLE} WHERE embedding_vector IS NOT NULL LIMIT 1"
            ).fetchone()
            return [CollectionInfo(TABLE, found, int(live), embedded, size[0] if size else None)]

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        if collection != TABLE:
            raise CollectionNotFound(f"There is no collection {collection!r}: this database holds just {TABLE!r}.")
        with self._reading() as connection:
            rows = connection.execute(f"SELECT * FROM {TABLE} ORDER BY id")
            while found := rows.fetchmany(batch):
                yield [_record(connection, row, vectors=vectors)[0] for row in found]

    def relations(self) -> Iterator[Relation]:
        with self._reading() as connection:
            if "relations" not in tables(connection):
                return
            for row in connection.execute("SELECT * FROM relations ORDER BY id"):
                extras = rest(row, _RELATION_KNOWN)
                metadata = metadata_of(row["relation_metadata"], "relation_metadata", extras)
                yield Relation(
                    _end(row, "source"), _end(row, "target"), str(text(row["name"])), row["strength"],
                    {**extras, **metadata}, moment(row["created_at"]),
                )  # fmt: skip

    def _faults(self, connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
        for row in connection.execute(f"SELECT * FROM {TABLE} ORDER BY id"):
            yield from ((str(row["id"]), fault) for fault in _record(connection, row)[1])


def _record(
    connection: sqlite3.Connection, row: sqlite3.Row, *, vectors: bool = True
) -> tuple[MemoryRecord, list[str]]:
    """The memory of a row, and what is wrong with it; never fails."""
    extras = rest(row, _KNOWN)
    metadata = metadata_of(row["memory_metadata"], "memory_metadata", extras)
    faults = ["metadata that cannot be read"] if "memory_metadata" in extras else []
    content = text(row["content"])
    if extras.get("content_compressed"):
        content, fault = _unpacked(connection, row["id"], content or "")
        faults += [fault] if fault else []
    if extras.get("content_size") and len(content or "") < extras["content_size"]:
        # The system's own reading of previews wrote the first characters back.
        faults.append(f"less text than the {extras['content_size']:,} characters it once had")
    if content and content.startswith("file://"):
        faults.append("its text in a file of its own, which is not part of the database")
    vector = floats(row["embedding_vector"])
    if vector is None and row["embedding_vector"]:
        faults.append("a vector that cannot be read")
    record = MemoryRecord(
        Key(TABLE, str(row["id"])),
        content,
        metadata,
        vector if vectors else None,
        read(metadata).tags,
        created=moment(row["created_at"]),
        updated=moment(row["updated_at"]) if "updated_at" in row.keys() else None,  # noqa: SIM118
        owner=None if row["owner_id"] is None else str(row["owner_id"]),
        state=State.DELETED if extras.get("is_active") == 0 else State.LIVE,
        extras=extras,
    )
    return record, faults


def _unpacked(connection: sqlite3.Connection, id: Any, content: str) -> tuple[str, str]:
    """A text that is marked as compressed or lies in chunks, and what is wrong with it."""
    if content or "memory_chunks" not in tables(connection):
        return decompressed(content)
    chunks = connection.execute(
        "SELECT chunk_data, compression_type FROM memory_chunks WHERE memory_id = ? ORDER BY chunk_index", (id,)
    )
    parts = [
        (str(text(data)), "") if kind == "none" else decompressed(str(text(data))) for data, kind in chunks
    ]
    return "".join(part for part, _ in parts), next((fault for _, fault in parts if fault), "")


def decompressed(content: str) -> tuple[str, str]:
    """The text of base64 of gzip or zlib bytes; where it is not that, the content itself and a complaint."""
    try:
        packed = base64.b64decode(content, validate=True)
        inflater = zlib.decompressobj(_EITHER_HEADER)
        plain = inflater.decompress(packed, LARGEST_TEXT)
        if inflater.eof:
            return plain.decode("utf-8", "surrogateescape"), ""
    except (ValueError, zlib.error):
        pass
    return content, "a text that is marked as compressed and is not"


def _end(row: sqlite3.Row, end: str) -> Key | str:
    """One end of a relation: a memory, or else a context, named by its id."""
    memory = row[f"{end}_memory_id"]
    return f"context:{row[f'{end}_context_id']}" if memory is None else Key(TABLE, str(memory))
