"""The pages of backups and of changes made, in the real window."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication

from memdefrag.base.settings import data_dir
from memdefrag.engine.backups.shelf import all_backups, damaged_backups
from memdefrag.gui import theme
from memdefrag.presenters.pages import Page
from tests.gui.keys import KEY, optimize_by_keys, press, tab_to
from tests.presenters.stores import texts


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
