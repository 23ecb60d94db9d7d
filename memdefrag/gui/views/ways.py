"""The ways to write a folder that an older chromadb made."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QButtonGroup, QRadioButton, QVBoxLayout, QWidget

from memdefrag.gui.widgets import card, clear, column, label
from memdefrag.presenters.rehearsal import WriterChoice

_INDENT = 24


class WaysCard(QWidget):
    """One of them has to be chosen; hidden where there are none.

    Args:
        choose: called with the number of a way, and the path where it asks for one.
        ask: asks for a path, by what is wanted; empty when the person gave up.
    """

    def __init__(self, choose: Callable[[int, str], None], ask: Callable[[str], str]) -> None:
        super().__init__()
        self._choose, self._ask = choose, ask
        self._shown: tuple[WriterChoice, ...] = ()
        self._ways = QVBoxLayout()
        self.group = QButtonGroup(self)
        self.group.idClicked.connect(self._clicked)
        self.setLayout(column(card(label("How is this older folder written?", "heading"), self._ways)))

    def show_ways(self, writers: tuple[WriterChoice, ...], chosen: int) -> None:
        """Show the ways; `chosen` is -1 for none."""
        self.setVisible(bool(writers))
        if writers != self._shown:
            self._shown = writers
            for old in self.group.buttons():
                self.group.removeButton(old)
            clear(self._ways)
            for number, way in enumerate(writers):
                choice = QRadioButton(way.label.replace("&", "&&"))
                self.group.addButton(choice, number)
                said = column(label(f"{way.detail} {way.value}" if way.asks else way.detail, "muted", wrap=True))
                if way.warning:
                    said.addWidget(label(way.warning, "danger", wrap=True))
                said.setContentsMargins(_INDENT, 0, 0, 0)
                self._ways.addLayout(column(choice, said, gap=2))
        if chosen >= 0:
            self.group.button(chosen).setChecked(True)

    def _clicked(self, number: int) -> None:
        way = self._shown[number]
        self._choose(number, self._ask(way.asks) if way.asks else "")
