"""What a Chroma server cannot take, told beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memdefrag.base.errors import WriterFailed
from memdefrag.base.progress import Progress
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.stores.chroma.server_fit import MOST_BYTES, too_large
from memdefrag.stores.registry import open_store
from tests.stores.chroma.running import ChromaServer

SMALL = MemoryRecord(Key("memories", "one"), "text", {"a": 1}, np.ones(8, np.float32))


@pytest.mark.parametrize(
    "record",
    [
        replace(SMALL, text="x" * MOST_BYTES),
        replace(SMALL, text="東" * (MOST_BYTES // 6)),
        replace(SMALL, metadata={"long": "x" * MOST_BYTES}),
        replace(SMALL, embedding=np.ones(MOST_BYTES // 8, np.float32)),
    ],
)
def test_what_no_request_can_hold_is_refused_with_both_numbers(record: MemoryRecord) -> None:
    assert "41,943,040" in (too_large(record) or "")


def test_all_else_is_taken() -> None:
    assert too_large(SMALL) is None
    assert too_large(replace(SMALL, text=None, embedding=None)) is None
    assert too_large(replace(SMALL, text="x" * (MOST_BYTES - 5_000))) is None


def test_a_real_server_agrees(chroma_server: ChromaServer, database: str) -> None:
    info = CollectionInfo("memories", 0, 0, 0)
    with open_store(chroma_server.address(database), must_exist=False) as store:
        store.write(Changes(collections=(info,)), Progress())
        more = replace(SMALL, text="x" * MOST_BYTES)
        assert (store.refusal(SMALL), bool(store.refusal(more))) == (None, True)
        with pytest.raises(WriterFailed, match="too large"):
            store.write(Changes(put=(Put(store.fit(more)[0], None),)), Progress())
