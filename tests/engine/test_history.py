"""The past of a store: its order, what is undone, undone in part, redone; and what a step saves for that."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdefrag.base.errors import BackupDamaged, HistoryNotFound
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue, history, images, step_files
from memdefrag.engine.apply import apply
from memdefrag.engine.history import HistoryStep, StepState
from memdefrag.model.address import Address
from memdefrag.model.hashing import content_hash
from memdefrag.model.plan import Changes, Merge, Plan, Put, Ref, Result, StoreStep, VectorRule
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.registry import open_store
from tests.engine.stores import make_store, snapshot_of


@pytest.fixture(params=["jsonl", "memory-export"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    (tmp_path / "place").mkdir()
    return make_store(request.param, tmp_path / "place")


def key(number: int) -> Key:
    return Key("memories", f"id{number:03}")


def edit(address: Address, at: Key, text: str) -> None:
    """What an assistant does meanwhile: changes a memory, or adds one."""
    present = snapshot_of(address).by_key.get(at)
    with open_store(address) as store:
        made = replace(present or MemoryRecord(at, "", embedding=np.ones(8, np.float32)), text=text)
        put = Put(store.fit(made)[0], Ref.of(present).hash if present else None)
        store.write(Changes(put=(put,)), Progress())


def merged(address: Address, which: int = 0) -> HistoryStep:
    """Merge this memory and the next one; the step."""
    present = snapshot_of(address).by_key
    one, other = present[key(which)], present[key(which + 1)]
    result = Result(f"{one.text}, merged", ("c",), one.created, 1.8e9, metadata=one.metadata, vector=VectorRule.MEAN)
    step = Merge(Ref.of(one), (Ref.of(other),), result)
    return history.find(str(apply(Plan(source=str(address), target=str(address), steps=(step,))).step))


def everything(address: Address) -> tuple[str, dict[Key, bytes]]:
    """All records by hash, and the bits of their vectors."""
    found = snapshot_of(address)
    return content_hash(found), {r.key: r.embedding.tobytes() for r in found if r.embedding is not None}


def archive(address: Address) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(address.path)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'memory_archive'").fetchone() is None:
            return []
        return connection.execute("SELECT original_id, content, archived_at FROM memory_archive ORDER BY id").fetchall()


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def shortened(data: bytes) -> bytes:
    return data[:-1]


@pytest.mark.parametrize("damage", [flipped, shortened, None])
@pytest.mark.parametrize(
    "name", [images.BEFORE, images.AFTER, step_files.STEP, step_files.PLAN, step_files.TOUCHED, "sums.json"]
)
def test_a_damaged_step_is_not_undone_by_halves(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes] | None
) -> None:
    address = make_store("jsonl", tmp_path)
    step = merged(address)
    file = step.folder / name
    if damage:
        file.write_bytes(damage(file.read_bytes()))
    else:
        file.unlink()
    with pytest.raises(BackupDamaged, match=step.id):
        apply(history.undo_plan(step))
    assert len(snapshot_of(address)) == 19


def test_a_step_that_does_not_know_itself_any_more_is_named(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    step, other = merged(address), merged(address, 2)
    file = step.folder / step_files.STEP
    file.write_bytes(flipped(file.read_bytes()))
    assert [found.id for found in history.steps(address)] == [other.id]
    assert history.damaged(address) == [step.id]
    with pytest.raises(BackupDamaged, match=step.id):
        history.find(step.id)


def test_a_file_that_was_slipped_in_is_noticed(tmp_path: Path) -> None:
    step = merged(make_store("jsonl", tmp_path))
    (step.folder / "other.json").write_text("{}")
    with pytest.raises(BackupDamaged):
        history.undo_plan(step)


@pytest.mark.case(41)
def test_steps_follow_each_other_as_they_happened_whatever_the_clock_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = make_store("jsonl", tmp_path)
    names = ["20300101T000000Z-aaaaaa", "20200101T000000Z-bbbbbb", "20250101T000000Z-cccccc"]
    for number, name in enumerate(names):
        ids = iter([name, f"backup-{number}"])
        with monkeypatch.context() as patch:
            patch.setattr(catalogue, "new_id", lambda ids=ids: next(ids))
            merged(address, 2 * number)
    assert [step.id for step in history.steps(address)] == names[::-1]
    assert history.latest(address).id == names[-1]


def test_an_undo_and_a_redo_give_back_every_bit(address: Address) -> None:
    before = everything(address)
    step = merged(address)
    after = everything(address)
    for _ in range(2):
        assert apply(history.undo_plan(step)).skipped == ()
        assert everything(address) == before
        assert apply(history.redo_plan(step)).skipped == ()
        assert everything(address) == after


def test_the_undo_of_an_undo_is_a_redo(address: Address) -> None:
    step = merged(address)
    after = everything(address)
    undo = history.find(str(apply(history.undo_plan(step)).step))
    assert history.state(step) is StepState.UNDONE
    apply(history.undo_plan(undo))
    assert everything(address) == after
    assert history.state(step) is StepState.APPLIED
    assert history.state(undo) is StepState.UNDONE


def test_what_was_changed_since_is_left_and_can_be_undone_later(address: Address) -> None:
    before = everything(address)
    step = merged(address)
    survivor = snapshot_of(address).by_key[key(0)]
    edit(address, key(0), "Said by somebody else")
    report = apply(history.undo_plan(step))
    assert [skipped.record for skipped in report.skipped] == [str(key(0))]
    assert (history.state(step), history.left(step)) == (StepState.PARTLY, (key(0),))
    assert step.id not in history.undone(address)
    assert snapshot_of(address).by_key[key(0)].text == "Said by somebody else"
    edit(address, key(0), str(survivor.text))
    again = history.undo_plan(step)
    assert len(again.steps) == 1
    assert apply(again).skipped == ()
    assert everything(address) == before
    assert step.id in history.undone(address)


def test_steps_that_touch_other_memories_do_not_stand_in_the_way(address: Address) -> None:
    first = merged(address)
    second = merged(address, 2)
    assert apply(history.undo_plan(first)).skipped == ()
    assert apply(history.undo_plan(second)).skipped == ()
    assert apply(history.redo_plan(first)).skipped == ()
    assert {key(0), key(2), key(3)} <= snapshot_of(address).by_key.keys()
    assert key(1) not in snapshot_of(address).by_key
    assert history.states(address)[second.id] is StepState.UNDONE


def test_a_redo_clobbers_nothing(address: Address) -> None:
    step = merged(address)
    apply(history.undo_plan(step))
    edit(address, key(1), "Edited after the undo")
    report = apply(history.redo_plan(step))
    assert [skipped.record for skipped in report.skipped] == [str(key(1))]
    assert snapshot_of(address).by_key[key(1)].text == "Edited after the undo"
    assert history.left(step) == (key(0),)


def test_what_was_undone_last_is_redone_first(address: Address) -> None:
    first, second = merged(address), merged(address, 2)
    assert history.redoable(address) == []
    for step in (second, first):
        apply(history.undo_plan(step))
    assert [step.id for step in history.redoable(address)] == [first.id, second.id]
    apply(history.redo_plan(first))
    assert [step.id for step in history.redoable(address)] == [second.id]


def test_the_latest_passes_over_what_is_undone_and_the_undoing(address: Address) -> None:
    first, second = merged(address), merged(address, 2)
    apply(history.undo_plan(second))
    assert history.latest(address).id == first.id
    apply(history.redo_plan(second))
    assert history.latest(address).id == second.id
    for step in (second, first):
        apply(history.undo_plan(step))
    with pytest.raises(HistoryNotFound):
        history.latest(address)


def test_undoing_what_is_undone_does_nothing(address: Address) -> None:
    step = merged(address)
    apply(history.undo_plan(step))
    count = len(history.steps(address))
    assert history.undo_plan(step).steps == ()
    assert apply(history.undo_plan(step)).step is None
    assert len(history.steps(address)) == count


def test_an_undo_takes_its_originals_out_of_the_archive_and_no_others(tmp_path: Path) -> None:
    address = make_store("memory-export", tmp_path)
    merged(address)
    kept = archive(address)
    assert len(kept) == 2
    step = merged(address, 2)
    assert len(archive(address)) == 4
    apply(history.undo_plan(step))
    assert archive(address) == kept
    apply(history.redo_plan(step))
    assert [row[:2] for row in archive(address)[2:]] == [("id002", "Fact number 1 about the garden"),
                                                         ("id003", "Fact number 1 about the garden")]  # fmt: skip
    assert archive(address)[:2] == kept


def test_of_equal_originals_the_newest_leaves_the_archive(tmp_path: Path) -> None:
    address = make_store("memory-export", tmp_path)
    step = merged(address)
    [first, *_] = archive(address)
    with closing(sqlite3.connect(address.path)) as connection:
        connection.execute(
            "INSERT INTO memory_archive (original_id, content, embedding, metadata, timestamp, archived_at) "
            "SELECT original_id, content, embedding, metadata, timestamp, 1.0 FROM memory_archive ORDER BY id"
        )
        connection.commit()
    apply(history.undo_plan(step))
    assert first in archive(address)
    assert len(archive(address)) == 2


def test_an_archive_that_its_app_emptied_does_not_stop_the_undo(tmp_path: Path) -> None:
    address = make_store("memory-export", tmp_path)
    before = everything(address)
    step = merged(address)
    with closing(sqlite3.connect(address.path)) as connection:
        connection.execute("DROP TABLE memory_archive")
        connection.commit()
    assert apply(history.undo_plan(step)).skipped == ()
    assert everything(address) == before


def test_a_step_is_known_to_a_new_process_only_when_its_job_was_applied(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    step = merged(address)
    log = data_dir() / "catalogue.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(line for line in lines if json.loads(line)["event"] != "outcome"))
    assert history.steps(address) == []
    with pytest.raises(HistoryNotFound):
        history.find(step.id)


def test_a_restore_tells_what_it_took_away(address: Address) -> None:
    step = merged(address)
    edit(address, Key("memories", "later"), "Added since")
    plan = Plan(
        source=f"backup:{step.backup}",
        target=str(address),
        store_steps=(StoreStep.REPLACE,),
        settings={"reason": "restore"},
    )
    report = apply(plan)
    assert report.added_since == 1
    restored = history.find(str(report.step))
    assert [ref.key.id for ref in history.added(restored)] == ["later"]
    assert any(f"memdefrag backup restore {report.backup} --added" in line for line in report.next_steps)


def test_a_restore_can_be_undone_and_redone(address: Address) -> None:
    before = everything(address)
    step = merged(address)
    after = everything(address)
    plan = Plan(source=f"backup:{step.backup}", target=str(address), store_steps=(StoreStep.REPLACE,))
    restored = history.find(str(apply(plan).step))
    assert everything(address) == before
    apply(history.undo_plan(restored))
    assert everything(address) == after
    assert history.state(restored) is StepState.UNDONE
    assert history.undo_plan(restored).store_steps == ()
    apply(history.redo_plan(restored))
    assert everything(address) == before
    assert history.state(restored) is StepState.APPLIED


def test_an_undo_and_a_redo_of_files_go_back_to_the_last_time(address: Address) -> None:
    step = merged(address)
    plan = Plan(source=f"backup:{step.backup}", target=str(address), store_steps=(StoreStep.REPLACE,))
    restored = history.find(str(apply(plan).step))
    apply(history.undo_plan(restored))
    edit(address, Key("memories", "while undone"), "Added since")
    undone = everything(address)
    again = history.find(str(apply(history.redo_plan(restored)).step))
    edit(address, Key("memories", "while done"), "Added since")
    done = everything(address)
    assert apply(history.undo_plan(restored)).added_since == 1
    assert everything(address) == undone
    apply(history.redo_plan(restored))
    assert everything(address) == done
    apply(history.undo_plan(again))
    assert everything(address) == undone


def test_a_damaged_undo_is_said_of_the_step_it_undid_and_of_no_other(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    step, other = merged(address), merged(address, 2)
    undo = history.find(str(apply(history.undo_plan(step)).step))
    (undo.folder / step_files.TOUCHED).write_text("[")
    found = history.states(address)
    assert (found[step.id], found[other.id]) == (StepState.DAMAGED, StepState.APPLIED)
    assert history.latest(address).id == other.id
