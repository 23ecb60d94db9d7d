"""What is told and asked before a store is put back. Nothing of it writes."""

from __future__ import annotations

import pytest

from memdefrag.base.errors import UsageError
from memdefrag.base.progress import Progress
from memdefrag.engine import history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups.shelf import find
from memdefrag.engine.restore import restore_plan
from memdefrag.presenters import foresight
from tests.presenters.fakes import both_kinds
from tests.presenters.stores import add_memory, drop, texts


def restored(backup: str) -> str:
    """Put a whole store back; returns the step."""
    return apply(restore_plan(find(backup), None), ApplyOptions(confirm_shrink=True)).step or ""


@both_kinds
def test_a_restore_tells_what_goes_what_changes_and_what_comes(store):
    backup = drop(store, 2).backup
    add_memory(store)
    before = texts(store)
    question = foresight.of_restore(backup, Progress()).question
    assert "with 6 memories?" in question.text
    assert "1 memory that came since will go" in question.text
    assert "2 will come back" in question.text
    assert "brought back afterwards" in question.text
    assert texts(store) == before


def test_a_restore_of_what_is_there_already_says_so(store):
    first = drop(store).backup
    restored(first)
    assert "Nothing in it has changed since" in foresight.of_restore(first, Progress()).question.text


@pytest.mark.case(12)
def test_a_damaged_store_can_be_restored_though_nothing_can_be_compared(export_file):
    backup = drop(export_file).backup
    export_file.write_bytes(b"<html>")
    made = foresight.of_restore(backup, Progress())
    assert "cannot be compared" in made.question.text
    assert made.plan.store_steps
    with pytest.raises(UsageError, match="no single memory"):
        foresight.of_restoring_some(backup, set(), Progress())


def test_undoing_single_records_asks_nothing(store):
    assert foresight.of_undo(drop(store).step, Progress()).question is None


def test_undoing_a_restore_says_that_the_whole_store_is_put_back(store):
    step = restored(drop(store).backup)
    add_memory(store)
    question = foresight.of_undo(step, Progress()).question
    assert "whole store" in question.text
    assert "came since will go" in question.text
    assert question.agree == "Undo"


def test_redoing_a_restore_asks_too(store):
    step = restored(drop(store).backup)
    apply(history.undo_plan(history.find(step)), ApplyOptions(confirm_shrink=True))
    made = foresight.of_redo(step, Progress())
    assert made.question.agree == "Redo"
    assert made.plan.settings["redoes"] == step


def test_what_had_come_since_is_planned_back(store):
    backup = drop(store).backup
    add_memory(store)
    step = restored(backup)
    made = foresight.of_bringing_back(step, Progress())
    assert made.question is None
    assert [each.key.id for each in made.plan.steps] == ["later"]
