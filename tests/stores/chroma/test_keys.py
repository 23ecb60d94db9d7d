"""Metadata keys that Chroma keeps for itself stop no write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.stores.registry import open_store


@pytest.mark.parametrize("key", ["chroma:document", "chroma:uri", "", "#x", "$x"])
def test_they_are_kept_under_other_names_and_told(tmp_path: Path, key: str) -> None:
    record = MemoryRecord(Key("notes", "a"), "A text.", {key: "said", "plain": 1}, np.ones(4, np.float32))
    with open_store(Address("chroma", str(tmp_path / "new")), must_exist=False) as store:
        fitted, losses = store.fit(record)
        info = CollectionInfo("notes", 0, 0, 0, settings={"metadata": {"hnsw:space": "cosine"}})
        store.write(Changes(put=(Put(fitted, None),), collections=(info,)), Progress())
        [found] = store.fetch([record.key])
    assert found.metadata == fitted.metadata == {f"memdefrag:key:{key}": "said", "plain": 1}
    assert f"the name of {key!r} (kept as 'memdefrag:key:{key}')" in losses
