"""The real window, driven by keys through the whole job; the store is looked at afterwards."""

from __future__ import annotations

import json

import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QFileDialog

from memdefrag.engine import apart
from memdefrag.presenters.pages import Page
from tests.gui.keys import KEY, open_by_keys, optimize_by_keys, press, tab_to
from tests.presenters.fakes import both_kinds
from tests.presenters.stores import texts


@both_kinds
def test_the_whole_job_by_keyboard_and_back(qtbot, window, arrive, store):
    before = texts(store)
    review = open_by_keys(window, arrive, store)
    assert QApplication.focusWidget() is review.table
    press(KEY.Key_M)
    planned = window.shell.review.state.consequences.removed
    assert planned == 1
    tab_to(review.optimize)
    assert review.optimize.text() == "Optimize"
    press(KEY.Key_Space)
    plan = arrive(Page.PLAN)
    tab_to(plan.optimize)
    assert plan.optimize.text() == "Optimize"
    press(KEY.Key_Space)
    result = arrive(Page.RESULT)
    after = texts(store)
    assert len(after) == len(before) - planned
    tab_to(result.undo)
    press(KEY.Key_Space)
    qtbot.waitUntil(lambda: window.shell.result.state.title == "Undone", timeout=60_000)
    assert texts(store) == before


def test_decisions_by_keys(window, arrive, store):
    review = open_by_keys(window, arrive, store)
    presenter = window.shell.review
    presenter.set_threshold(0.7)
    groups = presenter.state.shown
    assert groups >= 2
    press(KEY.Key_J)
    assert presenter.state.row > 0
    press(KEY.Key_K)
    assert presenter.state.row == 0
    press(KEY.Key_Down, KEY.Key_Down)
    assert presenter.state.row == 2
    second = presenter.member
    press(KEY.Key_Return)
    assert presenter.choice.survivor == second
    press(KEY.Key_Down if presenter.state.cells.is_header(1) else KEY.Key_Up)
    press(KEY.Key_Space)
    assert presenter.choice.action == "leave"
    press(KEY.Key_U)
    assert presenter.choice.action == "merge"
    press(KEY.Key_N)
    assert presenter.state.row > 2
    QTest.keyClick(QApplication.focusWidget(), KEY.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert presenter.state.row == 0
    press(KEY.Key_E)
    assert QApplication.focusWidget() is review.details.merged
    review.details.merged.selectAll()
    QTest.keyClicks(review.details.merged, "Said in my own words")
    press(KEY.Key_Escape)
    assert QApplication.focusWidget() is review.table
    assert presenter.choice.text == "Said in my own words"
    for number in (1, 2, 3):
        QTest.keyClick(QApplication.focusWidget(), KEY.Key_0 + number, Qt.KeyboardModifier.ControlModifier)
        assert review.details.currentIndex() == number - 1
    QTest.keyClick(QApplication.focusWidget(), KEY.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.focusWidget() is review.filter
    QTest.keyClicks(review.filter, "deploy")
    assert presenter.state.shown == 1


def test_an_edited_text_keeps_the_spaces_that_must_not_break(qtbot, window, arrive, store):
    review = open_by_keys(window, arrive, store)
    press(KEY.Key_E)
    review.details.merged.setPlainText("10\u00a0km\nto the harbour")
    review.details.commit_text()
    assert window.shell.review.choice.text == "10\u00a0km\nto the harbour"


def test_looking_into_the_merged_text_is_not_editing_it(qtbot, window, arrive, tmp_path):
    path = tmp_path / "lines.jsonl"
    lines = [{"id": name, "text": "First line.\r\nSecond line.", "embedding": [1.0, 0.5]} for name in ("one", "two")]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    open_by_keys(window, arrive, path)
    press(KEY.Key_E, KEY.Key_Escape)
    assert window.shell.review.choice.text is None


def test_the_box_can_be_clicked(qtbot, window, arrive, store):
    review = open_by_keys(window, arrive, store)
    presenter = window.shell.review
    ticked = presenter.state.consequences.groups
    box = review.table.visualRect(review.model.index(0, 0)).center()
    qtbot.mouseClick(review.table.viewport(), Qt.MouseButton.LeftButton, pos=box)
    assert abs(presenter.state.consequences.groups - ticked) == 1


def test_the_slider_changes_the_groups(qtbot, window, arrive, store):
    review = open_by_keys(window, arrive, store)
    presenter = window.shell.review
    tab_to(review.threshold.slider)
    press(KEY.Key_Home)
    qtbot.waitUntil(lambda: presenter.state.threshold == pytest.approx(0.7), timeout=5_000)
    low = presenter.state.shown
    press(KEY.Key_End)
    qtbot.waitUntil(lambda: presenter.state.threshold == pytest.approx(1.0), timeout=5_000)
    assert presenter.state.shown < low


def test_possible_updates_have_their_own_list_and_keys(qtbot, window, arrive, store):
    review = open_by_keys(window, arrive, store)
    tab_to(review.show_groups)
    press(KEY.Key_Right)
    tab_to(review.updates.table)
    qtbot.waitUntil(lambda: bool(window.shell.updates.state.rows), timeout=5_000)
    row = window.shell.updates.state.rows[0]
    assert (row.old_text[-5:], row.new_text[-5:]) == ("8080.", "8081.")
    press(KEY.Key_M)
    assert window.shell.updates.state.rows[0].decided == "new replaces old"
    press(KEY.Key_Home, KEY.Key_U)
    assert window.shell.updates.state.rows[0].decided == ""


def test_decisions_are_there_again_in_the_next_window(qtbot, window, arrive, store):
    open_by_keys(window, arrive, store)
    press(KEY.Key_N)
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=60_000)
    assert len(apart.told()) == 1


def test_a_dropped_file_is_opened(window, arrive, store):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(store))])
    nothing = Qt.KeyboardModifier.NoModifier
    window.dropEvent(
        QDropEvent(QPoint(10, 10), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, nothing)
    )
    arrive(Page.SUMMARY)
    assert window.shell.opened.address.path == store


