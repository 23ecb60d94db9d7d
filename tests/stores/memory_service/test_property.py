"""Whatever is written into a database of any version reads back, and all its tables stay sound."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord, State
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store
from tests.stores.contract import assert_same_vector
from tests.stores.memory_service.files import DIMENSION
from tests.stores.memory_service.shapes import SHAPES, connected

NAMES = ["a" * 64, "b" * 64, "c" * 64, "d" * 64, "any id"]
EXTRAS: dict[str, st.SearchStrategy[Any]] = {
    "memory_type": st.sampled_from(["note", "5", "é"]),
    "confidence": st.sampled_from([1.0, 0.5, 1]),
    "version": st.integers(1, 3),
    "last_accessed": st.integers(0, 2**40),
    "superseded_by": st.sampled_from([*NAMES, ""]),
    "parent_id": st.sampled_from(NAMES),
    "unknown": st.just("lost"),
}
VECTOR = st.lists(st.integers(-9, 9), min_size=DIMENSION, max_size=DIMENSION).filter(any)


@st.composite
def memories(draw: st.DrawFn) -> MemoryRecord:
    vector = draw(st.none() | VECTOR)
    return MemoryRecord(
        Key("default", draw(st.sampled_from(NAMES))),
        draw(st.text(max_size=12)),
        draw(st.dictionaries(st.text(max_size=4), st.none() | st.integers() | st.text(max_size=4), max_size=3)),
        None if vector is None else np.array(vector, np.float32),
        tuple(draw(st.lists(st.text("aB,[]\" é", max_size=5), max_size=3))),
        created=draw(st.none() | st.floats(-1e10, 1e10)),
        updated=draw(st.none() | st.floats(-1e10, 1e10)),
        state=draw(st.sampled_from([State.LIVE, State.LIVE, State.DELETED])),
        extras=draw(st.fixed_dictionaries({}, optional=EXTRAS)),
    )


def changes(store: Store, wanted: list[MemoryRecord | str]) -> tuple[Changes, dict[Key, MemoryRecord]]:
    """Writes and deletions, and what the store must hold after them."""
    holds = dict(read_snapshot(store).by_key)
    puts, gone = [], []
    seen = set()
    for each in wanted:
        key = Key("default", each) if isinstance(each, str) else each.key
        present = holds.get(key)
        if key in seen or (isinstance(each, str) and present is None):
            continue
        seen.add(key)
        if isinstance(each, str):
            gone.append(Ref.of(holds.pop(key)))
        else:
            holds[key], _ = store.fit(each)
            puts.append(Put(holds[key], record_hash(present) if present else None))
    return Changes(tuple(puts), tuple(gone)), holds


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=15)
@given(rounds=st.lists(st.lists(memories() | st.sampled_from(NAMES), max_size=5), min_size=1, max_size=3))
def test_what_is_written_reads_back(shape: str, rounds: list[list[MemoryRecord | str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = SHAPES[shape](Path(folder) / "sqlite_vec.db")
        for wanted in rounds:
            with open_store(Address("memory-service", str(path))) as store:
                planned, holds = changes(store, wanted)
                store.write(planned, Progress())
                found = read_snapshot(store).by_key
                assert found.keys() == holds.keys()
                for key, record in holds.items():
                    assert record_hash(found[key]) == record_hash(record), (found[key], record)
                    assert_same_vector(found[key], record)
                    assert record_hash(store.fit(found[key])[0]) == record_hash(found[key])
                with_vector = [each for each in found.values() if each.embedding is not None]
                assert store.lost_in_search(with_vector, Progress()) == []
            assert_sound(path, found)


def assert_sound(path: Path, found: dict[Key, MemoryRecord]) -> None:
    """Tables, index of words, and search are what SQLite and sqlite-vec themselves want them to be."""
    connection = connected(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT * FROM notes_of_the_user").fetchall() == [(1, b"\x00\xff")]
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'memory_content_fts'").fetchall():
        connection.execute("INSERT INTO memory_content_fts(memory_content_fts, rank) VALUES ('integrity-check', 1)")
        assert len(connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'trigger'").fetchall()) == 3
    vectors = dict(
        connection.execute(
            "SELECT content_hash, content_embedding FROM memory_embeddings AS v JOIN memories AS m ON m.id = v.rowid"
        )
    )
    assert connection.execute("SELECT count(*) FROM memory_embeddings").fetchall() == [(len(vectors),)]
    told = {key.id: each.embedding.tobytes() for key, each in found.items() if each.embedding is not None}
    assert vectors == told
    connection.close()


@settings(max_examples=60)
@given(record=memories())
def test_fitting_again_changes_nothing(tmp_path_factory: pytest.TempPathFactory, record: MemoryRecord) -> None:
    for shape, make in SHAPES.items():
        path = tmp_path_factory.getbasetemp() / f"fitted-{shape}.db"
        with open_store(Address("memory-service", str(path if path.exists() else make(path)))) as store:
            fitted, _ = store.fit(record)
            again, losses = store.fit(replace(fitted))
            assert (record_hash(again), losses) == (record_hash(fitted), ())
