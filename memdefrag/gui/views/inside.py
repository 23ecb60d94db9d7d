"""The page of one backup's memories."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractItemView, QLineEdit, QSplitter, QWidget

from memdefrag.base.wording import count
from memdefrag.gui.models.texts import text_table
from memdefrag.gui.widgets import button, column, label, row, text_box
from memdefrag.presenters.inside import InsidePresenter, InsideState

_COLUMNS = {"In the store now": 130, "Made": 96, "Memory": 0}


class InsidePage(QWidget):
    """A filter, the list, the text of the selected memory, and the way back for it."""

    def __init__(self, presenter: InsidePresenter, leave: Callable[[], None]) -> None:
        super().__init__()
        self._presenter = presenter
        self._state = InsideState()
        self._filling = False
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Find by text, id or tag (Ctrl+F)")
        self.filter.setAccessibleName("Find memories in the backup")
        self.filter.textChanged.connect(presenter.set_filter)
        QShortcut(QKeySequence("Ctrl+F"), self).activated.connect(self.filter.setFocus)
        self.memories, self._rows = text_table("Memories of the backup", _COLUMNS)
        self.memories.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.memories.selectionModel().selectionChanged.connect(lambda *_: self._selected())
        self._title, self._notice = label("", "muted", wrap=True, selectable=True), label("", "muted", wrap=True)
        self.text = text_box("The selected memory, as the backup holds it")
        self.restore = button("", presenter.restore, "primary")
        self.open_store = button("Open as a Store", presenter.open_as_store, name="Open the backup as a store")
        self.back = button("Back", leave)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.memories)
        parts.addWidget(self.text)
        parts.setStretchFactor(0, 2)
        parts.setStretchFactor(1, 1)
        parts.setChildrenCollapsible(False)
        layout = column(
            row(label("Inside the backup", "title"), None, self.back),
            self._title,
            self.filter,
            parts,
            self._notice,
            row(self.restore, self.open_store, None),
        )
        layout.setContentsMargins(28, 24, 28, 24)
        layout.setStretchFactor(parts, 1)
        self.setLayout(layout)
        self.first_focus = self.filter

    def update_state(self, state: InsideState) -> None:
        before, self._state = self._state, state
        self._title.setText("Reading the backup …" if state.looking else state.title)
        if self.filter.text() != state.filter:
            self.filter.setText(state.filter)
        if state.rows != before.rows:
            self._filling = True
            self._rows.fill([(row.now, row.created, row.line) for row in state.rows])
            self._filling = False
        if state.selected == (0,) and not self._marked():
            self.memories.selectRow(0)
        if self.text.toPlainText() != state.text:
            self.text.setPlainText(state.text)
        self._notice.setText(state.notice)
        self._notice.setVisible(bool(state.notice))
        many = max(1, state.restorable)
        caption = "Restore This Memory" if many == 1 else f"Restore {count(many, 'Memory', 'Memories')}"
        self.restore.setText(caption)
        self.restore.setAccessibleName(caption)
        self.restore.setEnabled(state.restorable > 0)
        self.open_store.setEnabled(not state.looking)

    def _marked(self) -> tuple[int, ...]:
        return tuple(sorted(index.row() for index in self.memories.selectionModel().selectedRows()))

    def _selected(self) -> None:
        if not self._filling:
            self._presenter.select(self._marked())
