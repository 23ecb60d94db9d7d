"""What is given out of a store."""

from __future__ import annotations

from pathlib import Path

from memdefrag.engine.serve import entries
from memdefrag.model.address import Address
from memdefrag.model.records import Key, MemoryRecord
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
