"""Driving the window by its keys alone."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from memdefrag.presenters.pages import Page
from tests.presenters.stores import texts

KEY = Qt.Key


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
