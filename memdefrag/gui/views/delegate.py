"""Draws a group's tier as a badge before its text."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from memdefrag.gui import theme
from memdefrag.gui.models.rows import TIER_ROLE

_PADDING = 8
_INDENT = 14


class BadgeDelegate(QStyledItemDelegate):
    """For the column of texts: a badge in group rows, an indent in memory rows."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        tier = index.data(TIER_ROLE)
        shifted = QStyleOptionViewItem(option)
        self.initStyleOption(shifted, index)
        style = option.widget.style()
        style.drawPrimitive(style.PrimitiveElement.PE_PanelItemViewItem, shifted, painter, option.widget)
        offset = _INDENT if tier is None else self._badge(painter, shifted, tier) + _PADDING
        rect = shifted.rect.adjusted(offset + 4, 0, -4, 0)
        painter.save()
        painter.setFont(shifted.font)
        painter.setPen(shifted.palette.color(shifted.palette.ColorRole.Text))
        text = shifted.fontMetrics.elidedText(str(index.data() or ""), Qt.TextElideMode.ElideRight, rect.width())
        painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, text)
        painter.restore()

    def _badge(self, painter: QPainter, option: QStyleOptionViewItem, tier: str) -> int:
        """Draw it and return its width."""
        colours = theme.colours()
        ink, ground = (colours.sure, colours.sure_on) if tier == "sure" else (colours.likely, colours.likely_on)
        word = "✓ Sure" if tier == "sure" else "? Likely"
        width = option.fontMetrics.horizontalAdvance(word) + 2 * _PADDING
        height = option.fontMetrics.height() + 2
        box = QRect(option.rect.left() + 4, option.rect.center().y() - height // 2 + 1, width, height)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(ground))
        painter.drawRoundedRect(box, height / 2, height / 2)
        painter.setPen(QColor(ink))
        painter.setFont(option.font)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, word)
        painter.restore()
        return width
