"""The page of borderline pairs."""

from __future__ import annotations

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from memdefrag.gui import theme
from memdefrag.gui.widgets import button, column, fill_spans, label, row, text_box
from memdefrag.presenters.calibration import CalibrationPresenter, CalibrationState

_EXPLANATION = (
    "Do the two say the same? Your answers tell where to draw the line in this store. Nothing is changed or merged "
    "by them, and pairs that are surely the same, or surely not, are not asked about."
)


class CalibrationPage(QWidget):
    """Two texts, three answers, and what follows from them."""

    def __init__(self, presenter: CalibrationPresenter) -> None:
        super().__init__()
        self._place, self._differs = label("", "heading"), label("", "muted", wrap=True)
        self.one, self.other = text_box("The first memory"), text_box("The second memory")
        self.same = button("The Same (S)", presenter.same, "primary", "The same")
        self.different = button("Different (D)", presenter.different, name="Different")
        self.skip = button("Hard to Say", presenter.skip)
        self.go_back = button("Previous Pair", presenter.go_back)
        self._outcome = label("", "strong", wrap=True)
        self.use = button("Use This Line", presenter.use, "primary")
        self.leave = button("Back to the Review", presenter.leave)
        for key, action in {"S": presenter.same, "D": presenter.different}.items():
            QShortcut(QKeySequence(key), self).activated.connect(action)
        layout = column(
            row(label("Where do you draw the line?", "title"), None, self.leave),
            label(_EXPLANATION, "muted", wrap=True),
            self._place,
            row(self.one, self.other),
            self._differs,
            row(self.same, self.different, self.skip, self.go_back, None, gap=8),
            self._outcome,
            row(self.use, None),
        )
        layout.setContentsMargins(28, 24, 28, 24)
        layout.setStretch(3, 1)
        self.setLayout(layout)
        self.first_focus = self.same

    def update_state(self, state: CalibrationState) -> None:
        self._place.setText(state.place)
        self._differs.setText(state.differs_in)
        colours = theme.colours()
        fill_spans(self.one, state.one, colours.added_on)
        fill_spans(self.other, state.other, colours.removed_on)
        for action in (self.same, self.different, self.skip):
            action.setEnabled(state.asks)
        self.go_back.setEnabled(state.can_go_back)
        self._outcome.setText(state.outcome)
        self.use.setEnabled(state.answered > 0)
        if not state.asks and state.answered:
            self.use.setFocus()
