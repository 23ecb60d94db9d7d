"""The page of memories that hardly are any."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractItemView, QSplitter, QWidget

from memdefrag.base.wording import count
from memdefrag.gui.models.texts import text_table
from memdefrag.gui.widgets import button, column, label, row, text_box
from memdefrag.presenters.junk import JunkPresenter, JunkState

_COLUMNS = {"What": 150, "Why": 330, "Memory": 0}


class JunkPage(QWidget):
    """The list, the text of the marked memory, and the way to a plan."""

    def __init__(self, presenter: JunkPresenter) -> None:
        super().__init__()
        self._presenter = presenter
        self._state = JunkState()
        self._filling = False
        self._title = label("", "muted", wrap=True)
        self.memories, self._rows = text_table("Memories that hardly are any", _COLUMNS)
        self.memories.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.memories.selectionModel().selectionChanged.connect(lambda *_: self._selected())
        self.text = text_box("The marked memory")
        self.remove = button("", presenter.plan_removal, "primary")
        self.back = button("Back", presenter.leave)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.memories)
        parts.addWidget(self.text)
        parts.setStretchFactor(0, 3)
        parts.setStretchFactor(1, 1)
        parts.setChildrenCollapsible(False)
        layout = column(
            row(label("Hardly a memory", "title"), None, self.back), self._title, parts, row(self.remove, None)
        )
        layout.setContentsMargins(28, 24, 28, 24)
        layout.setStretchFactor(parts, 1)
        self.setLayout(layout)
        self.first_focus = self.memories

    def update_state(self, state: JunkState) -> None:
        before, self._state = self._state, state
        self._title.setText(state.title)
        if state.rows != before.rows:
            self._filling = True
            self._rows.fill([(each.kind, each.why, each.line) for each in state.rows])
            self._filling = False
        if state.selected == (0,) and not self._marked():
            self.memories.selectRow(0)
        self.text.setPlainText(state.text)
        caption = f"Plan to Remove {count(state.removable, 'Memory', 'Memories')}…"
        self.remove.setText(caption)
        self.remove.setAccessibleName(caption)
        self.remove.setEnabled(state.removable > 0)

    def _marked(self) -> tuple[int, ...]:
        return tuple(sorted(index.row() for index in self.memories.selectionModel().selectedRows()))

    def _selected(self) -> None:
        if not self._filling:
            self._presenter.select(self._marked())
