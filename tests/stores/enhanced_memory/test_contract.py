"""Databases of the Enhanced Memory System keep the contract, whatever columns they have."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.progress import Progress
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import Store
from memdefrag.stores.enhanced_memory import EnhancedMemory
from memdefrag.stores.registry import open_store
from tests.stores.contract import StoreContract
from tests.stores.enhanced_memory.files import SHAPES


class TestEnhancedMemory(StoreContract):
    """On a database that we make: ids are numbers there."""

    kind = "enhanced"
    file_name = "memory.db"

    @pytest.fixture
    def records(self, records: list[MemoryRecord]) -> list[MemoryRecord]:
        return [record.with_key(Key(self.collection, str(number))) for number, record in enumerate(records, 1)]

    def key(self, id: str) -> Key:
        store = open_store(f"{self.kind}:does-not-exist.db", must_exist=False)
        assert isinstance(store, EnhancedMemory)
        return store.key_for(self.collection, MemoryRecord(Key(self.collection, id), None))


class EnhancedShape(TestEnhancedMemory):
    """On a database that the system made."""

    shape: str

    @pytest.fixture
    def store(self, path: Path, records: list[MemoryRecord]) -> Store:
        SHAPES[self.shape](path)
        store = self.open(path)
        store.write(Changes(put=tuple(Put(store.fit(record)[0], None) for record in records)), Progress())
        return store


class TestOld(EnhancedShape):
    shape = "old"


class TestNew(EnhancedShape):
    shape = "new"
