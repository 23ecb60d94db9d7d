"""The results as one flat table: a row for each group, followed by a row for each of its memories."""

from __future__ import annotations

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QFont

from memdefrag.gui import theme
from memdefrag.presenters.cells import COLUMNS, GOES, KEPT, SCORE, STATE, SURVIVOR, Cells

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter

TIER_ROLE = Qt.ItemDataRole.UserRole
"""In a group's own row: "sure" or "likely"; None in a memory's row."""


class RowsModel(QAbstractTableModel):
    """Shows `Cells`; does nothing but look up."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: Cells | None = None
        self._bold = QFont()
        self._bold.setBold(True)

    def show(self, cells: Cells | None) -> None:
        """Other rows."""
        self.beginResetModel()
        self.cells = cells
        self.endResetModel()

    def refresh(self, first: int, last: int) -> None:
        """The same rows say something else; only those on the screen need to be told."""
        last = min(last, self.rowCount() - 1)
        if 0 <= first <= last:
            self.dataChanged.emit(self.index(first, 0), self.index(last, len(COLUMNS) - 1))

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() or self.cells is None else len(self.cells)

    def columnCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section] or "State"
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        cells = self.cells
        if cells is None or not index.isValid():
            return None
        row, column = index.row(), index.column()
        header = cells.is_header(row)
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return cells.text(row, column)
            case Qt.ItemDataRole.CheckStateRole if header and column == STATE and cells.can_tick:
                return Qt.CheckState.Checked if cells.is_ticked(row) else Qt.CheckState.Unchecked
            case Qt.ItemDataRole.AccessibleTextRole if column == 0:
                return cells.spoken(row)
            case Qt.ItemDataRole.TextAlignmentRole if column == SCORE:
                return _RIGHT
            case Qt.ItemDataRole.FontRole if header or cells.state(row) == SURVIVOR:
                return self._bold
            case Qt.ItemDataRole.BackgroundRole if header:
                return QColor(theme.colours().group_row)
            case Qt.ItemDataRole.ForegroundRole:
                return self._foreground(cells, row, column, header)
            case _ if role == TIER_ROLE and header:
                return cells.tier(row)
        return None

    def _foreground(self, cells: Cells, row: int, column: int, header: bool) -> QColor | None:
        colours = theme.colours()
        if header:
            return None
        state = cells.state(row)
        if column == STATE:
            inks = {SURVIVOR: colours.sure, GOES: colours.conflict, KEPT: colours.likely}
            return QColor(inks.get(state, colours.muted))
        return None if state in (SURVIVOR, KEPT) else QColor(colours.muted if column != 1 else colours.text)
