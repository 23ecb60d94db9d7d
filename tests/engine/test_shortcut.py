"""Undoing what was done last, with nothing in between, takes the files that a backup already holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.progress import Progress
from memdefrag.engine import history
from memdefrag.engine.apply import apply
from memdefrag.engine.backups.shelf import find
from memdefrag.engine.commit import state_hash
from memdefrag.engine.shortcut import ready_made
from memdefrag.model.address import Address
from memdefrag.model.plan import Plan
from memdefrag.model.report import ApplyReport
from memdefrag.stores.registry import open_store, store_class
from tests.engine.stores import make_store, merge_plan, snapshot_of


@pytest.fixture(params=["memory-export", "jsonl"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    return make_store(request.param, tmp_path)


def state(address: Address) -> str:
    with open_store(address) as store:
        return state_hash(address.path, store.capabilities.commit)


def applied_without_writing(plan: Plan, kind: str) -> ApplyReport:
    """Apply a plan while the store's own way of writing is barred."""

    def refuse(*_: object) -> None:
        raise AssertionError("it was written record by record")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_class(kind), "write", refuse)
        patch.setattr(history.images, "save", lambda *_: None)
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
    assert ready_made(history.undo_plan(step), address, state(address), Progress()) is None
    chosen = ready_made(history.undo_plan(later), address, state(address), Progress())
    assert chosen is not None and chosen.id == later.backup
    assert ready_made(history.undo_plan(later), address, "something else", Progress()) is None
    apply(history.undo_plan(step))
    assert history.state(later) is history.StepState.APPLIED


def test_a_damaged_backup_is_not_used_and_the_undo_works_all_the_same(address: Address) -> None:
    before = snapshot_of(address).by_key
    step = history.find(str(apply(merge_plan(address)).step))
    backup = find(str(step.backup))
    packed = backup.raw[0].within(backup.folder / "files")
    packed.write_bytes(packed.read_bytes()[:-1])
    assert ready_made(history.undo_plan(step), address, state(address), Progress()) is None
    apply(history.undo_plan(step))
    assert snapshot_of(address).by_key == before
