"""The memories of a migration as a table; it looks up what is on the screen and nothing else."""

from __future__ import annotations

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from memdefrag.gui import theme
from memdefrag.presenters.migration_entries import COLUMNS, Entries
from memdefrag.presenters.wording import one_line

_ROOT = QModelIndex()
_LONGEST = 500


class EntryRows(QAbstractTableModel):
    """Shows `Entries`."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = Entries()

    def show(self, entries: Entries) -> None:
        """Other rows."""
        self.beginResetModel()
        self.entries = entries
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _ROOT) -> int:
        return 0 if parent.isValid() else len(self.entries)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _ROOT) -> int:
        return 0 if parent.isValid() else len(COLUMNS)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if index.isValid() and role == Qt.ItemDataRole.DisplayRole:
            return one_line(self.entries.text(index.row(), index.column()), _LONGEST)
        if index.isValid() and role == Qt.ItemDataRole.ForegroundRole and self.entries.is_alarming(index.row()):
            return QColor(theme.colours().conflict)
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        return None
