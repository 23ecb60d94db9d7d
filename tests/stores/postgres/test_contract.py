"""Databases keep the contract of every store, and leave no trace of being read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store, resolve
from tests.conftest import DIMENSION
from tests.stores.contract import StoreContract


class PostgresContract(StoreContract):
    """The contract on a live database: there is no file to look at, and the table is there before any memory."""

    location: str
    opened: list[Store]

    @pytest.fixture(autouse=True)
    def _closed(self) -> Iterator[None]:
        self.opened = []
        yield
        for store in self.opened:
            store.close()

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path

    @pytest.fixture
    def records(self, records: list[MemoryRecord]) -> list[MemoryRecord]:
        return [record.with_key(Key(self.collection, record.key.id)) for record in records]

    def open(self, path: Path) -> Store:
        self.opened.append(open_store(Address(self.kind, self.location)))
        return self.opened[-1]

    def test_a_bare_path_is_recognised(self, store: Store, path: Path) -> None:
        assert resolve(f"{self.kind}:{self.location}") == store.address
        assert store.exists
        assert store.format

    @pytest.fixture
    def store(self, path: Path, records: list[MemoryRecord]) -> Store:
        store = self.open(path)
        store.write(Changes(put=tuple(Put(store.fit(record)[0], None) for record in records)), Progress())
        return store

    def test_reading_leaves_no_trace(self, store: Store, path: Path) -> None:
        before = self.versions()
        snapshot = read_snapshot(store)
        store.problems()
        store.sizes({self.collection: 1})
        store.fetch([record.key for record in snapshot])
        list(store.relations())
        store.close()
        store.close()
        assert self.versions() == before

    def versions(self) -> list[tuple[object, ...]]:
        """Who wrote every row where, and which tables there are."""
        with psycopg.connect(self.location) as session:
            rows = session.execute(f"SELECT ctid::text, xmin::text, xmax::text FROM {self.collection}").fetchall()
            tables = session.execute("SELECT relname, relfilenode FROM pg_class ORDER BY 1").fetchall()
        assert rows
        return [*rows, *tables]


class TestBigMemory(PostgresContract):
    kind = "bigmemory"

    @pytest.fixture(autouse=True)
    def _database(self, bigmemory_url: str) -> None:
        self.location = bigmemory_url


class TestFederated(PostgresContract):
    kind = "federated"
    collection = "work_memories"

    @pytest.fixture(autouse=True)
    def _database(self, federated_url: str) -> None:
        self.location = federated_url

    def test_counts_agree_with_the_records(self, store: Store) -> None:
        infos = {info.name: info for info in store.collections()}
        assert [*infos] == ["personal_memories", "work_memories"]
        info = infos[self.collection]
        assert (info.count, info.live, info.with_embedding, info.dimension) == (6, 6, 6, DIMENSION)
        assert infos["personal_memories"].count == 0
