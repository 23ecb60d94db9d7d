"""What is given out of a store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdefrag.engine.serve import entries
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Put
from memdefrag.model.records import Key, MemoryRecord, Metadata, State
from memdefrag.model.service_metadata import content_hash
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.hdev.store import record_of
from memdefrag.stores.registry import open_store
from tests.conftest import fill


def test_what_a_store_writes_into_metadata_to_tell_the_times_is_not_given_out(tmp_path: Path) -> None:
    """The client compares what it reads with what it wrote."""
    address = Address("memory-export", str(tmp_path / "store.db"))
    one = MemoryRecord(Key("memories", "one"), "The first.", {"mine": 1}, created=5.0)
    fill(address, [one, MemoryRecord(Key("memories", "two"), "The second.", {"mine": 2}, created=5.0, updated=6.0)])
    with open_store(address) as store:
        assert store.capabilities.tags_in_metadata
        given = entries.of(store)
        first, second = (given.look(name).record for name in ("one", "two"))
        assert first is not None and second is not None
        assert (first.metadata["mine"], second.metadata["mine"]) == (1, 2)
        given_times = {"timestamp", "created_at_iso", "updated_at_iso"} & {*first.metadata, *second.metadata}
        assert not given_times


@pytest.mark.parametrize("said", [{"deleted_at": 5.0}, {"superseded_by": "x"}, {"is_chunk": True}], ids=min)
def test_an_entry_that_the_store_would_take_for_a_dead_memory_is_refused(tmp_path: Path, said: Metadata) -> None:
    """Its people could not see it any more; what is there stays as it is."""
    address = Address("memory-export", str(tmp_path / "store.db"))
    fill(address, [MemoryRecord(Key("memories", "one"), "The first.")])
    with open_store(address) as store:
        given = entries.of(store)
        before = given.look("one").record
        assert before is not None
        changed = Put(replace(before, metadata={**before.metadata, **said}), record_hash(before))
        refused = given.write([changed, Put(record_of("two", "The second.", said), None)], [])
        assert set(refused) == {"one", "two"} and all(min(said) in reason for reason in refused.values())
        assert given.look("one").record == before
        assert given.look("two").record is None


STORES = [("memory-service", "s.db"), ("jsonl", "s.jsonl"), ("memory-export", "s.db")]


@pytest.mark.parametrize(("kind", "name"), STORES)
def test_deleted_memories_are_not_given_out_and_their_names_can_be_used_again(
    tmp_path: Path, kind: str, name: str
) -> None:
    address = Address(kind, str(tmp_path / name))
    ids = {state: content_hash(state) for state in (State.DELETED, State.LIVE)}
    gone = {"deleted_at": 5.0} if kind == "memory-export" else {}
    said: dict[State, Metadata] = {State.DELETED: gone, State.LIVE: {}}
    fill(address, [
        MemoryRecord(Key("memories", id), state, said[state], np.ones(4, np.float32), state=state)
        for state, id in ids.items()
    ])  # fmt: skip
    with open_store(address) as store:
        given = entries.of(store, lambda texts, staying: np.ones((len(texts), 4), np.float32))
        assert given.index().names == {ids[State.LIVE]}
        assert [record.key.id for record in given.scan()] == [ids[State.LIVE]]
        live = given.look(ids[State.LIVE]).record
        assert live is not None
        given.write([], [live])
        assert not given.index().names
        for state, id in ids.items():
            assert given.look(id).record is None
            assert given.write([Put(record_of(id, state, {"new": 1}), None)], []) == {}
            again = given.look(id).record
            assert again is not None and (again.text, again.metadata["new"]) == (state, 1)
        assert {record.state for record in read_snapshot(open_store(address))} == {State.LIVE}
