"""What comes back from a backup: everything, or just what was chosen; and nothing that came since is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdefrag.base.errors import HistoryNotFound, UsageError
from memdefrag.base.progress import Progress
from memdefrag.engine import history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups.shelf import Backup, find
from memdefrag.engine.restore import Foreseen, added_since, foresee, merged_with, restore_plan, taken_away_by
from memdefrag.model.address import Address
from memdefrag.model.hashing import content_hash
from memdefrag.model.plan import Changes, Drop, Plan, Put, Ref, StoreStep
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.model.report import ApplyReport
from memdefrag.stores.registry import open_store
from tests.engine.stores import make_store, merge_plan, snapshot_of

LATER = Key("memories", "later")


@pytest.fixture(params=["jsonl", "memory-export"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    (tmp_path / "place").mkdir()
    return make_store(request.param, tmp_path / "place")


@pytest.fixture
def before(address: Address) -> str:
    """The content of the store before it was merged."""
    return content_hash(snapshot_of(address))


@pytest.fixture
def backup(address: Address, before: str) -> Backup:
    """The backup from before three merges; a memory was added since."""
    made = find(str(apply(merge_plan(address)).backup))
    edit(address, LATER, "Added since")
    return made


def edit(address: Address, at: Key, text: str) -> None:
    present = snapshot_of(address).by_key.get(at)
    with open_store(address) as store:
        made = replace(present or MemoryRecord(at, "", embedding=np.ones(8, np.float32)), text=text)
        put = Put(store.fit(made)[0], Ref.of(present).hash if present else None)
        store.write(Changes(put=(put,)), Progress())


def key(number: int) -> Key:
    return Key("memories", f"id{number:03}")


@pytest.mark.parametrize("address", ["memory-export"], indirect=True)
def test_a_database_with_a_log_and_pages_of_another_size_is_restored(
    address: Address, before: str, backup: Backup
) -> None:
    with closing(sqlite3.connect(address.path)) as connection:
        for change in ("PRAGMA journal_mode=DELETE", "PRAGMA page_size=8192", "VACUUM", "PRAGMA journal_mode=WAL"):
            connection.execute(change)
    restored(backup, address)
    assert content_hash(snapshot_of(address)) == before


def restored(backup: Backup, address: Address, **chosen: object) -> ApplyReport:
    return apply(restore_plan(backup, snapshot_of(address), **chosen))  # type: ignore[arg-type]


def test_one_memory_comes_back_alone(backup: Backup, address: Address) -> None:
    now = snapshot_of(address).by_key
    report = restored(backup, address, keys=[key(1)])
    assert (report.written, report.removed, report.skipped) == (1, 0, ())
    after = snapshot_of(address).by_key
    assert after.keys() - now.keys() == {key(1)}
    assert after[key(1)].embedding is not None
    assert all(Ref.of(after[at]) == Ref.of(now[at]) for at in now)


def test_a_group_comes_back_as_it_was_before_its_merge(backup: Backup, address: Address) -> None:
    step = history.latest(address)
    assert merged_with(step, key(3)) == (key(2), key(3))
    restored(backup, address, keys=merged_with(step, key(3)))
    after = snapshot_of(address).by_key
    assert after[key(2)].text == after[key(3)].text == "Fact number 1 about the garden"
    assert str(after[key(0)].text).endswith("merged")
    with pytest.raises(HistoryNotFound):
        merged_with(step, key(19))


def test_a_text_or_a_tag_chooses(backup: Backup, address: Address) -> None:
    by_text = restore_plan(backup, snapshot_of(address), where="NUMBER 2 ABOUT")
    assert {step.key for step in by_text.steps} == {key(4), key(5)}  # type: ignore[union-attr]
    by_tag = restore_plan(backup, snapshot_of(address), tag="a")
    assert len(by_tag.steps) == 6
    both = restore_plan(backup, snapshot_of(address), tag="a", keys=[key(1)])
    assert len(both.steps) == 1
    with pytest.raises(UsageError):
        restore_plan(backup, snapshot_of(address), tag="of nobody")


def test_what_was_changed_after_the_plan_is_not_written_over(backup: Backup, address: Address) -> None:
    plan = restore_plan(backup, snapshot_of(address), keys=[key(0), key(1)])
    edit(address, key(0), "Edited meanwhile")
    report = apply(plan)
    assert [skipped.record for skipped in report.skipped] == [str(key(0))]
    assert snapshot_of(address).by_key[key(0)].text == "Edited meanwhile"


def test_a_partial_restore_is_undone_like_any_step(backup: Backup, address: Address) -> None:
    now = content_hash(snapshot_of(address))
    step = restored(backup, address, where="garden").step
    apply(history.undo_plan(history.find(str(step))))
    assert content_hash(snapshot_of(address)) == now


def test_a_whole_restore_is_foreseen_and_what_it_takes_away_can_come_back(
    backup: Backup, address: Address, before: str
) -> None:
    plan = restore_plan(backup, snapshot_of(address))
    assert plan.store_steps == (StoreStep.REPLACE,)
    assert foresee(plan, snapshot_of(address)) == Foreseen(going=1, changing=3, coming=3)
    report = apply(plan)
    assert content_hash(snapshot_of(address)) == before
    assert report.added_since == 1
    step = taken_away_by(find(str(report.backup)))
    assert step.id == report.step
    assert apply(added_since(step, snapshot_of(address))).written == 1
    after = snapshot_of(address)
    assert after.by_key[LATER].text == "Added since"
    assert len(after) == 21


def test_what_is_back_already_is_not_written_again(backup: Backup, address: Address) -> None:
    step = history.find(str(apply(restore_plan(backup, snapshot_of(address))).step))
    apply(added_since(step, snapshot_of(address)))
    assert added_since(step, snapshot_of(address)).steps == ()


def test_a_step_that_took_nothing_away_offers_nothing(backup: Backup, address: Address) -> None:
    with pytest.raises(HistoryNotFound):
        added_since(history.latest(address), snapshot_of(address))
    with pytest.raises(HistoryNotFound):
        taken_away_by(backup)


def test_a_store_that_cannot_be_read_is_restored_as_a_whole(backup: Backup, address: Address, before: str) -> None:
    address.path.write_bytes(b"\x00\xff" * 5000)
    apply(restore_plan(backup, None))
    assert content_hash(snapshot_of(address)) == before


def test_without_the_stores_own_files_its_records_become_what_they_were(
    backup: Backup, address: Address, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backup, "files", ())
    plan = restore_plan(backup, snapshot_of(address))
    assert plan.store_steps == ()
    assert [step.record.key for step in plan.steps if isinstance(step, Drop)] == [LATER]
    apply(plan, ApplyOptions(confirm_shrink=True))
    assert content_hash(snapshot_of(address)) == before


def test_a_plan_may_be_carried_out_later(backup: Backup, address: Address, tmp_path: Path) -> None:
    from memdefrag.model import plan as plans

    file = tmp_path / "plan.json"
    file.write_bytes(plans.dump(restore_plan(backup, snapshot_of(address), keys=[key(1)])))
    loaded: Plan = plans.load(file)
    assert apply(loaded).written == 1
