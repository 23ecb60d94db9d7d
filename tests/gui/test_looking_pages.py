"""How a store is looked at, and what is beside the results: in the real window, by keys."""

from __future__ import annotations

import json

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

from memdefrag.engine import apart
from memdefrag.presenters.pages import Page
from tests.gui.keys import KEY, open_by_keys, press, tab_to
from tests.presenters.stores import texts


def opened(window, arrive, store):
    window.shell.open(str(store))
    return arrive(Page.SUMMARY)


def wait(qtbot, condition) -> None:
    qtbot.waitUntil(condition, timeout=60_000)


@pytest.fixture
def other(tmp_path, store):
    """A store that holds one of the memories of `store` and another one."""
    path = tmp_path / "other.jsonl"
    memory = {"text": "The harbour freezes in January.", "embedding": [0.5] * 4}
    held = {"text": texts(store)[0], "embedding": [0.5] * 4}
    path.write_text("".join(json.dumps(each) + "\n" for each in (memory, held)), encoding="utf-8")
    return path


def test_how_to_look_is_one_line_until_more_is_wanted(window, arrive, store):
    summary = opened(window, arrive, store)
    panel = summary.looking
    assert panel._line.text() == "By meaning and words together, all memories."
    assert not panel.method.isVisible()
    tab_to(panel.more)
    press(KEY.Key_Space)
    assert panel.method.isVisible() and QApplication.focusWidget() is panel.method
    press(KEY.Key_Down)
    tab_to(panel.tags)
    QTest.keyClicks(panel.tags, "work, home")
    assert panel._line.text() == "By the same text to the letter, only tagged home or work."
    tab_to(panel.usual)
    press(KEY.Key_Space)
    assert (panel.tags.text(), panel.method.currentIndex()) == ("", 0)


def test_what_is_no_date_is_said_beside_the_fields(window, arrive, store):
    summary = opened(window, arrive, store)
    summary.looking.more.click()
    tab_to(summary.looking.since)
    QTest.keyClicks(summary.looking.since, "soon")
    summary.start.click()
    assert window.shell.page is Page.SUMMARY
    assert summary.looking._problem.isVisible() and "'soon'" in summary.looking._problem.text()


def test_the_question_about_long_work_stays_in_sight_and_can_be_declined(window, arrive, store):
    summary = opened(window, arrive, store)
    window.resize(960, 640)
    summary.looking.more.click()
    window.shell.summary.ask_about_long_work("Making vectors for 12,345 memories will take about 14 minutes.")
    for choice in (summary.by_words, summary.go_on, summary.cancel):
        assert not choice.visibleRegion().isEmpty()
    assert not summary.start.isVisible() and QApplication.focusWidget() is summary.by_words
    tab_to(summary.cancel)
    press(KEY.Key_Space)
    assert QApplication.focusWidget() is summary.start and not summary.cancel.isVisible()


def test_another_store_is_chosen_and_what_it_holds_is_a_list_of_its_own(window, arrive, store, other, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(other), ""))
    summary = opened(window, arrive, store)
    summary.looking.more.click()
    summary.looking.file.click()
    assert summary.looking.against.text() == str(other)
    summary.start.click()
    review = arrive(Page.REVIEW)
    assert review.known.isVisible() and QApplication.focusWidget() is review.known.table
    assert window.shell.known.state.summary.startswith("1 there word for word")
    for part in (review.optimize, review.tick_shown, review.rule, review.created, review.show_updates):
        assert not part.isVisible()
    assert review._looking.isVisible()
    review.show_groups.click()
    assert review.table.isVisible()
    model = review.model
    boxes = [model.data(model.index(row, 0), Qt.ItemDataRole.CheckStateRole) for row in range(model.rowCount())]
    assert set(boxes) == {None}
    window.shell.go(Page.SUMMARY)
    summary.looking.clear.click()
    summary.start.click()
    arrive(Page.REVIEW)
    assert review.optimize.isVisible() and not review.show_known.isVisible()


def test_the_line_and_the_methods_are_one_button_away(qtbot, window, arrive, store):
    review = open_by_keys(window, arrive, store)
    tab_to(review.line)
    press(KEY.Key_Space)
    calibration = arrive(Page.CALIBRATION)
    calibration.leave.click()
    tab_to(review.methods)
    press(KEY.Key_Space)
    methods = arrive(Page.METHODS)
    wait(qtbot, lambda: methods.methods.model().rowCount() == 5)
    tab_to(methods.back)
    press(KEY.Key_Space)
    assert window.shell.page is Page.REVIEW


def test_from_the_results_one_comes_back_to_look_in_another_way(window, arrive, store):
    review = open_by_keys(window, arrive, store)
    press(KEY.Key_M)
    tab_to(review.looking)
    press(KEY.Key_Space)
    summary = arrive(Page.SUMMARY)
    window.shell.summary.look(method="fuzzy")
    summary.start.click()
    arrive(Page.REVIEW)
    assert window.shell.review.data.analysis.options.method.value == "fuzzy"
    assert len(window.shell.review.decisions) == 1, "what was decided is still there"


def test_the_time_of_a_merged_memory_is_a_choice(window, arrive, store):
    review = open_by_keys(window, arrive, store)
    tab_to(review.created)
    QTest.keyClick(review.created, KEY.Key_Down)
    assert window.shell.review.state.created.value == "latest"


def test_what_was_told_apart_is_forgotten_by_keys(qtbot, window, arrive, store):
    open_by_keys(window, arrive, store)
    press(KEY.Key_N)
    window.shell.side.show_apart()
    page = arrive(Page.APART)
    wait(qtbot, lambda: page.pairs.model().rowCount() == 1)
    assert page.one.toPlainText() and page.other.toPlainText()
    tab_to(page.forget)
    assert page.forget.text() == "Forget 1 Pair"
    press(KEY.Key_Space)
    wait(qtbot, lambda: page.pairs.model().rowCount() == 0)
    assert apart.told() == [] and not page.forget.isEnabled()


def test_the_list_is_exported_and_imported(qtbot, window, arrive, store, tmp_path, monkeypatch):
    file = tmp_path / "list.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(file), ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    open_by_keys(window, arrive, store)
    press(KEY.Key_N)
    window.shell.side.show_apart()
    page = arrive(Page.APART)
    page.export.click()
    wait(qtbot, file.exists)
    wait(qtbot, lambda: "1 pair" in page._message.text())
    page.forget.click()
    wait(qtbot, lambda: page.pairs.model().rowCount() == 0)
    page.import_.click()
    wait(qtbot, lambda: page.pairs.model().rowCount() == 1)


def test_own_questions_are_typed_and_asked(qtbot, window, arrive, store):
    review = open_by_keys(window, arrive, store)
    press(KEY.Key_M)
    window.shell.summary.set_no_model(True)
    review.optimize.click()
    plan = arrive(Page.PLAN)
    tab_to(plan.searches.questions)
    QTest.keyClicks(plan.searches.questions, "Which port?")
    assert not plan.optimize.isEnabled() and plan.searches.again.isEnabled()
    tab_to(plan.searches.again)
    press(KEY.Key_Space)
    wait(qtbot, lambda: not window.shell.plan.state.checking)
    assert QApplication.focusWidget() is plan.searches.questions
    assert "Your questions" in dict(window.shell.plan.state.facts)
    assert plan.searches.questions.toPlainText() == "Which port?"
    assert plan.optimize.isEnabled() and not plan.searches.again.isEnabled()
