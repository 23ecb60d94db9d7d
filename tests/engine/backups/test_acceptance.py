"""Whether the assistant works with the result of a change: asked once, answered any time."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.errors import HistoryNotFound
from memdefrag.engine import catalogue, history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups import acceptance
from memdefrag.engine.backups.acceptance import Question, pending
from memdefrag.model.address import Address
from tests.engine.stores import SUFFIX, make_store, merge_plan


def applied(folder: Path, kind: str = "jsonl") -> str:
    """Merge two memories of a store, which is made where it is not there, and return the step."""
    path = folder / f"store{SUFFIX[kind]}"
    address = Address(kind, str(path)) if path.exists() else make_store(kind, folder)
    return str(apply(merge_plan(address, pairs=1)).step)


def test_an_applied_step_raises_a_question(tmp_path: Path) -> None:
    step = applied(tmp_path)
    found = history.find(step)
    assert pending() == [Question(step, found.store, found.time)]


@pytest.mark.parametrize("works", [True, False])
def test_an_answered_question_is_gone(tmp_path: Path, works: bool) -> None:
    step = applied(tmp_path)
    assert acceptance.answer(step[:25], works).id == step
    assert pending() == []


def test_an_undone_step_raises_no_question_and_neither_does_the_undo(tmp_path: Path) -> None:
    step = applied(tmp_path)
    apply(history.undo_plan(history.find(step)))
    assert pending() == []


def test_what_was_redone_is_asked_about_once(tmp_path: Path) -> None:
    step = applied(tmp_path)
    apply(history.undo_plan(history.find(step)))
    redone = apply(history.redo_plan(history.find(step))).step
    assert [question.step for question in pending()] == [redone]


def test_a_dry_run_raises_no_question(tmp_path: Path) -> None:
    apply(merge_plan(make_store("jsonl", tmp_path)), ApplyOptions(dry_run=True))
    assert pending() == []


def test_a_yes_answers_the_earlier_steps_of_the_same_store_only(tmp_path: Path) -> None:
    other = applied(tmp_path, "memory-export")
    first, second, third = (applied(tmp_path) for _ in range(3))
    assert [question.step for question in pending()] == [other, first, second, third]
    acceptance.answer(second, True)
    assert [question.step for question in pending()] == [other, third]


def test_a_no_answers_no_other_step(tmp_path: Path) -> None:
    first, second = (applied(tmp_path) for _ in range(2))
    acceptance.answer(second, False)
    assert [question.step for question in pending()] == [first]


def test_a_yes_to_what_was_undone_since_answers_nothing_earlier(tmp_path: Path) -> None:
    first, second = (applied(tmp_path) for _ in range(2))
    acceptance.answer(second, True)
    apply(history.undo_plan(history.find(second)))
    assert [question.step for question in pending()] == [first]


def test_a_question_is_asked_once_and_stays_open(tmp_path: Path) -> None:
    step = applied(tmp_path)
    assert [question.step for question in acceptance.ask()] == [step]
    assert acceptance.ask() == []
    assert [question.asked for question in pending()] == [True]
    another = applied(tmp_path)
    assert [question.step for question in acceptance.ask()] == [another]


def test_who_asks_again_though_nothing_happened_leaves_no_trace(tmp_path: Path) -> None:
    applied(tmp_path)
    acceptance.ask()
    events = list(catalogue.events())
    acceptance.ask()
    assert list(catalogue.events()) == events


@pytest.mark.case(41)
def test_questions_come_in_the_catalogues_order_when_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    for hour in (3, 2, 1):
        monkeypatch.setattr(catalogue, "utc_now", lambda hour=hour: f"2026-01-05T{hour:02}:00:00.000000Z")
        steps.append(applied(tmp_path))
    assert [question.step for question in pending()] == steps
    acceptance.answer(steps[1], True)
    assert [question.step for question in pending()] == steps[2:]


def test_an_unknown_step_cannot_be_answered(tmp_path: Path) -> None:
    applied(tmp_path)
    with pytest.raises(HistoryNotFound):
        acceptance.answer("nope", True)
    assert len(pending()) == 1
