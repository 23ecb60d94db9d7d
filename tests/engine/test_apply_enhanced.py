"""Plans carried out on databases of the Enhanced Memory System: merged as it deletes, taken back, safe at any time."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from memdefrag.base.progress import Progress
from memdefrag.engine import history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.model.address import Address
from memdefrag.model.hashing import content_hash, relation_hash
from memdefrag.model.plan import Changes, Drop, Merge, Plan, Put, Ref, Result, VectorRule
from memdefrag.model.records import Key, MemoryRecord, Relation, Snapshot, State
from memdefrag.stores.registry import open_store
from tests.engine.stores import merge_plan, snapshot_of
from tests.faults import ledger, worker
from tests.faults.harness import Scene, strike
from tests.stores.enhanced_memory.files import SHAPES

AGREED = ApplyOptions(confirm_shrink=True)


@pytest.fixture
def address(tmp_path: Path) -> Address:
    (tmp_path / "place").mkdir()
    made = Address("enhanced", str(SHAPES["new"](tmp_path / "place" / "memory.db")))
    keys = [Key("memories", str(number)) for number in range(1, 13)]
    texts = [f"Fact number {number // 2} about the garden. " * (300 if number == 2 else 1) for number in range(12)]
    records = [
        MemoryRecord(key, text, {"tags": ["a"]}, None, ("a",), created=1.7e9, owner="2", extras={"title": text[:20]})
        for key, text in zip(keys, texts, strict=True)
    ]
    ends: list[tuple[Key, Key | str]] = [
        (keys[0], keys[1]), (keys[1], keys[5]), (keys[3], keys[7]), (keys[9], "context:3"),
    ]  # fmt: skip
    with open_store(made) as store:
        links = [store.fit_relation(Relation(one, other, "similar_to", 0.5, {"n": 1}, 1.7e9))[0] for one, other in ends]
        puts = tuple(Put(store.fit(record)[0], None) for record in records)
        store.write(Changes(puts, relate=tuple(link for link in links if link)), Progress())
    return made


def said(found: Snapshot) -> tuple[str, list[str]]:
    return content_hash(found.records), sorted(map(relation_hash, found.relations))


def undo() -> None:
    apply(history.undo_plan(history.steps()[-1]), AGREED)


def test_a_merge_marks_as_deleted_and_leads_links_to_the_survivor(address: Address) -> None:
    report = apply(merge_plan(address), AGREED)
    assert (report.merged, report.skipped) == (3, ())
    after = snapshot_of(address)
    assert len(after) == 12
    assert sum(record.state is State.DELETED for record in after) == 3
    assert after.by_key[Key("memories", "10")].state is State.DELETED
    assert [link.source for link in after.relations if link.target == "context:3"] == [Key("memories", "1")]
    with closing(sqlite3.connect(address.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_undo_brings_back_memories_and_links(address: Address) -> None:
    before = snapshot_of(address)
    apply(merge_plan(address), AGREED)
    assert said(snapshot_of(address)) != said(before)
    undo()
    assert said(snapshot_of(address)) == said(before)


def test_a_real_database_is_merged_and_taken_back(shared: Path, tmp_path: Path) -> None:
    address = Address("enhanced", shutil.copyfile(shared / "fixtures/mcm_old.db", str(tmp_path / "memory.db")))
    before = snapshot_of(address)
    linked = {end for link in before.relations for end in (link.source, link.target)}
    live = [record for record in before if record.state is State.LIVE]
    one, other, third, *_ = sorted(live, key=lambda record: (record.key not in linked, record.key))
    result = Result("Said once.", ("merged",), one.created, 1.79e9, metadata=one.metadata, vector=VectorRule.MEAN)
    steps = (Merge(Ref.of(one), (Ref.of(other),), result), Drop(Ref.of(third)))
    report = apply(Plan(source=str(address), target=str(address), steps=steps), AGREED)
    assert (report.merged, report.removed, report.skipped) == (1, 2, ())
    after = snapshot_of(address)
    assert after.by_key[one.key].text == "Said once."
    assert {after.by_key[key].state for key in (other.key, third.key)} == {State.DELETED}
    undo()
    assert said(snapshot_of(address)) == said(before)


@pytest.mark.parametrize("fault", ["kill", "enospc"])
def test_interrupted_anywhere_it_is_old_or_new(address: Address, fault: str) -> None:
    scene = Scene("Enhanced Memory", address, partial(worker.carry_out, merge_plan(address)))
    assert "commit rows" in scene.points
    points = scene.chosen() if ledger.ALL_POINTS else [*scene.chosen()[::7], scene.points.index("commit rows") + 1]
    assert strike(scene, fault, sorted(points)) == {ledger.OLD, ledger.NEW}
