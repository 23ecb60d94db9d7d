"""The few widgets everything is made of. Texts are shown as they are: none is ever read as HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFontDatabase, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLayout,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from memdefrag.base.settings import PREVIEW_CHARACTERS
from memdefrag.presenters.compare import Span
from memdefrag.presenters.wording import elided

GAP = 12
PAGE_WIDTH = 860


def label(text: str = "", role: str = "", *, wrap: bool = False, selectable: bool = False) -> QLabel:
    """A text. `role` is the style sheet's: "title", "heading", "muted", "strong", "warning" or "danger"."""
    made = QLabel()
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setObjectName(role)
    made.setWordWrap(wrap)
    if selectable:
        made.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
    made.setText(elided(text, PREVIEW_CHARACTERS))
    return made


def button(text: str, clicked: Callable[[], object], role: str = "", name: str = "") -> QPushButton:
    """A button; `name` is read out where `text` alone does not tell."""
    made = QPushButton(text.replace("&", "&&"))
    made.setObjectName(role)
    made.setAccessibleName(name or text)
    made.setAutoDefault(True)
    made.clicked.connect(lambda _=False: clicked())
    return made


def text_box(name: str, *, editable: bool = False) -> QPlainTextEdit:
    """A box for long plain text."""
    made = QPlainTextEdit()
    made.setReadOnly(not editable)
    made.setAccessibleName(name)
    made.setTabChangesFocus(True)
    made.setFrameShape(QFrame.Shape.NoFrame)
    made.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont))
    return made


def text_of(box: QPlainTextEdit) -> str:
    """What a box holds, with the spaces that must not break, which Qt's own way makes ordinary ones."""
    return box.document().toRawText().replace("\u2029", "\n").replace("\u2028", "\n")


def fill_spans(box: QPlainTextEdit, spans: tuple[Span, ...], ground: str) -> None:
    """Show runs of text; what only this text has is set off by ground and underline."""
    plain, own = QTextCharFormat(), QTextCharFormat()
    own.setBackground(QColor(ground))
    own.setFontUnderline(True)
    box.clear()
    cursor = QTextCursor(box.document())
    for span in spans:
        cursor.insertText(span.text, own if span.own else plain)
    box.moveCursor(QTextCursor.MoveOperation.Start)


def table(name: str) -> QTableView:
    """A table that is walked by row, with rows of one height."""
    made = QTableView()
    made.setAccessibleName(name)
    made.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    made.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    made.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    made.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    made.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    made.setShowGrid(False)
    made.setTabKeyNavigation(False)
    made.setWordWrap(False)
    made.verticalHeader().hide()
    made.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    made.verticalHeader().setDefaultSectionSize(max(26, made.fontMetrics().height() + 10))
    made.horizontalHeader().setHighlightSections(False)
    made.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return made


def card(*parts: QWidget | QLayout) -> QFrame:
    """A framed block of parts, one below the other."""
    frame = QFrame()
    frame.setObjectName("card")
    layout = column(*parts)
    layout.setContentsMargins(16, 14, 16, 14)
    frame.setLayout(layout)
    return frame


def column(*parts: QWidget | QLayout, gap: int = GAP) -> QVBoxLayout:
    layout = QVBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(gap)
    for part in parts:
        _add(layout, part)
    return layout


def row(*parts: QWidget | QLayout | None, gap: int = GAP) -> QHBoxLayout:
    """Parts side by side; None takes what is left of the width."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(gap)
    for part in parts:
        if part is None:
            layout.addStretch(1)
        else:
            _add(layout, part)
    return layout


def _add(layout: QVBoxLayout | QHBoxLayout, part: QWidget | QLayout) -> None:
    if isinstance(part, QLayout):
        layout.addLayout(part)
    else:
        layout.addWidget(part)


def clear(layout: QLayout) -> None:
    """Remove all a layout holds."""
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
        elif (inner := item.layout()) is not None:
            clear(inner)


def fill_facts(grid: QGridLayout, facts: Iterable[tuple[str, str]]) -> None:
    """Show label and value, one pair per line, in place of what was there."""
    clear(grid)
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(8)
    grid.setColumnStretch(1, 1)
    for line, (what, value) in enumerate(facts):
        grid.addWidget(label(what, "muted"), line, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(label(value, wrap=True, selectable=True), line, 1)


def fill_lines(layout: QVBoxLayout, lines: Iterable[str], role: str = "") -> None:
    """Show texts one below the other, in place of what was there."""
    clear(layout)
    for line in lines:
        layout.addWidget(label(line, role, wrap=True, selectable=True))


def narrow(content: QLayout, width: int = PAGE_WIDTH) -> QWidget:
    """Centred, and not wider than one likes to read."""
    page = QWidget()
    page.setMaximumWidth(width)
    content.setContentsMargins(28, 12, 28, 20)
    page.setLayout(content)
    return _centred(page)


def scrolling(content: QLayout, width: int = PAGE_WIDTH) -> QScrollArea:
    """A page whose content scrolls and is not wider than one likes to read."""
    page = QWidget()
    page.setObjectName("page")
    page.setMaximumWidth(width)
    content.setContentsMargins(28, 24, 28, 24)
    page.setLayout(content)
    holder = _centred(page)
    holder.setObjectName("page")
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(holder)
    return area


def _centred(page: QWidget) -> QWidget:
    holder = QWidget()
    across = QHBoxLayout(holder)
    across.setContentsMargins(0, 0, 0, 0)
    across.addStretch(1)
    across.addWidget(page, 1000)
    across.addStretch(1)
    return holder
