from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from memdefrag.base.settings import PREVIEW_CHARACTERS, data_dir
from memdefrag.engine import history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.step_details import FieldChange, RecordChange
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.presenters.changes import ChangesPresenter, touched_row
from memdefrag.presenters.tasks import DirectRunner
from tests.presenters.fakes import FakeView
from tests.presenters.stores import add_memory, drop


class Desk:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.page = ChangesPresenter(
            FakeView(),
            DirectRunner(),
            lambda id: self.asked.append(("undo", id)),
            lambda id: self.asked.append(("redo", id)),
            lambda id: self.asked.append(("bring back", id)),
            pytest.fail,
        )


@pytest.fixture
def desk() -> Desk:
    return Desk()


def undo(step: str) -> str:
    return apply(history.undo_plan(history.find(step)), ApplyOptions(confirm_shrink=True)).step or ""


def states(desk: Desk) -> list[tuple[str, bool, bool]]:
    desk.page.refresh()
    return [(row.state, row.undoable, row.redoable) for row in desk.page.state.steps]


def test_nothing_was_changed_yet(desk):
    desk.page.refresh()
    desk.page.undo()
    desk.page.redo()
    desk.page.bring_back()
    desk.page.show()
    assert desk.page.state.steps == ()
    assert desk.asked == []


def test_what_can_be_done_with_a_step_follows_its_state(desk, jsonl_file):
    step = drop(jsonl_file, 2).step
    assert states(desk) == [("applied", True, False)]
    desk.page.redo()
    desk.page.undo()
    undo(step)
    assert states(desk) == [("undo", True, False), ("undone, redo possible", False, True)]
    desk.page.select(1)
    desk.page.undo()
    desk.page.redo()
    assert desk.asked == [("undo", step), ("redo", step)]


def test_a_step_that_was_undone_in_part_can_go_both_ways(desk, jsonl_file):
    step = drop(jsonl_file, 2).step
    plan = history.undo_plan(history.find(step))
    apply(replace(plan, steps=plan.steps[:1]))
    undo_row, row = states(desk)
    assert row == ("partly undone, redo possible", True, True)
    assert undo_row[0] == "undo"
    desk.page.select(1)
    desk.page.show()
    assert "1 memory is not undone yet" in desk.page.state.note


def test_the_memories_of_a_step_before_and_after(desk, jsonl_file):
    drop(jsonl_file, 2)
    desk.page.refresh()
    desk.page.show()
    state = desk.page.state
    assert [row.what for row in state.touched] == ["removed", "removed"]
    assert state.chosen_memory.before.startswith(state.chosen_memory.line)
    assert state.chosen_memory.after == ""
    desk.page.select_memory(1)
    assert desk.page.state.chosen_memory == state.touched[1]
    assert state.shown == state.chosen.id


def test_another_step_hides_the_memories_of_the_first(desk, jsonl_file):
    drop(jsonl_file)
    drop(jsonl_file)
    desk.page.refresh()
    desk.page.show()
    desk.page.select(1)
    assert desk.page.state.touched == ()
    assert desk.page.state.shown == ""


def test_what_came_since_is_offered_where_files_were_put_back(desk, jsonl_file):
    from memdefrag.engine.backups.shelf import find
    from memdefrag.engine.restore import restore_plan

    made = drop(jsonl_file)
    add_memory(jsonl_file)
    backup = find(made.backup)
    restored = apply(restore_plan(backup, None), ApplyOptions(confirm_shrink=True))
    desk.page.refresh()
    assert desk.page.state.chosen.added == 1
    desk.page.bring_back()
    assert desk.asked == [("bring back", restored.step)]
    desk.page.select(1)
    desk.page.bring_back()
    assert len(desk.asked) == 1


def test_a_damaged_step_is_listed_as_damaged(desk, jsonl_file):
    step = drop(jsonl_file).step
    folder = next((data_dir() / "history").glob(f"*/{step}"))
    Path(folder, "step.json").write_text("{}")
    desk.page.refresh()
    [row] = desk.page.state.steps
    assert row.damaged and row.time
    assert not (row.undoable or row.redoable)


def test_a_long_text_is_cut_and_values_are_told():
    long = MemoryRecord(Key("m", "a"), "x" * (PREVIEW_CHARACTERS + 5), {"n": 1})
    row = touched_row(RecordChange(long.key, long, None))
    assert len(row.before) < PREVIEW_CHARACTERS + 200
    assert "5 more characters are not shown" in row.before
    assert row.what == "removed" and row.after == ""
    old, new = (MemoryRecord(Key("m", "a"), "same", {"n": n}, updated=1.75e9) for n in (1, 2))
    row = touched_row(RecordChange(old.key, old, new))
    assert row.before.endswith("n: 1") and row.after.endswith("n: 2")
    assert FieldChange("n", 1, 2) in RecordChange(old.key, old, new).fields
