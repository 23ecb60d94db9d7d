"""Plans carried out on databases of Memory Service: merged as the service deletes, taken back, safe at any time."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from memdefrag.base.errors import NotPermitted
from memdefrag.base.progress import Progress
from memdefrag.engine import history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.model.address import Address
from memdefrag.model.hashing import content_hash, relation_hash
from memdefrag.model.plan import Changes, Drop, Merge, Plan, Put, Ref, Result, VectorRule, Write
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, Snapshot, State
from memdefrag.model.report import ApplyReport
from memdefrag.model.service_metadata import content_hash as text_hash
from memdefrag.stores.memory_service import library, rows
from memdefrag.stores.registry import open_store
from tests.engine.stores import DIMENSION, fill_store, make_store, merge_plan, snapshot_of
from tests.faults import ledger, worker
from tests.faults.harness import Scene, strike

AGREED = ApplyOptions(confirm_shrink=True)


@pytest.fixture
def address(tmp_path: Path) -> Address:
    (tmp_path / "place").mkdir()
    made = fill_store(Address("memory-service", str(tmp_path / "place" / "sqlite_vec.db")))
    keys = [Key("memories", f"id{number:03}") for number in range(20)]
    ends = [(keys[0], keys[1]), (keys[1], keys[5]), (keys[5], keys[1]), (keys[3], keys[7]), (keys[2], "gone")]
    with open_store(made) as store:
        links = [store.fit_relation(Relation(one, other, "supports", 0.5, {"n": 1}, 1.7e9))[0] for one, other in ends]
        store.write(Changes(relate=tuple(link for link in links if link)), Progress())
    return made


def said(found: Snapshot) -> tuple[str, list[str]]:
    return content_hash(found.records), sorted(map(relation_hash, found.relations))


def carry_out(plan: Plan) -> None:
    """At one moment of all times, so that two tries come to the same."""
    rows.time = SimpleNamespace(time=lambda: 1.75e9)  # type: ignore[attr-defined]
    worker.carry_out(plan)


def undo() -> None:
    apply(history.undo_plan(history.steps()[-1]), AGREED)


def test_a_merge_marks_as_deleted_and_leads_links_to_the_survivor(address: Address) -> None:
    before = snapshot_of(address)
    report = apply(merge_plan(address), AGREED)
    assert (report.merged, report.skipped) == (3, ())
    after = snapshot_of(address)
    assert len(after) == len(before) + 3
    deleted = [record.key.id for record in after if record.state is State.DELETED]
    assert sorted(deleted) == ["id000", "id001", "id002", "id003", "id004", "id005"]
    first, second, third = (f"memories/{text_hash(f'Fact number {n} about the garden, merged')}" for n in range(3))
    links = {(str(link.source), str(link.target)) for link in after.relations}
    assert links == {(first, third), (third, first), (second, "memories/id007"), (second, "gone")}
    with open_store(address) as store:
        assert [(info.count, info.live, info.with_embedding) for info in store.collections()] == [(23, 17, 17)]


def merged_as(address: Address, text: str | None, *, member: int = 1) -> ApplyReport:
    """The first record and another become one that says `text`."""
    records = snapshot_of(address).records
    one, other = records[0], records[member]
    result = Result(text, ("merged",), one.created, 1.8e9, metadata=one.metadata, vector=VectorRule.MEAN)
    steps = (Merge(Ref.of(one), (Ref.of(other),), result),)
    return apply(Plan(source=str(address), target=str(address), steps=steps), AGREED)


def stored(address: Address, text: str, *, state: State = State.LIVE) -> Key:
    """A memory as the service stores it."""
    with open_store(address) as store:
        key = Key("memories", text_hash(text))
        record, _ = store.fit(MemoryRecord(key, text, created=1.9e9, state=state))
        store.write(Changes((Put(record, None),)), Progress())
    return key


def test_a_merged_memory_stands_under_the_hash_of_its_text(address: Address) -> None:
    before = snapshot_of(address)
    report = merged_as(address, "Said once.")
    assert (report.merged, report.removed, report.records_after) == (1, 1, 21)
    after = snapshot_of(address).by_key
    assert after[Key("memories", text_hash("Said once."))].tags == ("merged",)
    assert after[before.records[0].key].state is State.DELETED
    undo()
    assert said(snapshot_of(address)) == said(before)


def test_the_hash_stays_where_the_text_does(address: Address) -> None:
    first = snapshot_of(address).records[0]
    merged_as(address, f"  {first.text} ")
    assert snapshot_of(address).by_key[first.key].tags == ("merged",)


def test_the_text_of_a_member_is_kept_under_its_own_hash(address: Address) -> None:
    key = stored(address, "Said by a member.")
    before = snapshot_of(address)
    report = merged_as(address, "Said by a member.", member=20)
    assert (report.merged, report.removed, report.records_after) == (1, 1, 21)
    after = snapshot_of(address)
    assert after.by_key[key].tags == ("merged",)
    assert after.by_key[before.records[0].key].state is State.DELETED
    ends = {end for link in after.relations for end in (link.source, link.target)}
    assert key in ends
    assert before.records[0].key not in ends
    undo()
    assert said(snapshot_of(address)) == said(before)


def test_what_another_memory_says_already_is_not_said_again(address: Address) -> None:
    key = stored(address, "Said by another.")
    before = snapshot_of(address)
    report = merged_as(address, "Said by another.")
    assert [skipped.reason for skipped in report.skipped] == [f"{key} says the same already"]
    assert said(snapshot_of(address)) == said(before)


def test_a_deleted_memory_that_said_the_same_comes_to_life_and_goes_again(address: Address) -> None:
    key = stored(address, "Said before.", state=State.DELETED)
    before = snapshot_of(address)
    assert merged_as(address, "Said before.").skipped == ()
    after = snapshot_of(address).by_key[key]
    assert (after.state, after.tags) == (State.LIVE, ("merged",))
    assert after.embedding is not None
    undo()
    assert said(snapshot_of(address)) == said(before)


def test_two_merges_do_not_come_to_say_the_same(address: Address) -> None:
    plan = merge_plan(address)
    first, second, third = (step for step in plan.steps if isinstance(step, Merge))
    plan = replace(plan, steps=(first, replace(second, result=first.result), third))
    report = apply(plan, AGREED)
    [skipped] = report.skipped
    assert (skipped.record, "another step" in skipped.reason) == (str(second.survivor.key), True)
    assert report.merged == 2


def test_a_merge_that_was_undone_can_be_redone(address: Address) -> None:
    merged_as(address, "Said once.")
    done = snapshot_of(address)
    undo()
    apply(history.redo_plan(history.redoable(address)[0]), AGREED)
    assert said(snapshot_of(address)) == said(done)


def test_without_the_extra_nothing_is_written_and_the_extra_is_named(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, before = merge_plan(address), address.path.read_bytes()
    monkeypatch.setattr(library, "is_installed", lambda: False)
    with pytest.raises(NotPermitted) as refused:
        apply(plan, AGREED)
    assert refused.value.todo == "Install what writes it: pipx install 'memdefrag[memory-service]'"
    assert address.path.read_bytes() == before


def test_undo_brings_back_memories_links_and_vectors(address: Address) -> None:
    before = snapshot_of(address)
    apply(merge_plan(address), AGREED)
    undo()
    after = snapshot_of(address)
    assert said(after) == said(before)
    assert all(record.embedding is not None for record in after)


def test_undo_keeps_what_was_added_since(address: Address) -> None:
    before = snapshot_of(address)
    apply(merge_plan(address), AGREED)
    with open_store(address) as store:
        new, _ = store.fit(MemoryRecord(Key("memories", "f" * 64), "Added since", created=1.9e9))
        store.write(Changes((Put(new, None),)), Progress())
    undo()
    after = snapshot_of(address)
    assert new.key in after.by_key
    assert said(replace(after, records=tuple(each for each in after if each.key != new.key))) == said(before)


def test_a_store_of_the_service_comes_with_its_first_memory_and_goes_with_its_last(
    address: Address, tmp_path: Path
) -> None:
    source = make_store("memory-export", tmp_path)
    before = snapshot_of(address)
    steps = tuple(Write(Ref.of(r), Key("projects", content_hash([r]))) for r in snapshot_of(source))
    made = (CollectionInfo("projects", 0, 0, 0, DIMENSION), CollectionInfo("empty", 0, 0, 0, DIMENSION))
    apply(Plan(source=str(source), target=str(address), collections=made, steps=steps), AGREED)
    assert {info.name: info.count for info in snapshot_of(address).collections} == {"memories": 20, "projects": 20}
    undo()
    assert snapshot_of(address).collections == before.collections
    assert said(snapshot_of(address)) == said(before)


def test_a_database_with_a_log_stays_one(address: Address) -> None:
    with closing(sqlite3.connect(address.path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    apply(merge_plan(address), AGREED)
    with closing(sqlite3.connect(address.path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    undo()


@pytest.mark.parametrize("name", ["sqlite_vec_v7.db", "sqlite_vec_fresh12.db"])
def test_real_databases_are_merged_and_taken_back(shared: Path, tmp_path: Path, name: str) -> None:
    address = Address("memory-service", shutil.copyfile(shared / "fixtures" / name, str(tmp_path / name)))
    before = snapshot_of(address)
    linked = {end for link in before.relations for end in (link.source, link.target)}
    live = [record for record in before if record.state is State.LIVE and record.key.collection == "default"]
    one, other, third, *_ = sorted(live, key=lambda record: (record.key not in linked, record.key))
    result = Result("Said once.", ("merged",), one.created, 1.79e9, metadata=one.metadata, vector=VectorRule.MEAN)
    steps = (Merge(Ref.of(one), (Ref.of(other),), result), Drop(Ref.of(third)))
    report = apply(Plan(source=str(address), target=str(address), steps=steps), AGREED)
    assert (report.merged, report.removed, report.skipped) == (1, 2, ())
    with open_store(address) as store:
        assert store.problems() == []
    after = snapshot_of(address).by_key
    assert after[Key(one.key.collection, text_hash("Said once."))].text == "Said once."
    gone = (one.key, other.key, third.key)
    assert all(key not in after or after[key].state is State.DELETED for key in gone)
    undo()
    assert said(snapshot_of(address)) == said(before)


@pytest.mark.parametrize("fault", ["kill", "enospc"])
def test_interrupted_anywhere_it_is_old_or_new(address: Address, fault: str) -> None:
    scene = Scene("Memory Service", address, partial(carry_out, merge_plan(address)))
    assert "commit rows" in scene.points
    points = scene.chosen() if ledger.ALL_POINTS else [*scene.chosen()[::5], scene.points.index("commit rows") + 1]
    assert strike(scene, fault, sorted(points)) == {ledger.OLD, ledger.NEW}
