"""The slider that says how alike is alike enough, under a picture of how many pairs lie where."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSlider, QWidget

from memdefrag.gui import theme
from memdefrag.gui.widgets import column, label, row

_STEPS = 1000
_DEBOUNCE_MS = 30
_HISTOGRAM_HEIGHT = 30


class Histogram(QWidget):
    """Bars; those at or above the threshold stand out."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(_HISTOGRAM_HEIGHT)
        self._bars: tuple[int, ...] = ()
        self._from = 0.0

    def show_bars(self, bars: tuple[int, ...]) -> None:
        self._bars = bars
        self.update()

    def mark(self, share: float) -> None:
        """Where the threshold lies, 0 … 1 of the width."""
        self._from = share
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._bars or not max(self._bars):
            return
        painter, colours = QPainter(self), theme.colours()
        width, most = self.width() / len(self._bars), max(self._bars) ** 0.5
        for number, value in enumerate(self._bars):
            above = (number + 1) / len(self._bars) > self._from
            height = round(value**0.5 / most * (self.height() - 2)) if value else 0
            left = round(number * width)
            colour = QColor(colours.accent_on if above else colours.border)
            painter.fillRect(left, self.height() - height, max(1, round(width) - 1), height, colour)


class ThresholdSlider(QWidget):
    """Calls `changed` with the threshold, a moment after the handle came to rest."""

    def __init__(self, changed: Callable[[float], None]) -> None:
        super().__init__()
        self._changed = changed
        self._histogram = Histogram()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("How alike memories must be to be suggested")
        self.slider.setPageStep(10)
        self.slider.setSingleStep(5)
        self.slider.valueChanged.connect(self._moved)
        self._value = label("", "strong")
        self._value.setMinimumWidth(self._value.fontMetrics().horizontalAdvance("0.000") + 8)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_DEBOUNCE_MS)
        self._pause.timeout.connect(lambda: self._changed(self.threshold))
        self.setLayout(
            column(
                self._histogram,
                row(label("Alike at least", "muted"), self.slider, self._value, gap=8),
                gap=2,
            )
        )

    @property
    def threshold(self) -> float:
        return self.slider.value() / _STEPS

    def set_range(self, lowest: float, bars: tuple[int, ...]) -> None:
        self.slider.blockSignals(True)
        self.slider.setRange(round(lowest * _STEPS), _STEPS)
        self.slider.blockSignals(False)
        self._histogram.show_bars(bars)

    def show_threshold(self, threshold: float) -> None:
        """Set the handle without calling `changed`."""
        if self._pause.isActive():
            return
        self.slider.blockSignals(True)
        self.slider.setValue(round(threshold * _STEPS))
        self.slider.blockSignals(False)
        self._mark()

    def _moved(self) -> None:
        self._mark()
        self._pause.start()

    def _mark(self) -> None:
        self._value.setText(f"{self.threshold:.2f}")
        low, high = self.slider.minimum(), self.slider.maximum()
        self._histogram.mark((self.slider.value() - low) / max(1, high - low))