def test_open_database_asks_for_a_file(window, arrive, store, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(store), ""))
    welcome = window.page(Page.WELCOME)
    assert welcome.open_database.text() == "Open Database"
    welcome.open_database.click()
    arrive(Page.SUMMARY)


def test_the_store_opened_before_is_one_click_away(qtbot, window, arrive, store):
    window.shell.open(str(store))
    arrive(Page.SUMMARY)
    window.shell.close_store()
    welcome = arrive(Page.WELCOME)
    [card] = [found for found in welcome.findChildren(QAbstractButton) if store.name in found.accessibleName()]
    assert "6 memories" in card.accessibleName()
    card.click()
    arrive(Page.SUMMARY)


def test_what_failed_is_said_in_the_window(qtbot, window, tmp_path):
    window.shell.open(str(tmp_path / "nowhere"))
    qtbot.waitUntil(lambda: window._notice.isVisible(), timeout=60_000)
    assert window.shell.page is Page.WELCOME
    window._notice.copy.click()
    assert "nowhere" in QApplication.clipboard().text()
    window._notice.close_button.click()
    assert not window._notice.isVisible()


def test_a_failure_after_a_write_offers_the_log(qtbot, window, arrive, store, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    optimize_by_keys(window, arrive, store)
    window.shell.open(str(tmp_path / "nowhere"))
    qtbot.waitUntil(lambda: window._notice.isVisible(), timeout=60_000)
    tab_to(window._notice.open_log)
    press(KEY.Key_Space)
    assert opened == [QUrl.fromLocalFile(str(window.shell.log.path))]
    window._notice.copy.click()
    assert str(window.shell.log.path) in QApplication.clipboard().text()


def test_without_a_log_none_is_offered(qtbot, window, tmp_path):
    window.shell.open(str(tmp_path / "nowhere"))
    qtbot.waitUntil(lambda: window._notice.isVisible(), timeout=60_000)
    assert not window._notice.open_log.isVisible()


def test_closing_in_the_middle_of_work_ends_it_first(qtbot, window, store):
    window.shell.open(str(store))
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=60_000)
    assert not window.tasks.busy
