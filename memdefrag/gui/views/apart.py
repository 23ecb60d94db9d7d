"""The page of what was told apart."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractItemView, QSplitter, QWidget

from memdefrag.base.wording import count
from memdefrag.gui import theme
from memdefrag.gui.models.texts import text_table
from memdefrag.gui.widgets import button, column, fill_spans, label, row, text_box
from memdefrag.presenters.apart import EXPLANATION, ApartPresenter, ApartState

_COLUMNS = {"Told apart": 130, "One": 0, "Other": 0}


class ApartPage(QWidget):
    """The list, both texts of the marked pair side by side, and what can be done with the list.

    Args:
        ask: asks for a path, by what is wanted: "apart export" or "apart import"; empty when the person gave up.
    """

    def __init__(self, presenter: ApartPresenter, ask: Callable[[str], str]) -> None:
        super().__init__()
        self._presenter = presenter
        self._state = ApartState()
        self._filling = False
        self._title = label("", "strong", wrap=True)
        self._message = label("", "strong", wrap=True, selectable=True)
        self.pairs, self._rows = text_table("Pairs of texts that were told apart", _COLUMNS)
        self.pairs.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.pairs.selectionModel().selectionChanged.connect(lambda *_: self._selected())
        self.one, self.other = text_box("One text of the marked pair"), text_box("The other text of the marked pair")
        self.forget = button("", presenter.forget, "primary")
        self.export = button("Export…", lambda: presenter.export(ask("apart export")), name="Export the whole list")
        self.import_ = button("Import…", lambda: presenter.import_(ask("apart import")), name="Import a list")
        self.back = button("Back", presenter.leave)
        texts = QWidget()
        texts.setLayout(row(self.one, self.other))
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.pairs)
        parts.addWidget(texts)
        parts.setStretchFactor(0, 3)
        parts.setStretchFactor(1, 2)
        parts.setChildrenCollapsible(False)
        layout = column(
            row(label("Not duplicates", "title"), None, self.back),
            label(EXPLANATION, "muted", wrap=True),
            self._title,
            parts,
            self._message,
            row(self.forget, self.export, self.import_, None),
        )
        layout.setContentsMargins(28, 24, 28, 24)
        layout.setStretchFactor(parts, 1)
        self.setLayout(layout)
        self.first_focus = self.pairs

    def update_state(self, state: ApartState) -> None:
        before, self._state = self._state, state
        self._title.setText(state.title)
        self._message.setText(state.message)
        self._message.setVisible(bool(state.message))
        if state.rows != before.rows:
            self._filling = True
            self._rows.fill([(each.since, *each.lines) for each in state.rows])
            self._filling = False
        if state.selected == (0,) and not self._marked():
            self.pairs.selectRow(0)
        if (state.one, state.other) != (before.one, before.other):
            colours = theme.colours()
            fill_spans(self.one, state.one, colours.added_on)
            fill_spans(self.other, state.other, colours.removed_on)
        marked = len(state.selected)
        caption = f"Forget {count(marked, 'Pair')}" if marked else "Forget"
        self.forget.setText(caption)
        self.forget.setAccessibleName(f"{caption}: may be suggested again")
        self.forget.setEnabled(marked > 0 and not state.looking)
        for action in (self.export, self.import_):
            action.setEnabled(not state.looking)

    def _marked(self) -> tuple[int, ...]:
        return tuple(sorted(index.row() for index in self.pairs.selectionModel().selectedRows()))

    def _selected(self) -> None:
        if not self._filling:
            self._presenter.select(self._marked())
