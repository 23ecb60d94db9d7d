"""Memory Service's databases and JSON files keep the contract."""

from __future__ import annotations

from tests.stores.contract import StoreContract


class TestMemoryService(StoreContract):
    kind = "memory-service"
    file_name = "sqlite_vec.db"


class TestServiceJson(StoreContract):
    kind = "memory-service-json"
    file_name = "export.json"
