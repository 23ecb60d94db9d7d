"""Whatever is written into a database of any version reads back, and what is not named stays."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash, relation_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord, Relation, State
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store
from tests.stores.contract import assert_same_vector
from tests.stores.enhanced_memory.files import SHAPES, rows

KEYS = [Key("memories", id) for id in ("1", "2", "-3", str(2**63 - 1))]
EXTRAS: dict[str, st.SearchStrategy[Any]] = {
    "title": st.text(max_size=4) | st.integers(),
    "access_level": st.sampled_from(["user", "public", 5]),
    "context_id": st.sampled_from([3, 4, "3", True]),
    "version": st.integers(0, 2) | st.just("1"),
    "access_count": st.integers(0, 2) | st.floats(0, 2),
    "last_accessed": st.sampled_from(["2024-03-01 09:00:00", "5", "nan", 2**70, "memdefrag:base64:AP8=", "\ud83d"]),
    "memory_metadata": st.sampled_from(["{", "null", "[1]", "memdefrag:base64:AP8="]),
    "unknown": st.just("lost"),
}
TEXTS = st.text(max_size=9) | st.sampled_from(["long " * 3000, "bytes \udcff", "half \ud83d", "H4sIAAAA", "file://x"])
TIMES = st.none() | st.floats(-1e11, 1e12)
LINKS = st.builds(
    Relation,
    st.sampled_from([*KEYS, "context:3", "context:4", "elsewhere"]),
    st.sampled_from([*KEYS, "context:3"]),
    st.text(max_size=5),
    st.none() | st.floats(0, 1),
    st.dictionaries(st.sampled_from(["owner_id", "is_active", "updated_at", "x"]), st.integers(0, 3) | st.text("a5")),
    TIMES,
)


@st.composite
def memories(draw: st.DrawFn) -> MemoryRecord:
    vector = draw(st.none() | st.lists(st.floats(-9, 9, width=32), max_size=3))
    return MemoryRecord(
        draw(st.sampled_from(KEYS)),
        draw(st.none() | TEXTS),
        draw(st.dictionaries(st.text(max_size=3) | st.just("tags"), st.none() | st.integers() | st.text(max_size=4),
                             max_size=3)),
        None if vector is None else np.array(vector, np.float32),
        tuple(draw(st.lists(st.text("aB,[]\" é", max_size=5), max_size=3))),
        created=draw(TIMES),
        updated=draw(TIMES),
        owner=draw(st.sampled_from([None, "1", "2", "9", "stranger"])),
        state=draw(st.sampled_from(State)),
        extras=draw(st.fixed_dictionaries({}, optional=EXTRAS)),
    )  # fmt: skip


def changes(store: Store, wanted: list[MemoryRecord | Key]) -> tuple[Changes, dict[Key, MemoryRecord]]:
    """Writes and deletions, and what the store must hold after them."""
    holds = dict(read_snapshot(store).by_key) if store.exists else {}
    puts, gone, seen = [], [], set()
    for each in wanted:
        key = each if isinstance(each, Key) else each.key
        present = holds.get(key)
        if key in seen or (isinstance(each, Key) and present is None):
            continue
        seen.add(key)
        if isinstance(each, Key):
            gone.append(Ref.of(holds.pop(key)))
        else:
            holds[key], _ = store.fit(each)
            puts.append(Put(holds[key], record_hash(present) if present else None))
    return Changes(tuple(puts), tuple(gone)), holds


@pytest.mark.parametrize("shape", ["old", "new", "made"])
@settings(max_examples=12)
@given(
    rounds=st.lists(st.lists(memories() | st.sampled_from(KEYS), max_size=5), min_size=1, max_size=3),
    links=st.lists(LINKS, max_size=3),
)
def test_what_is_written_reads_back(
    shape: str, rounds: list[list[MemoryRecord | Key]], links: list[Relation]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.db"
        if shape in SHAPES:
            SHAPES[shape](path)
        for wanted in rounds:
            with open_store(Address("enhanced", str(path)), must_exist=False) as store:
                planned, holds = changes(store, wanted)
                store.write(planned, Progress())
                found = read_snapshot(store).by_key
                assert found.keys() == holds.keys()
                for key, record in holds.items():
                    assert record_hash(found[key]) == record_hash(record), (found[key], record)
                    assert_same_vector(found[key], record)
                    again, losses = store.fit(found[key])
                    assert (record_hash(again), losses) == (record_hash(found[key]), ())
        with open_store(Address("enhanced", str(path))) as store:
            fitted = [link for link, _ in map(store.fit_relation, links) if link]
            store.write(Changes(relate=tuple(fitted)), Progress())
            there = list(store.relations())
            assert list(map(relation_hash, there)) == list(map(relation_hash, fitted))
            assert [store.fit_relation(link)[0] for link in there] == there
            store.write(Changes(unrelate=tuple(there)), Progress())
            assert list(store.relations()) == []
        assert rows(path, "PRAGMA integrity_check") == [("ok",)]
        if shape in SHAPES:
            assert rows(path, "SELECT * FROM notes_of_the_user") == [(1, b"\x00\xff")]
            assert rows(path, "SELECT username FROM users") == [("admin",), ("alice",)]
