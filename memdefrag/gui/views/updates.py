"""The list of possible updates, each to be decided by itself."""

from __future__ import annotations

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHeaderView, QWidget

from memdefrag.gui.widgets import button, column, label, row, table
from memdefrag.presenters.updates import UpdateRow, UpdatesPresenter, UpdatesState
from memdefrag.presenters.wording import one_line

_COLUMNS = ("Decision", "Older", "Newer", "Differs in", "Dates")
_LINE = 160
_ROOT = QModelIndex()


class _UpdatesModel(QAbstractTableModel):
    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[UpdateRow, ...] = ()

    def show(self, rows: tuple[UpdateRow, ...]) -> None:
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _ROOT) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _ROOT) -> int:
        return 0 if parent.isValid() else len(_COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return _COLUMNS[section]
        return None

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or role != Qt.ItemDataRole.DisplayRole:
            return None
        shown = self.rows[index.row()]
        match index.column():
            case 0:
                return shown.decided or "undecided"
            case 1:
                return one_line(shown.old_text, _LINE)
            case 2:
                return one_line(shown.new_text, _LINE)
            case 3:
                return shown.differs_in
        return shown.dates


class UpdatesPanel(QWidget):
    def __init__(self, presenter: UpdatesPresenter) -> None:
        super().__init__()
        self._presenter = presenter
        self._model = _UpdatesModel()
        self.table = table("Possible updates")
        self.table.setModel(self._model)
        for number, width in {0: 130, 3: 190, 4: 170}.items():
            self.table.setColumnWidth(number, width)
        for number in (1, 2):
            self.table.horizontalHeader().setSectionResizeMode(number, QHeaderView.ResizeMode.Stretch)
        self.table.selectionModel().currentRowChanged.connect(lambda now, _: presenter.select(now.row()))
        self.replace_old = button("The New One Replaces the Old (M)", presenter.replace_old)
        self.keep_both = button("Both Stay (N)", presenter.keep_both)
        self.undecide = button("Undecided (U)", presenter.undecide)
        self._notice = label("", "warning", wrap=True)
        for key, action in {"M": presenter.replace_old, "N": presenter.keep_both, "U": presenter.undecide}.items():
            shortcut = QShortcut(QKeySequence(key), self.table)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(action)
        explanation = "Alike, but they contradict each other. Nothing here is ever ticked or merged by itself."
        self.setLayout(
            column(
                label(explanation, "muted", wrap=True),
                self.table,
                self._notice,
                row(self.replace_old, self.keep_both, self.undecide, None, gap=8),
                gap=8,
            )
        )

    def show_state(self, state: UpdatesState) -> None:
        if state.rows is not self._model.rows:
            self._model.show(state.rows)
        if 0 <= state.row < len(state.rows) and self.table.currentIndex().row() != state.row:
            self.table.selectRow(state.row)
        self._notice.setText(state.notice)
        self._notice.setVisible(bool(state.notice))
        for action in (self.replace_old, self.keep_both, self.undecide):
            action.setEnabled(state.row >= 0)
