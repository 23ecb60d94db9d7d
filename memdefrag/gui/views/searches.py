"""What searches must still find after a plan: the person's questions, the bounds, and what would be lost."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QSpinBox, QVBoxLayout

from memdefrag.gui.widgets import button, column, fill_lines, label, row, text_box, text_of
from memdefrag.presenters.plan import PlanPresenter, PlanState
from memdefrag.presenters.proof import MOST_FIRST

_EXPLANATION = (
    "Before anything is written, every merged memory is asked for as it was, and so are your own questions, one per "
    "line. What is found now must be found afterwards."
)
_BOX_LINES = 4


class SearchesCard(QFrame):
    """The fields of `presenters.proof.Wanted`, and the list of losses below them."""

    def __init__(self, presenter: PlanPresenter) -> None:
        super().__init__()
        self.questions = text_box("Questions your assistant must still answer, one per line", editable=True)
        self.questions.setPlaceholderText("Questions your assistant must still answer, one per line")
        self.questions.setFixedHeight(_BOX_LINES * self.questions.fontMetrics().lineSpacing() + 16)
        self.questions.textChanged.connect(lambda: presenter.want(questions=text_of(self.questions)))
        self.percent = _number("The least share of what is found now, in percent", 0, 100)
        self.percent.setSuffix(" %")
        self.percent.valueChanged.connect(lambda value: presenter.want(percent=value))
        self.first = _number("Found means among the first so many", 1, MOST_FIRST)
        self.first.valueChanged.connect(lambda value: presenter.want(first=value))
        self.again = button("Ask Again", presenter.ask_again, name="Ask again: search before and after the plan")
        self._losses = QVBoxLayout()
        self._losses.setSpacing(4)
        self._lost = label("What would be lost", "strong")
        layout = column(
            label("What must still be found", "heading"),
            label(_EXPLANATION, "muted", wrap=True),
            self.questions,
            self._bounds(),
            self._lost,
            self._losses,
            gap=8,
        )
        layout.setContentsMargins(16, 14, 16, 14)
        self.setLayout(layout)
        self.setObjectName("card")

    def _bounds(self) -> QHBoxLayout:
        return row(
            label("At least", "muted"), self.percent, label("of what is among the first", "muted"), self.first,
            label("must stay there", "muted"), None, self.again, gap=8,
        )  # fmt: skip

    def show_state(self, state: PlanState) -> None:
        wanted = state.wanted
        if text_of(self.questions) != wanted.questions:
            self.questions.setPlainText(wanted.questions)
        self.percent.setValue(wanted.percent)
        self.first.setValue(wanted.first)
        self.questions.setReadOnly(state.checking)
        for part in (self.percent, self.first):
            part.setEnabled(not state.checking)
        if self.again.hasFocus() and not state.stale:
            self.questions.setFocus()
        self.again.setEnabled(state.stale)
        fill_lines(self._losses, state.losses)
        self._lost.setVisible(bool(state.losses))


def _number(name: str, least: int, most: int) -> QSpinBox:
    made = QSpinBox()
    made.setAccessibleName(name)
    made.setRange(least, most)
    return made
