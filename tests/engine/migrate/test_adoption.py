"""Each system's memories say in another the same things under that one's names; what comes back is what left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address
from memdefrag.model.carried import CARRIED
from memdefrag.model.hashing import record_hash
from memdefrag.model.migration import MigrateOptions, MigrationReport, Outcome
from memdefrag.model.records import MemoryRecord, State
from tests.engine.migrate.kinds import NO_MODEL, links, make, odd, unlike
from tests.engine.stores import snapshot_of


def copied(source: Address, target: Address) -> MigrationReport:
    report = migrate(source, target, MigrateOptions(), NO_MODEL)
    assert report.failed == 0
    return report


def by_id(address: Address) -> dict[str, MemoryRecord]:
    return {record.key.id: record for record in snapshot_of(address)}


def test_anything_goes_into_an_enhanced_memory_database_and_comes_back(tmp_path: Path) -> None:
    source = make(Address("jsonl", str(tmp_path / "a.jsonl")), odd(), links())
    there, back = Address("enhanced", str(tmp_path / "memory.db")), Address("jsonl", str(tmp_path / "b.jsonl"))
    report = copied(source, there)
    told = {loss for entry in report.entries for loss in entry.losses}
    assert all("owner" in loss or "absence of a text" in loss for loss in told)
    [dead] = [entry.source.id for entry in report.entries if entry.outcome is Outcome.DEAD]
    copied(there, back)
    found = by_id(back)
    assert {record.key.id: unlike(record, found.get(record.key.id), told) for record in odd()} == {
        record.key.id: ["it is missing"] if record.key.id == dead else [] for record in odd()
    }
    assert {(str(link.source), str(link.target), link.type) for link in snapshot_of(back).relations} == {
        (str(link.source), str(link.target), link.type) for link in links()
    }
    again = migrate(source, there, MigrateOptions(), NO_MODEL)
    assert {entry.outcome for entry in again.entries} == {Outcome.SAME, Outcome.DEAD}


def test_an_enhanced_memory_title_is_the_metadatas_elsewhere_and_back(tmp_path: Path) -> None:
    first, there = Address("memory-export", str(tmp_path / "a.db")), Address("enhanced", str(tmp_path / "memory.db"))
    back = Address("memory-export", str(tmp_path / "back.db"))
    metadata = {"title": "Garden", "access_level": "public", "content_hash": "h"}
    source = make(Address("jsonl", str(tmp_path / "a.jsonl")), [
        MemoryRecord(odd()[0].key, "First line", metadata),
        MemoryRecord(odd()[1].key, "Other line", extras={"memory_type": "note"}),
    ])  # fmt: skip
    copied(source, first)
    copied(first, there)
    said = {
        (each.extras["title"], each.extras.get("access_level"), each.metadata.get("memory_type"))
        for each in snapshot_of(there)
    }
    assert said == {("Garden", "public", None), ("Other line", None, "note")}
    copied(there, back)
    before = by_id(first)
    for id, record in by_id(back).items():
        # The system gave it an owner.
        carried = record.metadata.pop(CARRIED)
        assert (carried.pop("owner"), carried.keys()) == ("1", {"check"})
        assert record_hash(record) == record_hash(before[id])


@pytest.mark.parametrize("name", ["sqlite_vec_v7.db", "sqlite_vec_fresh12.db"])
def test_memory_service_goes_into_its_old_form_and_back_unchanged(shared: Path, tmp_path: Path, name: str) -> None:
    source = Address("memory-service", shutil.copyfile(shared / "fixtures" / name, str(tmp_path / name)))
    old, back = Address("memory-export", str(tmp_path / "old.db")), Address("memory-service", str(tmp_path / "back.db"))
    copied(source, old)
    for record in snapshot_of(old):
        assert record.metadata.keys() >= {"content_hash", "memory_type", "timestamp", "created_at_iso", "tags"}
    copied(old, back)
    found, before = by_id(back), by_id(source)
    assert found.keys() == {id for id, record in before.items() if record.state is not State.DELETED}
    assert all(record_hash(record) == record_hash(before[id]) for id, record in found.items())


def test_a_real_enhanced_memory_database_goes_through_the_services_and_comes_back(shared: Path, tmp_path: Path) -> None:
    source = Address("enhanced", shutil.copyfile(shared / "fixtures/mcm_old.db", str(tmp_path / "mcm.db")))
    there, back = Address("memory-service", str(tmp_path / "ms.db")), Address("enhanced", str(tmp_path / "back.db"))
    # The service keeps a text once; memories that repeat another are listed as conflicts.
    taken = {each.source.id for each in copied(source, there).entries if each.outcome is Outcome.COPY}
    copied(there, back)
    found = by_id(back)
    live = [each for each in snapshot_of(source) if each.state is State.LIVE and each.key.id in taken]
    assert len(live) > 200
    # A new database has no contexts; which one a memory belonged to is noted.
    assert {name for each in live for name in unlike(each, found.get(each.key.id), set())} == {"context_id"}
