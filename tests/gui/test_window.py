"""The real window, driven by keys through the whole job; the store is looked at afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTableView,
    QTextEdit,
    QWidget,
)

from memdefrag.base.settings import data_dir
from memdefrag.engine import apart
from memdefrag.engine.backups.shelf import all_backups, damaged_backups
from memdefrag.gui import theme
from memdefrag.presenters.pages import Page
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store

KEY = Qt.Key


both_kinds = pytest.mark.parametrize("store", ["export_file", "jsonl_file"], indirect=True)
"""For tests that go through the engine in a way of their own; for the others one kind of store is enough."""


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(getattr(request, "param", "jsonl_file"))
    return path


def texts(path: Path) -> list[str]:
    with open_store(str(path)) as opened:
        return sorted(record.text or "" for record in read_snapshot(opened).records)


def press(*keys: KEY) -> None:
    """Type into whatever has the focus."""
    for key in keys:
        QTest.keyClick(QApplication.focusWidget(), key)


def tab_to(widget: QWidget) -> None:
    """Reach a control with the Tab key alone."""
    for _ in range(60):
        if QApplication.focusWidget() is widget:
            return
        press(KEY.Key_Tab)
    raise AssertionError(f"{widget.accessibleName() or widget} cannot be reached with Tab")


def open_by_keys(window, arrive, store: Path) -> QWidget:
    """From the first page to the results, by keys."""
    welcome = window.page(Page.WELCOME)
    tab_to(welcome.address)
    QTest.keyClicks(welcome.address, str(store))
    press(KEY.Key_Return)
    summary = arrive(Page.SUMMARY)
    assert QApplication.focusWidget() is summary.start
    assert summary.start.text() == "Start Analysis"
    press(KEY.Key_Space)
    return arrive(Page.REVIEW)


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


def optimize_by_keys(window, arrive, store: Path) -> list[str]:
    """Merge the first group; returns the texts from before."""
    before = texts(store)
    review = open_by_keys(window, arrive, store)
    press(KEY.Key_M)
    review.optimize.click()
    arrive(Page.PLAN).optimize.click()
    arrive(Page.RESULT)
    assert texts(store) != before
    return before


def test_backups_are_verified_and_restored(qtbot, window, arrive, store):
    before = optimize_by_keys(window, arrive, store)
    window.shell.show_backups()
    backups = arrive(Page.BACKUPS)
    assert QApplication.focusWidget() is backups.backups
    tab_to(backups.verify)
    press(KEY.Key_Space)
    qtbot.waitUntil(lambda: "is whole" in window.shell.backups.state.message, timeout=60_000)
    backups.drill.trigger()
    qtbot.waitUntil(lambda: "same memories" in window.shell.backups.state.message, timeout=60_000)
    tab_to(backups.restore)
    press(KEY.Key_Space)
    qtbot.waitUntil(lambda: window._question.isVisible(), timeout=60_000)
    assert QApplication.focusWidget() is window._question.decline
    tab_to(window._question.agree)
    press(KEY.Key_Space)
    qtbot.waitUntil(lambda: window.shell.page is Page.RESULT, timeout=60_000)
    assert texts(store) == before


def test_escape_declines_a_question_and_gives_the_focus_back(qtbot, window, arrive, store):
    optimize_by_keys(window, arrive, store)
    after = texts(store)
    window.shell.show_backups()
    backups = arrive(Page.BACKUPS)
    backups.restore.click()
    qtbot.waitUntil(lambda: window._question.isVisible(), timeout=60_000)
    press(KEY.Key_Escape)
    assert not window._question.isVisible()
    assert QApplication.focusWidget() is backups.backups
    assert texts(store) == after


def test_a_change_is_shown_undone_and_redone_by_keys(qtbot, window, arrive, store):
    before = optimize_by_keys(window, arrive, store)
    after = texts(store)
    window.shell.show_changes()
    changes = arrive(Page.CHANGES)
    tab_to(changes.show_step)
    press(KEY.Key_Space)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is changes.memories, timeout=60_000)
    shown = [row.before for row in window.shell.changes.state.touched]
    assert changes.before.toPlainText() == shown[0]
    press(KEY.Key_Down)
    assert changes.before.toPlainText() == shown[1]
    tab_to(changes.undo)
    press(KEY.Key_Space)
    qtbot.waitUntil(lambda: window.shell.page is Page.RESULT and not window.tasks.busy, timeout=60_000)
    assert texts(store) == before
    window.shell.show_changes()
    qtbot.waitUntil(lambda: len(window.shell.changes.state.steps) == 2, timeout=60_000)
    tab_to(changes.steps)
    press(KEY.Key_Down)
    tab_to(changes.redo)
    press(KEY.Key_Space)
    qtbot.waitUntil(lambda: window.shell.page is Page.RESULT and not window.tasks.busy, timeout=60_000)
    assert texts(store) == after


def test_one_memory_is_found_in_a_backup_and_brought_back(qtbot, window, arrive, store):
    before = optimize_by_keys(window, arrive, store)
    window.shell.show_backups()
    backups = arrive(Page.BACKUPS)
    tab_to(backups.inside)
    press(KEY.Key_Space)
    inside = arrive(Page.INSIDE)
    assert QApplication.focusWidget() is inside.filter
    gone = next(row for row in window.shell.inside.state.rows if row.now == "gone")
    QTest.keyClicks(inside.filter, gone.line)
    assert inside.text.toPlainText() == gone.line
    assert inside.restore.text() == "Restore This Memory"
    tab_to(inside.restore)
    press(KEY.Key_Space)
    qtbot.waitUntil(lambda: window.shell.page is Page.RESULT and not window.tasks.busy, timeout=60_000)
    assert len(texts(store)) == len(before)
    assert gone.line in texts(store)


def test_whether_the_assistant_works_is_asked_on_the_first_page(qtbot, window, arrive, store):
    before = optimize_by_keys(window, arrive, store)
    window.shell.close_store()
    welcome = arrive(Page.WELCOME)
    [no] = [each for each in welcome.findChildren(QAbstractButton) if each.accessibleName().startswith("No, it")]
    tab_to(no)
    press(KEY.Key_Space)
    qtbot.waitUntil(lambda: window._question.isVisible(), timeout=60_000)
    tab_to(window._question.agree)
    press(KEY.Key_Space)
    qtbot.waitUntil(lambda: window.shell.page is Page.RESULT and not window.tasks.busy, timeout=60_000)
    assert texts(store) == before


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


def test_a_damaged_backup_stands_out_and_says_why(qtbot, window, arrive, store):
    optimize_by_keys(window, arrive, store)
    window.shell.show_backups()
    page = arrive(Page.BACKUPS)
    assert not page._damage.isVisible()
    file = next(Path(window.shell.backups.state.chosen.folder, "files").rglob("*.zst"))
    file.write_bytes(b"x" + file.read_bytes()[1:])
    page.verify.click()
    qtbot.waitUntil(lambda: page._damage.isVisible(), timeout=60_000)
    assert page._damage.text().startswith("DAMAGED: ")
    model = page.backups.model()
    assert model.data(model.index(0, model.columnCount() - 1)) == "DAMAGED"
    assert model.data(model.index(0, 0), Qt.ItemDataRole.ForegroundRole).name() == theme.colours().conflict


@pytest.mark.qt_log_ignore("This plugin does not support grabbing the keyboard", extend=True)
def test_everything_rarer_is_in_one_menu_that_opens_with_the_space_bar(qtbot, window, arrive, store):
    optimize_by_keys(window, arrive, store)
    window.shell.show_backups()
    page = arrive(Page.BACKUPS)
    tab_to(page.more)
    QTimer.singleShot(0, lambda: press_menu(page, KEY.Key_E))
    target = store.parent / "carried.zip"
    page._ask = lambda wanted, proposal: str(target) if wanted == "export" else ""
    press(KEY.Key_Space)
    qtbot.waitUntil(target.exists, timeout=60_000)
    qtbot.waitUntil(lambda: str(target) in window.shell.backups.state.message, timeout=60_000)


def press_menu(page, key) -> None:
    """Choose from the open menu by its letter."""
    QTest.keyClick(page.more.menu(), key)


@pytest.mark.case(42)
def test_closing_in_the_middle_of_a_backup_leaves_no_half_of_one(qtbot, window, arrive, store):
    window.shell.open(str(store))
    arrive(Page.SUMMARY)
    window.shell.show_backups()
    page = arrive(Page.BACKUPS)
    page.back_up.click()
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=60_000)
    assert damaged_backups() == []
    assert not list((data_dir() / "backups").glob("*/*.partial"))
    assert len(list((data_dir() / "backups").glob("*/*"))) == len(all_backups())


def visit_all_pages(qtbot, window, arrive, store) -> None:
    review = open_by_keys(window, arrive, store)
    press(KEY.Key_M)
    window._stack.setCurrentWidget(review)
    review.optimize.click()
    arrive(Page.PLAN).optimize.click()
    arrive(Page.RESULT)
    window.shell.show_changes()
    arrive(Page.CHANGES).show_step.click()
    window.shell.show_backups()
    arrive(Page.BACKUPS).inside.click()
    arrive(Page.INSIDE)


def test_no_text_is_ever_read_as_html(qtbot, window, arrive, store):
    visit_all_pages(qtbot, window, arrive, store)
    labels = window.findChildren(QLabel)
    assert len(labels) > 50
    assert {label.textFormat() for label in labels} == {Qt.TextFormat.PlainText}
    assert window.findChildren(QTextEdit) == []
    assert all(widget.toolTip() == "" for widget in window.findChildren(QWidget))


def test_every_control_has_a_name(qtbot, window, arrive, store):
    visit_all_pages(qtbot, window, arrive, store)
    for kind in (QAbstractButton, QComboBox, QLineEdit, QPlainTextEdit, QTableView):
        for control in window.findChildren(kind):
            inside = control.parent()
            if not isinstance(inside, QComboBox | QLineEdit | QTableView):
                assert control.accessibleName() or control.text() or control.isHidden(), f"{control} in {inside}"


def test_hostile_texts_are_only_texts(qtbot, window, arrive, tmp_path):
    evil = '<img src="file:///etc/passwd"><b>bold</b>'
    path = tmp_path / "evil.jsonl"
    lines = [{"id": name, "text": evil, "embedding": [1.0, 0.5]} for name in ("one", "two")]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    review = open_by_keys(window, arrive, path)
    assert review.details.survivor.toPlainText() == evil
    assert evil in review.model.data(review.model.index(1, 1))


def test_closing_in_the_middle_of_work_ends_it_first(qtbot, window, store):
    window.shell.open(str(store))
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=60_000)
    assert not window.tasks.busy
