"""A memory system in PostgreSQL as a store: read in one snapshot, written in one transaction."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from memdefrag.base.errors import CollectionNotFound
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation
from memdefrag.model.terms import in_columns
from memdefrag.stores.base import Sizes, Store, StoreSettings
from memdefrag.stores.postgres.connection import connect, plain_errors
from memdefrag.stores.postgres.fitting import fit_row, fitting_id
from memdefrag.stores.postgres.tables import OWNER_VARIABLE, Database, Role, Schema, Table, find_tables

if TYPE_CHECKING:
    from memdefrag.stores.postgres.links import LinkTable


class PostgresStore(Store):
    """The tables of memories of one database; each is a collection."""

    schema: ClassVar[Schema]

    def __init__(self, address: Address, settings: StoreSettings) -> None:
        super().__init__(address, settings)
        self._session: Database | None = None
        self._owner = settings.owner or os.environ.get(OWNER_VARIABLE)
        self._known: list[Table] | None = None
        self._known_links: tuple[LinkTable | None] | None = None
        self._depth = 0

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        return None

    @property
    def exists(self) -> bool:
        """Whether the database holds such tables.

        Raises:
            NotAStore, NotPermitted, UsageError: it cannot be reached.
        """
        return bool(self._tables())

    @property
    def format(self) -> str:
        return f"{self.schema.name} (PostgreSQL {self._database.info.parameter_status('server_version')})"

    @property
    def capabilities(self) -> Capabilities:
        tables, links = self._tables(), self._links()
        texts = [table.roles[Role.TEXT] for table in tables]
        vectors = [table.roles.get(Role.EMBEDDING) for table in tables]
        return Capabilities(
            Commit.TRANSACTION,
            writable=any(not table.refusals for table in tables),
            null_text=not any(column.not_null for column in texts),
            null_vector=not any(column is None or column.not_null for column in vectors),
            uri=False,
            relations=links is not None,
            writes_relations=links is not None and not links.refusals,
            loose_relations=links is not None and links.loose,
            new_collections=False,
            extras=True,
            zero_bytes=False,
            soft_delete=any(Role.DELETED in table.roles for table in tables),
        )

    def fit(self, record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        """As every store, and: no zero bytes; times, state, owner and extras as far as there is a column for them."""
        table = self._table(record.key.collection)
        fitted, losses = super().fit(record)
        fitted, lost = fit_row(fitted, table)
        return fitted, (*losses, *lost)

    def fit_relation(self, relation: Relation) -> tuple[Relation | None, tuple[str, ...]]:
        """As every store, and: only between memories of these tables, with what their columns say."""
        from memdefrag.stores.postgres import links

        table = self._links()
        if table is None:
            return None, ("links between memories",)
        return links.fit(relation, table, [each.name for each in self._tables()])

    def refusal(self, record: MemoryRecord) -> str | None:
        table = self._table(record.key.collection)
        if record.owner is None and table.roles[Role.OWNER].not_null:
            return f"it needs an owner; name a user of the database: --owner ID or {OWNER_VARIABLE}=ID"
        if record.owner is not None and table.users is not None and record.owner not in table.users:
            return f"its owner {record.owner!r} is no user of the database; name one: --owner ID or {OWNER_VARIABLE}=ID"
        return super().refusal(record)

    def key_for(self, collection: str, record: MemoryRecord) -> Key:
        """Under its own id where the column takes it; a column of uuids gets one that is made of the id."""
        return Key(collection, fitting_id(record.key.id, self._table(collection).roles[Role.ID], self.kind))

    def adopted(self, record: MemoryRecord) -> MemoryRecord:
        """The record with what the tables have columns for in its extras, and the like in its metadata."""
        return in_columns(record, {column.name for table in self._tables() for column in table.columns})

    def relations(self) -> Iterator[Relation]:
        from memdefrag.stores.postgres import links

        with self.frozen():
            table = self._links()
            if table is not None:
                yield from links.read(self._database, table)

    def collections(self) -> list[CollectionInfo]:
        from memdefrag.stores.postgres import query

        with self.frozen():
            return [query.info(self._database, table) for table in self._tables()]

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        from memdefrag.stores.postgres import query

        with self.frozen():
            yield from query.scan(self._database, self._table(collection), batch, vectors=vectors)

    def fetch(self, keys: Iterable[Key]) -> list[MemoryRecord]:
        from memdefrag.stores.postgres import query

        wanted = list(keys)
        found: dict[Key, MemoryRecord] = {}
        with self.frozen():
            for table in self._tables():
                ids = [key.id for key in wanted if key.collection == table.name]
                found.update((record.key, record) for record in query.fetch(self._database, table, ids))
        return [found[key] for key in wanted if key in found]

    def raw_files(self) -> list[Path]:
        return []

    def sizes(self, removed: Mapping[str, int]) -> Sizes:
        """What the tables take on the server. It gives nothing back to the disk before its own VACUUM FULL."""
        from memdefrag.stores.postgres import query

        with self.frozen():
            now = query.size(self._database, self._tables())
        return Sizes(now, now, now, 0.0)

    def problems(self) -> list[str]:
        from memdefrag.stores.postgres import query

        with self.frozen():
            tables = self._tables()
            found = [reason for table in tables for reason in table.refusals]
            links = self._links()
            found += [f"Links between memories are only read. {reason}" for reason in links.refusals] if links else ()
            for table in tables:
                found += query.odd_vectors(self._database, table)
        return found

    def write(self, changes: Changes, progress: Progress) -> None:
        from memdefrag.stores.postgres.transaction import write

        progress.check()
        write(self._connect, self.address.location, self.schema, changes, progress, self._owner)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Everything read inside comes from one moment. Calls may be nested."""
        database = self._database
        with plain_errors(self.address.location):
            if not self._depth:
                database.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                self._known, self._known_links = None, None
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth and not database.closed:
                    database.execute("ROLLBACK")

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session, self._depth = None, 0

    def _connect(self) -> Database:
        return connect(self.address.location, self.schema.variables)

    @property
    def _database(self) -> Database:
        if self._session is None or self._session.closed:
            self._session = self._connect()
        return self._session

    def _tables(self) -> list[Table]:
        """The tables as they were when reading last began."""
        if self._known is None:
            database = self._database
            with plain_errors(self.address.location):
                self._known = find_tables(database, self.schema, self._owner)
        return self._known

    def _links(self) -> LinkTable | None:
        """The table of relations as it was when reading last began."""
        from memdefrag.stores.postgres import links

        if self._known_links is None:
            with plain_errors(self.address.location):
                self._known_links = (links.find(self._database, self.schema.links, self._owner),)
        return self._known_links[0]

    def _table(self, collection: str) -> Table:
        for table in self._tables():
            if table.name == collection:
                return table
        raise CollectionNotFound(f"There is no table {collection!r} in {self.address.location}.")
