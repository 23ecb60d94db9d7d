"""Five thousand memories: out, back, and in bounded memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.registry import open_store
from tests.conftest import DIMENSION
from tests.stores.contract import everything, hashes

MANY = 5_000


@pytest.mark.slow
def test_five_thousand_rows_go_there_and_back(bigmemory_url: str) -> None:
    vectors = np.random.default_rng(5).normal(size=(MANY, DIMENSION)).astype(np.float32)
    with open_store(f"bigmemory:{bigmemory_url}") as store:
        records = [
            MemoryRecord(Key("memories", f"m{n:05}"), f"Fact {n}", {"n": n}, vectors[n], created=1.7e9 + n)
            for n in range(MANY)
        ]
        fitted = [store.fit(record)[0] for record in records]
        store.write(Changes(put=tuple(Put(record, None) for record in fitted)), Progress())
        sizes = [len(batch) for batch in store.scan("memories", batch=1_500)]
        assert sizes == [1_500, 1_500, 1_500, 500]
        found = everything(store)
        assert hashes(found) == {record.key: record_hash(record) for record in fitted}
        for record in fitted:
            np.testing.assert_array_equal(found[record.key].embedding, record.embedding)
        changed = tuple(Put(store.fit(_shouted(record))[0], record_hash(record)) for record in fitted[::2])
        removed = tuple(Ref.of(record) for record in fitted[1::2])
        store.write(Changes(put=changed, delete=removed), Progress())
        assert hashes(everything(store)) == {put.record.key: record_hash(put.record) for put in changed}


def _shouted(record: MemoryRecord) -> MemoryRecord:
    return replace(record, text=(record.text or "").upper())
