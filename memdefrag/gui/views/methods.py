"""The page of methods side by side."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from memdefrag.gui.models.texts import text_table
from memdefrag.gui.widgets import button, column, label, row
from memdefrag.presenters.methods import COLUMNS, EXPLANATION, MethodsPresenter, MethodsState

_WIDTHS = (0, 90, 170, 190, 90)


class MethodsPage(QWidget):
    """One row per method."""

    def __init__(self, presenter: MethodsPresenter) -> None:
        super().__init__()
        self._title = label("", "strong", wrap=True)
        self.methods, self._rows = text_table("Methods", dict(zip(COLUMNS, _WIDTHS, strict=True)))
        self.back = button("Back to the Review", presenter.leave)
        layout = column(
            row(label("Methods side by side", "title"), None, self.back),
            label(EXPLANATION, "muted", wrap=True),
            self._title,
            self.methods,
        )
        layout.setContentsMargins(28, 24, 28, 24)
        layout.setStretchFactor(self.methods, 1)
        self.setLayout(layout)
        self.first_focus = self.methods

    def update_state(self, state: MethodsState) -> None:
        self._title.setText(state.title)
        self._rows.fill(list(state.rows))
        if state.rows:
            self.methods.selectRow(0)
