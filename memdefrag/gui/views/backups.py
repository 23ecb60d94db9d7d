"""The page of backups and of changes made."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QHeaderView, QTableView, QWidget

from memdefrag.gui.views.job import JobPanel
from memdefrag.gui.widgets import button, card, column, label, row, table
from memdefrag.presenters.backups import BackupsPresenter, BackupsState

_BACKUP_COLUMNS = ("Made", "Why", "Store", "Memories", "Size", "Checked")
_STEP_COLUMNS = ("When", "What", "Store", "")
_STORE_COLUMN = 2


class _Rows(QAbstractTableModel):
    """A small table of texts."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        super().__init__()
        self._columns = columns
        self.rows: list[tuple[str, ...]] = []

    def fill(self, rows: list[tuple[str, ...]]) -> None:
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if index.isValid() and role == Qt.ItemDataRole.DisplayRole:
            return self.rows[index.row()][index.column()]
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._columns[section]
        return None


class BackupsPage(QWidget):
    def __init__(self, presenter: BackupsPresenter, leave: Callable[[], None]) -> None:
        super().__init__()
        self._presenter = presenter
        self._state = BackupsState()
        self.backups, self.steps = table("Backups"), table("Changes made")
        self._backup_rows, self._step_rows = _Rows(_BACKUP_COLUMNS), _Rows(_STEP_COLUMNS)
        for view, model in ((self.backups, self._backup_rows), (self.steps, self._step_rows)):
            view.setModel(model)
            view.horizontalHeader().setSectionResizeMode(_STORE_COLUMN, QHeaderView.ResizeMode.Stretch)
            view.selectionModel().selectionChanged.connect(lambda *_: self._enable())
        _widths(self.backups, (130, 190, 0, 90, 90, 200))
        _widths(self.steps, (130, 330, 0, 90))
        self._folder, self._message = label("", "muted", selectable=True), label("", "strong", wrap=True)
        self.verify = button("Verify", self._verify)
        self.verify_deep = button("Verify by Restoring a Copy", self._verify_deep)
        self.restore = button("Restore…", self._restore)
        self.open_folder = button("Open Folder", self._open_folder)
        self.undo = button("Undo", self._undo, name="Undo the selected change")
        self.back = button("Back", leave)
        self.panel = JobPanel(presenter.stop)
        self._question = label("", wrap=True)
        self.agree = button("Restore", lambda: presenter.answer(True), "primary", "Yes, restore")
        self.decline = button("Leave It", lambda: presenter.answer(False))
        self._question_card = card(self._question, row(self.agree, self.decline, None))
        layout = column(
            row(label("Backups", "title"), None, self.back),
            self._folder,
            self.backups,
            row(self.verify, self.verify_deep, self.restore, self.open_folder, None),
            self._question_card,
            self.panel,
            self._message,
            label("Changes made", "heading"),
            self.steps,
            row(self.undo, None),
        )
        layout.setContentsMargins(28, 24, 28, 24)
        layout.setStretchFactor(self.backups, 3)
        layout.setStretchFactor(self.steps, 2)
        self.setLayout(layout)
        self.first_focus = self.backups

    def update_state(self, state: BackupsState) -> None:
        if (state.backups, state.steps) != (self._state.backups, self._state.steps):
            self._backup_rows.fill(
                [(b.created, b.reason, b.store, b.memories, b.size, b.checked) for b in state.backups]
            )
            self._step_rows.fill(
                [(s.time, s.what, s.store, "" if s.undoable else "undone") for s in state.steps]
            )
            for view in (self.backups, self.steps):
                view.selectRow(0)
        asked_now = state.question and not self._state.question
        self._state = state
        self._folder.setText(f"Kept in {state.folder}" + ("" if state.backups else ". There are none yet."))
        self._message.setText(state.message)
        self._message.setVisible(bool(state.message))
        self._question.setText(state.question)
        self._question_card.setVisible(bool(state.question))
        self.panel.setVisible(state.job is not None)
        if state.job:
            self.panel.show_job(state.job)
        self._enable()
        if asked_now:
            self.decline.setFocus()

    def _enable(self) -> None:
        chosen, idle = bool(self._chosen()), self._state.job is None
        for action in (self.verify, self.verify_deep, self.restore):
            action.setEnabled(chosen and idle)
        self.open_folder.setEnabled(chosen)
        step = _row(self.steps)
        self.undo.setEnabled(0 <= step < len(self._state.steps) and self._state.steps[step].undoable and idle)

    def _chosen(self) -> str:
        number = _row(self.backups)
        return self._state.backups[number].id if 0 <= number < len(self._state.backups) else ""

    def _verify(self) -> None:
        self._presenter.verify(self._chosen())

    def _verify_deep(self) -> None:
        self._presenter.verify(self._chosen(), deep=True)

    def _restore(self) -> None:
        self._presenter.ask_restore(self._chosen())

    def _undo(self) -> None:
        self._presenter.undo(self._state.steps[_row(self.steps)].id)

    def _open_folder(self) -> None:
        number = _row(self.backups)
        QDesktopServices.openUrl(QUrl.fromLocalFile(self._state.backups[number].folder))


def _row(view: QTableView) -> int:
    rows = view.selectionModel().selectedRows()
    return rows[0].row() if rows else -1


def _widths(view: QTableView, widths: tuple[int, ...]) -> None:
    for number, width in enumerate(widths):
        if width:
            view.setColumnWidth(number, width)
