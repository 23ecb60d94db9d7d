"""A database of the Enhanced Memory System as a store."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

from memdefrag.base.errors import UsageError
from memdefrag.base.fsops import fault_point
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation
from memdefrag.model.terms import in_columns
from memdefrag.stores.enhanced_memory import links, schema, writer
from memdefrag.stores.enhanced_memory.layout import (
    ELSEWHERE,
    FIRST_USER,
    Layout,
    is_hybrid,
    read_layout,
    select_memories,
)
from memdefrag.stores.enhanced_memory.rows import placed, read_row
from memdefrag.stores.foreign_sqlite import TABLE, ForeignSqlite
from memdefrag.stores.memory_export_rows import storable
from memdefrag.stores.sqlite_safe import columns, open_staged

_SAFE_BITS = 53
"""Larger integers are rounded by programs that read JSON with JavaScript, as many clients of the system are."""


class EnhancedMemory(ForeignSqlite):
    """A database of the Enhanced Memory System. Its one collection is called like its table."""

    kind: ClassVar[str] = "enhanced"
    collection_name: ClassVar[str] = TABLE
    required: ClassVar[frozenset[str]] = frozenset(
        {"id", "title", "content", "memory_metadata", "embedding_vector", "owner_id", "created_at"}
    )

    @classmethod
    def is_ours(cls, present: frozenset[str]) -> bool:
        return super().is_ours(present) or is_hybrid(present)

    @property
    def format(self) -> str:
        return "Enhanced Memory System database"

    @property
    def capabilities(self) -> Capabilities:
        layout = self._layout
        return Capabilities(
            Commit.SQLITE,
            writable=not layout.obstacle,
            null_text=False,
            uri=False,
            relations=bool(layout.links),
            writes_relations=bool(layout.links),
            loose_relations=True,
            extras=True,
            soft_delete="is_active" in layout.columns,
            raw_bytes=layout.utf8,
        )

    @property
    def obstacle(self) -> str:
        return self._layout.obstacle

    def fit(self, record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        """As every store, and: a title and an owner for those that have none, extras where there are columns."""
        text = None if record.text is None else storable(record.text)
        embedding = record.embedding if record.embedding is not None and len(record.embedding) else None
        fitted, losses = super().fit(replace(record, text=text, embedding=embedding))
        if text != record.text:
            losses = ("half characters (replaced by question marks)", *losses)
        fitted, more = placed(fitted, self._layout, self._owner)
        return fitted, (*losses, *more)

    def fit_relation(self, relation: Relation) -> tuple[Relation | None, tuple[str, ...]]:
        return links.fit_link(relation, self._layout, self._owner or next(iter(self._layout.users), FIRST_USER))

    def key_for(self, collection: str, record: MemoryRecord) -> Key:
        """A number stays; anything else becomes one that is made of it, the same every time."""
        id = record.key.id
        if links.is_row_number(id):
            return Key(collection, id)
        digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()
        return Key(collection, str(int.from_bytes(digest[:8], "big") >> (64 - _SAFE_BITS) or 1))

    def adopted(self, record: MemoryRecord) -> MemoryRecord:
        """The record with title and access level in their columns, and in the metadata what others have columns for."""
        return in_columns(record, self._layout.columns)

    def refusal(self, record: MemoryRecord) -> str | None:
        """Why a record cannot be taken: its id is no number."""
        return None if links.is_row_number(record.key.id) else "the ids of the system are numbers, and this is none"

    def collections(self) -> list[CollectionInfo]:
        with self._reading() as connection:
            present = columns(connection, TABLE)
            active = "is_active" if "is_active" in present else "1"
            vector = "embedding_vector" if "embedding_vector" in present else "NULL"
            here = f"WHERE NOT {ELSEWHERE}" if is_hybrid(present) else ""
            found, live, embedded = connection.execute(
                f"SELECT count(*), total(coalesce({active}, 1) <> 0), count(CASE WHEN length({vector}) % 4 = 0 "
                f"AND length({vector}) > 0 THEN 1 END) FROM {TABLE} {here}"
            ).fetchone()
            size = connection.execute(
                f"SELECT length({vector}) / 4 FROM {TABLE} WHERE {vector} IS NOT NULL LIMIT 1"
            ).fetchone()
            return [CollectionInfo(TABLE, found, int(live), embedded, size[0] if size else None)]

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        writer.require_collection(collection)
        with self._reading() as connection:
            rows = connection.execute(f"{select_memories(connection)} ORDER BY id")
            while found := rows.fetchmany(batch):
                yield [read_row(connection, row, self._layout, vectors=vectors)[0] for row in found]

    def unreadable(self) -> list[tuple[Key, str]]:
        """The memories of a hybrid storage whose text lies in a file beside the database."""
        with self._reading() as connection:
            if not is_hybrid(columns(connection, TABLE)):
                return []
            rows = connection.execute(f"SELECT id, content FROM {TABLE} WHERE {ELSEWHERE} ORDER BY id")
            why = "its text lies in a file beside the database"
            return [(Key(TABLE, str(id)), f"{why} ({text})") for id, text in rows]

    def relations(self) -> Iterator[Relation]:
        if self._layout.links:
            with self._reading() as connection:
                yield from links.read_links(connection)

    def write(self, changes: Changes, progress: Progress) -> None:
        """Carry out the changes in one transaction; rows that are not named keep every byte."""
        progress.phase("Writing", len(changes.put) + len(changes.delete))
        try:
            with self._writing() as (connection, layout):
                writer.carry_out(connection, layout, changes, progress)
                fault_point("commit rows")
        finally:
            self.__dict__.pop("_layout", None)
            self.__dict__.pop("_owner", None)

    def rebuild(self, progress: Progress) -> None:
        """Give the space of deleted rows back."""
        progress.phase("Compacting")
        with open_staged(self.address.path) as connection:
            fault_point("vacuum")
            connection.execute("VACUUM")

    @contextmanager
    def _writing(self) -> Iterator[tuple[sqlite3.Connection, Layout]]:
        """One transaction on the staged file, which is made where it does not exist."""
        new = not self.exists
        layout = self._layout
        with open_staged(self.address.path, create=True) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN IMMEDIATE")
            try:
                if new:
                    schema.make(connection)
                yield connection, layout
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @cached_property
    def _layout(self) -> Layout:
        if not self.exists:
            return schema.FRESH
        with self._reading() as connection:
            return read_layout(connection)

    @cached_property
    def _owner(self) -> str | None:
        """The user whom the settings name, by id or name; None where they name none.

        Raises:
            UsageError: there is no such user.
        """
        named = self.settings.owner
        users = self._layout.users
        found = next((id for id, name in users.items() if named in (id, name)), None)
        if named and users and found is None:
            raise UsageError(
                f"{self.address.location} has no user {named!r}.",
                todo=f"Name one of: {', '.join(name or id for id, name in users.items())}.",
            )
        return found

    def _faults(self, connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
        for row in connection.execute(f"{select_memories(connection)} ORDER BY id"):
            yield from ((str(row["id"]), fault) for fault in read_row(connection, row, self._layout)[1])
