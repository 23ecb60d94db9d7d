"""How a store is looked at: a line that says it, and the fields behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QFrame, QGridLayout, QLineEdit, QSpinBox, QWidget

from memdefrag.gui.widgets import button, column, label, row
from memdefrag.presenters.looking import METHODS, Looking

if TYPE_CHECKING:
    from memdefrag.presenters.summary import SummaryPresenter, SummaryState

Ask = Callable[[str], str]
_MOST_THREADS = 256
_SEVERAL = "all; several with commas between them"


class LookingPanel(QFrame):
    """Collapsed to its line until the person wants more.

    Args:
        ask: asks for a path, by what is wanted: "store file" or "store folder"; empty when the person gave up.
    """

    def __init__(self, presenter: SummaryPresenter, ask: Ask) -> None:
        super().__init__()
        self.setObjectName("card")
        self._presenter, self._ask = presenter, ask
        self._line = label("", "muted", wrap=True, selectable=True)
        self.more = button("Change…", self._toggle, name="Change how to look")
        self._fields = QWidget()
        self._fields.setLayout(self._grid())
        self._problem = label("", "danger", wrap=True)
        layout = column(row(label("How to look", "heading"), None, self.more), self._line, self._fields, self._problem)
        layout.setContentsMargins(16, 14, 16, 14)
        self.setLayout(layout)
        self._fields.hide()

    def _grid(self) -> QGridLayout:
        self.method = QComboBox()
        self.method.setAccessibleName("What makes memories alike")
        for method, words in METHODS.items():
            self.method.addItem(words[0].upper() + words[1:], method)
        self.method.activated.connect(lambda at: self._presenter.look(method=self.method.itemData(at)))
        self.across = QCheckBox("Also compare memories of different collections")
        self.across.toggled.connect(lambda on: self._presenter.look(across=on))
        self.tags = self._field("tags", "Only memories with one of these tags", _SEVERAL)
        self.types = self._field("types", "Only memories of one of these types", _SEVERAL)
        self.sources = self._field("sources", "Only memories from one of these sources", f"{_SEVERAL}; * is anything")
        self.since = self._field("since", "Created on this day or later", "2026-01-31")
        self.until = self._field("until", "Created on this day or before", "2026-12-31")
        self.against = self._field("against", "Compare with this store only", "a file, a folder or an address")
        self.model = self._field("model", "Model for memories without a vector", "the usual one")
        self.threads = QSpinBox()
        self.threads.setAccessibleName("Cores that make vectors")
        self.threads.setRange(0, _MOST_THREADS)
        self.threads.setSpecialValueText("all")
        self.threads.valueChanged.connect(lambda number: self._presenter.look(threads=number))
        self.file = button("File…", lambda: self._choose("store file"), name="Choose the file to compare with")
        self.folder = button("Folder…", lambda: self._choose("store folder"), name="Choose the folder to compare with")
        self.clear = button("Clear", lambda: self._presenter.look(against=""), name="Compare with no other store")
        self.usual = button("As Usual", self._presenter.look_as_usual, name="Look as usual")
        dates = row(self.since, label("to", "muted"), self.until, gap=8)
        against = row(self.against, self.file, self.folder, self.clear, gap=8)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(16)
        grid.setColumnStretch(1, 1)
        self._labelled = {}
        for line, (words, part) in enumerate({
            "Alike by": self.method, "": self.across, "Tags": self.tags, "Types": self.types, "Sources": self.sources,
            "Created": dates, "Compare with": against, "Model": self.model, "Cores": row(self.threads, None),
        }.items()):  # fmt: skip
            self._labelled[words] = label(words, "muted")
            grid.addWidget(self._labelled[words], line, 0, Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(part, line, 1) if isinstance(part, QWidget) else grid.addLayout(part, line, 1)
        grid.addLayout(row(self.usual, None), grid.rowCount(), 1)
        return grid

    def _field(self, name: str, spoken: str, hint: str) -> QLineEdit:
        made = QLineEdit()
        made.setAccessibleName(spoken)
        made.setPlaceholderText(hint)
        made.textEdited.connect(lambda said: self._presenter.look(**{name: said}))
        return made

    def _toggle(self) -> None:
        self._fields.setVisible(self._fields.isHidden())
        self.more.setText("Change…" if self._fields.isHidden() else "Done")
        if not self._fields.isHidden():
            self.method.setFocus()

    def _choose(self, wanted: str) -> None:
        if path := self._ask(wanted):
            self._presenter.look(against=path)

    def show_state(self, state: SummaryState) -> None:
        """Show what is chosen."""
        looking = state.looking
        self._line.setText(looking.line())
        self._problem.setText(state.problem)
        self._problem.setVisible(bool(state.problem))
        self.method.setCurrentIndex(self.method.findData(looking.method))
        self.across.setChecked(looking.across)
        for part in (self.across, self._labelled[""]):
            part.setVisible(bool(state.choices))
        self.across.setEnabled(state.chosen == 0)
        for field, said in self._said(looking):
            if field.text() != said:
                field.setText(said)
        self.clear.setEnabled(bool(looking.against))
        self.threads.setValue(looking.threads)
        for part in (self.model, self.threads, self._labelled["Model"], self._labelled["Cores"]):
            part.setVisible(state.without_vector > 0 or bool(looking.against))
        self.usual.setEnabled(looking != Looking())

    def _said(self, looking: Looking) -> tuple[tuple[QLineEdit, str], ...]:
        return (
            (self.tags, looking.tags),
            (self.types, looking.types),
            (self.sources, looking.sources),
            (self.since, looking.since),
            (self.until, looking.until),
            (self.against, looking.against),
            (self.model, looking.model),
        )
