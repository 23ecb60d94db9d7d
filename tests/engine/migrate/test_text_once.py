"""A target that keeps every text once: who gets the place, and what the others are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address
from memdefrag.model.migration import Conflict, MigrateOptions
from memdefrag.model.records import Key, MemoryRecord, State
from tests.engine.migrate.kinds import NO_MODEL, make
from tests.engine.stores import snapshot_of


def of_text(id: str, collection: str = "default", state: State = State.LIVE) -> MemoryRecord:
    return MemoryRecord(Key(collection, id), "One text", state=state)


def test_a_text_that_two_of_its_stores_would_hold_goes_into_the_first(tmp_path: Path) -> None:
    source = make(Address("jsonl", str(tmp_path / "source.jsonl")), [of_text("a", "one"), of_text("b", "two")])
    target = Address("memory-service", str(tmp_path / "new.db"))
    told = migrate(source, target, MigrateOptions(dry_run=True), NO_MODEL)
    report = migrate(source, target, None, NO_MODEL)
    assert (told.copied, told.failed) == (report.copied, report.failed) == (1, 1)
    assert [record.key.collection for record in snapshot_of(target)] == ["one"]


@pytest.mark.parametrize("conflict", [Conflict.SKIP, Conflict.OVERWRITE])
def test_of_a_live_and_a_deleted_memory_of_one_text_the_live_one_is_kept(tmp_path: Path, conflict: Conflict) -> None:
    memories = [of_text("a", state=State.DELETED), of_text("b")]
    source = make(Address("jsonl", str(tmp_path / "source.jsonl")), memories)
    target = Address("memory-service", str(tmp_path / "new.db"))
    report = migrate(source, target, MigrateOptions(conflict), NO_MODEL)
    assert (report.copied, report.conflicts) == (1, 1)
    assert [record.state for record in snapshot_of(target)] == [State.LIVE]
