"""The list of what another store holds already."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QWidget

from memdefrag.gui.models.texts import text_table
from memdefrag.gui.widgets import column, label, row
from memdefrag.presenters.known import KnownPresenter, KnownState

_COLUMNS = {"There": 140, "Memory of this store": 0, "Nearest in the other store": 0, "Alike": 56}
_EXPLANATION = "What of this store the other one holds already. This is for looking: nothing is changed here."


class KnownPanel(QWidget):
    """A choice with counts, and the memories."""

    def __init__(self, presenter: KnownPresenter) -> None:
        super().__init__()
        self._state = KnownState()
        self._filling = False
        self._presenter = presenter
        self.standing = QComboBox()
        self.standing.setAccessibleName("Which memories are shown")
        self.standing.activated.connect(lambda at: presenter.choose(self.standing.itemData(at)))
        self.table, self._rows = text_table("Memories and what the other store holds of them", _COLUMNS)
        self.table.selectionModel().currentRowChanged.connect(lambda now, _: self._select(now.row()))
        self._summary = label("", "strong", wrap=True)
        self._notice = label("", "warning", wrap=True)
        self.setLayout(
            column(
                label(_EXPLANATION, "muted", wrap=True),
                self._summary,
                row(label("Show", "muted"), self.standing, None, gap=8),
                self.table,
                self._notice,
                gap=8,
            )
        )

    def show_state(self, state: KnownState) -> None:
        before, self._state = self._state, state
        if state.choices != before.choices:
            self.standing.clear()
            for standing, words in state.choices:
                self.standing.addItem(words[0].upper() + words[1:], standing)
        self._summary.setText(state.summary)
        self.standing.setCurrentIndex(self.standing.findData(state.chosen))
        if state.rows is not before.rows:
            self._filling = True
            self._rows.fill([(each.standing, each.line, each.nearest, each.score) for each in state.rows])
            self._filling = False
        if 0 <= state.row < len(state.rows) and self.table.currentIndex().row() != state.row:
            self.table.selectRow(state.row)
        self._notice.setText(state.notice)
        self._notice.setVisible(bool(state.notice))

    def _select(self, row: int) -> None:
        if not self._filling:
            self._presenter.select(row)
