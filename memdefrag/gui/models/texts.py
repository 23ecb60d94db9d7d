"""Small tables of texts."""

from __future__ import annotations

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QHeaderView, QTableView

from memdefrag.gui import theme
from memdefrag.gui.widgets import table

_ROOT = QModelIndex()
Rows = list[tuple[str, ...]]


class TextRows(QAbstractTableModel):
    """Rows of texts; those of `alarming` stand in the colour of danger."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        super().__init__()
        self._columns = columns
        self.rows: Rows = []
        self._alarming: frozenset[int] = frozenset()

    def fill(self, rows: Rows, alarming: frozenset[int] = frozenset()) -> None:
        """Show other rows."""
        self.beginResetModel()
        self.rows, self._alarming = rows, alarming
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _ROOT) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if index.isValid() and role == Qt.ItemDataRole.DisplayRole:
            return self.rows[index.row()][index.column()]
        if index.isValid() and role == Qt.ItemDataRole.ForegroundRole and index.row() in self._alarming:
            return QColor(theme.colours().conflict)
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._columns[section]
        return None


def text_table(name: str, columns: dict[str, int]) -> tuple[QTableView, TextRows]:
    """A table and its model.

    Args:
        columns: heading to width in pixels; 0 takes what is left.
    """
    view, model = table(name), TextRows(tuple(columns))
    view.setModel(model)
    for number, width in enumerate(columns.values()):
        if width:
            view.setColumnWidth(number, width)
        else:
            view.horizontalHeader().setSectionResizeMode(number, QHeaderView.ResizeMode.Stretch)
    return view, model
