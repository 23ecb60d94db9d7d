"""The page of one open store."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QVBoxLayout, QWidget

from memdefrag.base.wording import count
from memdefrag.gui.widgets import button, card, clear, column, fill_facts, fill_lines, label, row, scrolling
from memdefrag.presenters.summary import SummaryPresenter, SummaryState, saved_decisions

_COLUMNS = ("Collection", "Memories", "With vector", "Dimension", "Metric", "Model")


class SummaryPage(QWidget):
    def __init__(self, presenter: SummaryPresenter) -> None:
        super().__init__()
        self._title = label("", "title")
        self._place = label("", "muted", wrap=True, selectable=True)
        self._copy_note = label("This is a private copy: whatever you do here, the real store stays as it is.", "muted")
        self._notes = QVBoxLayout()
        self._facts, self._collections = QGridLayout(), QGridLayout()
        self._decided = label("", "muted", wrap=True)
        self._without = label("", "muted", wrap=True)
        self.choice = QComboBox()
        self.choice.setAccessibleName("Collection to analyse")
        self.choice.activated.connect(presenter.choose)
        self._choice_row = QWidget()
        self._choice_row.setLayout(row(label("Analyse"), self.choice, None))
        self.texts_only = QCheckBox("Compare texts only, without vectors and without a model")
        self.texts_only.toggled.connect(presenter.set_texts_only)
        self.start = button("Start Analysis", presenter.start_analysis, "primary")
        self.copy = button("Try It on a Copy", presenter.try_on_copy)
        content = column(
            self._title,
            self._place,
            self._copy_note,
            self._notes,
            card(self._facts),
            card(label("Collections", "heading"), self._collections),
            self._choice_row,
            self.texts_only,
            self._without,
            self._decided,
            row(self.start, self.copy, None),
            gap=14,
        )
        content.addStretch(1)
        self.setLayout(column(scrolling(content)))
        self.first_focus = self.start

    def update_state(self, state: SummaryState) -> None:
        self._title.setText(state.title)
        self._place.setText(state.place)
        self._copy_note.setVisible(state.is_copy)
        self.copy.setVisible(not state.is_copy)
        fill_lines(self._notes, state.notes, "warning")
        fill_facts(self._facts, state.facts)
        _fill_table(self._collections, state.collections)
        self._choice_row.setVisible(bool(state.choices))
        self.choice.clear()
        self.choice.addItems(list(state.choices))
        self.choice.setCurrentIndex(state.chosen)
        self.texts_only.setChecked(state.texts_only)
        self._without.setVisible(state.without_vector > 0)
        self._without.setText(
            f"{count(state.without_vector, 'memory has', 'memories have')} no vector; they take part by their text."
        )
        self._decided.setVisible(state.decided > 0)
        self._decided.setText(saved_decisions(state.decided))


def _fill_table(grid: QGridLayout, rows: tuple[tuple[str, ...], ...]) -> None:
    clear(grid)
    grid.setHorizontalSpacing(24)
    for number, heading in enumerate(_COLUMNS):
        grid.addWidget(label(heading, "muted"), 0, number)
    for line, values in enumerate(rows, 1):
        for number, value in enumerate(values):
            grid.addWidget(label(value, selectable=number == 0), line, number, Qt.AlignmentFlag.AlignLeft)
    grid.setColumnStretch(len(_COLUMNS), 1)
