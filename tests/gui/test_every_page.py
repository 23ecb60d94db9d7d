"""What holds on every page of the real window."""

from __future__ import annotations

import json

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTableView,
    QTextEdit,
    QWidget,
)

from memdefrag.presenters.pages import Page
from tests.gui.keys import KEY, open_by_keys, press


def visit_all_pages(qtbot, window, arrive, store) -> None:
    """Make every page there is, each with something in it."""
    shell = window.shell
    review = open_by_keys(window, arrive, store)
    press(KEY.Key_N)
    shell.side.calibrate()
    shell.side.calibration.leave()
    shell.side.compare_methods()
    arrive(Page.METHODS).back.click()
    shell.side.show_apart()
    arrive(Page.APART).forget.click()
    qtbot.waitUntil(lambda: not shell.side.apart.state.rows, timeout=60_000)
    shell.leave()
    shell.side.show_junk()
    arrive(Page.JUNK)
    shell.leave()
    other = store.with_name("other.jsonl")
    other.write_bytes(store.read_bytes())
    window.page(Page.SUMMARY).looking.more.click()
    shell.summary.look(against=str(other))
    shell.analyse_again()
    arrive(Page.REVIEW)
    shell.summary.look(against="")
    shell.analyse_again()
    arrive(Page.REVIEW)
    window.shell.review.tick_shown(True)
    review.optimize.click()
    arrive(Page.PLAN).optimize.click()
    arrive(Page.RESULT)
    shell.side.show_migration()
    arrive(Page.MIGRATION).source.places.server.click()
    shell.leave()
    window.shell.show_changes()
    arrive(Page.CHANGES).show_step.click()
    window.shell.show_backups()
    arrive(Page.BACKUPS).inside.click()
    arrive(Page.INSIDE)
    assert set(window._pages) == set(Page)


def test_no_text_is_ever_read_as_html(qtbot, window, arrive, store):
    visit_all_pages(qtbot, window, arrive, store)
    labels = window.findChildren(QLabel)
    assert len(labels) > 50
    assert {label.textFormat() for label in labels} == {Qt.TextFormat.PlainText}
    assert window.findChildren(QTextEdit) == []
    assert all(widget.toolTip() == "" for widget in window.findChildren(QWidget))


def test_every_control_has_a_name(qtbot, window, arrive, store):
    visit_all_pages(qtbot, window, arrive, store)
    for kind in (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QPlainTextEdit, QTableView):
        for control in window.findChildren(kind):
            inside = control.parent()
            if not isinstance(inside, QAbstractSpinBox | QComboBox | QLineEdit | QTableView):
                assert control.accessibleName() or control.text() or control.isHidden(), f"{control} in {inside}"


def test_hostile_texts_are_only_texts(qtbot, window, arrive, tmp_path):
    evil = '<img src="file:///etc/passwd"><b>bold</b>'
    path = tmp_path / "evil.jsonl"
    lines = [{"id": name, "text": evil, "embedding": [1.0, 0.5]} for name in ("one", "two")]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    review = open_by_keys(window, arrive, path)
    assert review.details.survivor.toPlainText() == evil
    assert evil in review.model.data(review.model.index(1, 1))
