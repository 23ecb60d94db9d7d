"""Texts of strangers in the window: on every page they are shown, and nothing in them is obeyed."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QAbstractItemView, QLabel, QMessageBox, QTextEdit, QWidget

from memdefrag.presenters.pages import Page

pytestmark = pytest.mark.case(37)

GUI = Path(__file__).resolve().parents[2] / "memdefrag" / "gui"
RED = QColor(255, 0, 0)
SIDE = 40
READ_AS_HTML = {"QTextBrowser", "QTextEdit", "QTextDocument", "QMessageBox", "QErrorMessage", "QToolTip"}
OBEYS = {"setHtml", "insertHtml", "appendHtml", "setToolTip", "setWhatsThis", "setStatusTip", "setOpenExternalLinks"}


@pytest.fixture
def red_image(tmp_path: Path) -> Path:
    image = QImage(SIDE, SIDE, QImage.Format.Format_RGB32)
    image.fill(RED)
    path = tmp_path / "red.png"
    assert image.save(str(path))
    return path


@pytest.fixture
def evil(red_image: Path) -> str:
    """A text that shows a red square to whoever takes it for HTML."""
    return f'<img src="{red_image.as_uri()}" width="{SIDE}" height="{SIDE}"><b>The server listens on port'


@pytest.fixture
def store(tmp_path: Path, evil: str) -> Path:
    """Evil wherever a stranger writes: ids, texts, tags, collection, file name."""
    path = tmp_path / "<b>evil<img src=x>.jsonl"
    header = {"memdefrag": 1, "collection": evil, "settings": {}}
    lines = [
        {"id": f"{evil} {number}", "text": f"{evil} {port}", "tags": [evil], "embedding": [1.0, number / 100],
         "metadata": {"type": evil, evil: evil}, "created_at": 1.7e9 + number}
        for number, port in enumerate((8080, 8080, 8081))
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in [header, *lines]), encoding="utf-8")
    return path


def red_pixels(widget: QWidget) -> int:
    image = widget.grab().toImage()
    places = ((x, y) for y in range(0, image.height(), 4) for x in range(0, image.width(), 4))
    return sum(image.pixelColor(x, y) == RED for x, y in places)


def assert_harmless(window: QWidget, page: QWidget, evil: str) -> None:
    """Nothing on the page is HTML, and no image is drawn."""
    assert {label.textFormat() for label in window.findChildren(QLabel)} == {Qt.TextFormat.PlainText}
    assert window.findChildren(QTextEdit) == [] and window.findChildren(QMessageBox) == []
    for widget in [window, *window.findChildren(QWidget)]:
        assert not any((widget.toolTip(), widget.whatsThis(), widget.statusTip()))
    for view in page.findChildren(QAbstractItemView):
        model = view.model()
        for row in range(model.rowCount(QModelIndex()) if model else 0):
            for column in range(model.columnCount(QModelIndex())):
                tip = model.data(model.index(row, column), Qt.ItemDataRole.ToolTipRole)
                assert not tip
    assert red_pixels(window) == 0


def test_the_red_image_would_be_seen(qtbot, evil):
    label = QLabel()
    qtbot.addWidget(label)
    label.setTextFormat(Qt.TextFormat.AutoText)
    label.setText(evil)
    label.show()
    qtbot.waitUntil(lambda: red_pixels(label) > 20, timeout=10_000)


def test_every_page_shows_evil_texts_and_obeys_none(qtbot, window, arrive, store, evil):
    window.shell.open(str(store))
    summary = arrive(Page.SUMMARY)
    assert_harmless(window, summary, evil)
    summary.start.click()
    review = arrive(Page.REVIEW)
    for tab in range(review.details.count()):
        review.details.setCurrentIndex(tab)
        assert_harmless(window, review, evil)
    assert evil in review.details.survivor.toPlainText()
    review.show_updates.click()
    qtbot.waitUntil(lambda: bool(window.shell.updates.state.rows), timeout=10_000)
    assert_harmless(window, review, evil)
    review.show_groups.click()
    review.optimize.click()
    plan = arrive(Page.PLAN)
    assert_harmless(window, plan, evil)
    plan.optimize.click()
    assert_harmless(window, arrive(Page.RESULT), evil)
    window.shell.show_changes()
    changes = arrive(Page.CHANGES)
    changes.show_step.click()
    qtbot.waitUntil(lambda: evil in changes.before.toPlainText(), timeout=10_000)
    assert_harmless(window, changes, evil)
    window.shell.show_backups()
    backups = arrive(Page.BACKUPS)
    assert_harmless(window, backups, evil)
    backups.inside.click()
    inside = arrive(Page.INSIDE)
    assert evil in inside.text.toPlainText()
    assert_harmless(window, inside, evil)
    inside.back.click()
    backups.restore.click()
    qtbot.waitUntil(lambda: window._question.isVisible(), timeout=10_000)
    assert_harmless(window, backups, evil)
    window.shell.leave()
    window.shell.close_store()
    assert_harmless(window, arrive(Page.WELCOME), evil)


def test_an_error_that_quotes_evil_is_only_text(qtbot, window, red_image, evil):
    window.shell.open(f"jsonl:/nowhere/{evil}")
    qtbot.waitUntil(lambda: window._notice.isVisible(), timeout=60_000)
    assert "<img" in window._notice._message.text()
    assert_harmless(window, window, evil)


@pytest.mark.parametrize("module", sorted(GUI.rglob("*.py")), ids=lambda path: path.relative_to(GUI).as_posix())
def test_nothing_in_the_window_s_code_can_read_html(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.alias)}
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & READ_AS_HTML
    assert not called & (OBEYS | {"ToolTipRole"})
    made = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "QLabel"]
    assert not made or module.name == "widgets.py"
