"""Undoing what was done last, with nothing in between, takes the files that a backup already holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from memdefrag.base.progress import Progress
from memdefrag.engine import history
from memdefrag.engine.apply import apply
from memdefrag.engine.backups.shelf import Backup, find
from memdefrag.engine.commit import state_hash
from memdefrag.engine.resolve import resolve
from memdefrag.engine.shortcut import ready_made
from memdefrag.model.address import Address, parse
from memdefrag.model.plan import Plan, Ref, Write
from memdefrag.model.records import CollectionInfo, Key
from memdefrag.model.report import ApplyReport
from memdefrag.stores.registry import open_store, store_class
from tests.engine.stores import make_store, merge_plan, snapshot_of


@pytest.fixture(params=["memory-export", "jsonl"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    return make_store(request.param, tmp_path)


def state(address: Address) -> str:
    with open_store(address) as store:
        return state_hash(address.path, store.capabilities.commit)


def ready_for(plan: Plan, address: Address, found: str = "") -> Backup | None:
    present = snapshot_of(address)
    with open_store(address) as store:
        changes = resolve(plan, store, present, snapshot_of(parse(plan.source)), None).changes
    return ready_made(plan, changes, present, found or state(address), Progress())


def applied_without_writing(plan: Plan, kind: str) -> ApplyReport:
    """Apply a plan while the store's own way of writing is barred."""

    def refuse(*_: object) -> None:
        raise AssertionError("it was written record by record")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_class(kind), "write", refuse)
        patch.setattr(history.images, "save", lambda *_, **__: None)
        return apply(plan)


def test_undo_and_redo_of_the_last_step_write_no_record(address: Address) -> None:
    before, first = snapshot_of(address), state(address)
    report = apply(merge_plan(address))
    merged = snapshot_of(address)
    step = history.find(str(report.step))
    undone = applied_without_writing(history.undo_plan(step), address.kind)
    assert (undone.written, undone.removed, undone.skipped) == (6, 0, ())
    assert state(address) == first
    assert snapshot_of(address).by_key == before.by_key
    assert history.state(step) is history.StepState.UNDONE
    assert applied_without_writing(history.redo_plan(step), address.kind).written == 3
    assert snapshot_of(address).by_key == merged.by_key
    assert history.state(step) is history.StepState.APPLIED


def test_where_anything_came_since_it_is_written_record_by_record(address: Address) -> None:
    step = history.find(str(apply(merge_plan(address, 1)).step))
    later = history.find(str(apply(merge_plan(address, 2)).step))
    assert ready_for(history.undo_plan(step), address) is None
    chosen = ready_for(history.undo_plan(later), address)
    assert chosen is not None and chosen.id == later.backup
    assert ready_for(history.undo_plan(later), address, "something else") is None
    apply(history.undo_plan(step))
    assert history.state(later) is history.StepState.APPLIED


@pytest.mark.parametrize("address", ["memory-export"], indirect=True)
def test_a_version_that_its_app_noted_since_is_kept(address: Address) -> None:
    step = history.find(str(apply(merge_plan(address)).step))
    with closing(sqlite3.connect(address.path)) as connection:
        connection.execute("PRAGMA user_version=7")
    apply(history.undo_plan(step))
    with closing(sqlite3.connect(address.path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (7,)


def test_a_damaged_backup_is_not_used_and_the_undo_works_all_the_same(address: Address) -> None:
    before = snapshot_of(address).by_key
    step = history.find(str(apply(merge_plan(address)).step))
    backup = find(str(step.backup))
    packed = backup.raw[0].within(backup.folder / "files")
    packed.write_bytes(packed.read_bytes()[:-1])
    assert ready_for(history.undo_plan(step), address) is None
    apply(history.undo_plan(step))
    assert snapshot_of(address).by_key == before


def test_an_undo_of_chosen_records_takes_back_no_others(address: Address) -> None:
    step = history.find(str(apply(merge_plan(address)).step))
    merged = snapshot_of(address).by_key
    plan = history.undo_plan(step)
    assert apply(replace(plan, steps=plan.steps[:1])).written == 1
    changed = [key for key, record in snapshot_of(address).by_key.items() if merged.get(key) != record]
    assert len(changed) == 1


def test_what_was_undone_bit_by_bit_is_redone_at_once(address: Address) -> None:
    step = history.find(str(apply(merge_plan(address)).step))
    merged = snapshot_of(address).by_key
    plan = history.undo_plan(step)
    apply(replace(plan, steps=plan.steps[:1]))
    apply(history.undo_plan(step))
    apply(history.redo_plan(step))
    assert snapshot_of(address).by_key == merged


def test_an_undo_leaves_the_collection_that_an_import_made(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    before = snapshot_of(address).by_key
    write = Write(Ref.of(snapshot_of(address).records[0]), Key("another", "id"))
    made = CollectionInfo("another", 0, 0, 0)
    plan = Plan(source=str(address), target=str(address), collections=(made,), steps=(write,))
    apply(history.undo_plan(history.find(str(apply(plan).step))))
    after = snapshot_of(address)
    assert after.by_key == before and after.collection("another") is not None
