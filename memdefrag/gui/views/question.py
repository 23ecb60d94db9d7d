"""A question above the pages. Escape means no."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout

from memdefrag.gui.widgets import button, column, fill_lines, label, row, scrolling
from memdefrag.presenters.asking import Question

_MOST_HEIGHT = 160


class QuestionBar(QFrame):
    def __init__(self, answer: Callable[[bool], None]) -> None:
        super().__init__()
        self.setObjectName("question")
        self._answer = answer
        self._text = label("", "strong", wrap=True, selectable=True)
        self._lines = QVBoxLayout()
        self._lines.setSpacing(4)
        self._list = scrolling(self._lines, 10_000)
        self._lines.setContentsMargins(0, 0, 0, 0)
        self.agree = button("Yes", lambda: answer(True), "primary")
        self.decline = button("No", lambda: answer(False))
        layout = column(self._text, self._list, row(self.agree, self.decline, None), gap=8)
        layout.setContentsMargins(14, 10, 14, 10)
        self.setLayout(layout)
        self.hide()

    def show_question(self, question: Question | None) -> None:
        self.setVisible(question is not None)
        if question is None:
            return
        self._text.setText(question.text)
        fill_lines(self._lines, question.lines)
        self._list.setFixedHeight(min(_MOST_HEIGHT, self._height()))
        self._list.setVisible(bool(question.lines))
        for choice, text in ((self.agree, question.agree), (self.decline, question.decline)):
            choice.setText(text.replace("&", "&&"))
            choice.setAccessibleName(text)
        self.decline.setFocus()

    def _height(self) -> int:
        """Of all lines. The layout's own hint leaves out labels that were not shown yet."""
        items = [self._lines.itemAt(number) for number in range(self._lines.count())]
        labels = [item.widget() for item in items if item is not None]
        gaps = self._lines.spacing() * max(0, len(labels) - 1)
        return sum(each.sizeHint().height() for each in labels if each is not None) + gaps

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self._answer(False)
        else:
            super().keyPressEvent(event)
