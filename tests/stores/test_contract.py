"""Every kind of store keeps the contract."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.stores.contract import StoreContract


class TestMemoryExport(StoreContract):
    kind = "memory-export"
    file_name = "memory_export.db"


class TestJsonLines(StoreContract):
    kind = "jsonl"
    file_name = "memories.jsonl"


class TestParquet(StoreContract):
    kind = "parquet"
    file_name = "memories.parquet"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("memdefrag.stores.chroma.write") is None, reason="nothing writes Chroma folders yet")
class TestChroma(StoreContract):
    kind = "chroma"
    file_name = "chroma_db"
