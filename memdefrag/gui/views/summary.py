"""The page of one open store."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QVBoxLayout, QWidget

from memdefrag.base.wording import count
from memdefrag.gui.views.looking import Ask, LookingPanel
from memdefrag.gui.widgets import button, card, clear, column, fill_facts, fill_lines, label, narrow, row, scrolling
from memdefrag.presenters.summary import SummaryPresenter, SummaryState, saved_decisions

_COLUMNS = ("Collection", "Memories", "With vector", "Dimension", "Metric", "Model")


class SummaryPage(QWidget):
    """What the store holds, how it is looked at, and the buttons.

    Args:
        ask: asks for the path of a store, as `LookingPanel` does.
    """

    def __init__(self, presenter: SummaryPresenter, ask: Ask) -> None:
        super().__init__()
        self._title = label("", "title")
        self._place = label("", "muted", wrap=True, selectable=True)
        self._copy_note = label("This is a private copy: whatever you do here, the real store stays as it is.", "muted")
        self._notes = QVBoxLayout()
        self._facts, self._collections = QGridLayout(), QGridLayout()
        self._decided = label("", "muted", wrap=True)
        self.choice = QComboBox()
        self.choice.setAccessibleName("Collection to analyse")
        self.choice.activated.connect(presenter.choose)
        self._choice_row = QWidget()
        self._choice_row.setLayout(row(label("Analyse"), self.choice, None))
        self.no_model = QCheckBox()
        self.no_model.toggled.connect(presenter.set_no_model)
        self.looking = LookingPanel(presenter, ask)
        self._question = label("", wrap=True)
        self.go_on = button("Start Anyway", lambda: presenter.start_analysis(long_work=True))
        self.by_words = button("Compare by Words", presenter.start_by_words, "primary")
        self.cancel = button("Cancel", presenter.cancel, name="Cancel: begin nothing")
        self._question_card = card(self._question, row(self.by_words, self.go_on, self.cancel, None))
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
            self.no_model,
            self.looking,
            self._decided,
            gap=14,
        )
        content.addStretch(1)
        # What is asked and the buttons stay in sight however long the page is.
        self._start_row = QWidget()
        self._start_row.setLayout(row(self.start, self.copy, None))
        actions = column(self._question_card, self._start_row)
        self.setLayout(column(scrolling(content), narrow(actions), gap=0))
        self.first_focus = self.start

    def update_state(self, state: SummaryState) -> None:
        self._title.setText(state.title)
        self._place.setText(state.place)
        self._copy_note.setVisible(state.is_copy)
        self.copy.setVisible(not (state.is_copy or state.is_backup))
        fill_lines(self._notes, state.notes, "warning")
        fill_facts(self._facts, state.facts)
        _fill_table(self._collections, state.collections)
        self._choice_row.setVisible(bool(state.choices))
        self.choice.clear()
        self.choice.addItems(list(state.choices))
        self.choice.setCurrentIndex(state.chosen)
        self.no_model.setChecked(state.looking.no_model)
        self.no_model.setVisible(state.without_vector > 0)
        lacking = count(state.without_vector, "memory", "memories")
        self.no_model.setText(f"Compare {lacking} without a vector by words only")
        self.looking.show_state(state)
        asked = not self._question_card.isHidden()
        self._question.setText(state.question)
        self._question_card.setVisible(bool(state.question))
        self._start_row.setVisible(not state.question)
        if asked != bool(state.question):
            (self.start if asked else self.by_words).setFocus()
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
