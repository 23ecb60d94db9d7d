"""The last steps of a migration: what it would do, and what it did."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from memdefrag.base.wording import count
from memdefrag.gui.models.entries import EntryRows
from memdefrag.gui.widgets import button, card, clear, column, fill_facts, fill_lines, label, row, scrolling, table
from memdefrag.presenters.migration import MigrationPresenter
from memdefrag.presenters.migration_entries import Entries
from memdefrag.presenters.migration_result import MigrationResultPresenter, MigrationResultState, Stride
from memdefrag.presenters.migration_state import CheckRow, MigrationState

_WIDTHS = (180, 230, 230)
_ROLES = {"fail": "danger", "warning": "warning", "?": "strong", "pass": "muted"}
_SHOWN_PROBLEMS = 50


class EntriesPanel(QWidget):
    """The memories one by one, with a filter by outcome and by text.

    Args:
        filter: called with the outcome and the text.
    """

    def __init__(self, filter: Callable[[str, str], None]) -> None:
        super().__init__()
        self._choices: tuple[tuple[str, str], ...] = ()
        self._shown: Entries | None = None
        self.outcome = QComboBox()
        self.outcome.setAccessibleName("Outcome to show")
        self.outcome.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.text = QLineEdit()
        self.text.setAccessibleName("Text to look for")
        self.text.setPlaceholderText("Show only what says …")
        self.outcome.activated.connect(lambda _: filter(self.outcome.currentData(), self.text.text()))
        self.text.textEdited.connect(lambda said: filter(self.outcome.currentData(), said))
        self.table, self._rows = table("Memories of the migration"), EntryRows()
        self.table.setModel(self._rows)
        for number, width in enumerate(_WIDTHS):
            self.table.setColumnWidth(number, width)
        self.table.horizontalHeader().setSectionResizeMode(len(_WIDTHS), QHeaderView.ResizeMode.Stretch)
        line = row(self.outcome, self.text)
        line.setStretch(1, 1)
        self.setLayout(column(line, self.table))

    def show_entries(self, entries: Entries, choices: tuple[tuple[str, str], ...], chosen: str, text: str) -> None:
        """Show these entries, and what they are filtered by."""
        if choices != self._choices:
            self._choices = choices
            self.outcome.clear()
            for value, words in choices:
                self.outcome.addItem(words, value)
        self.outcome.setCurrentIndex(max(0, self.outcome.findData(chosen)))
        if self.text.text() != text:
            self.text.setText(text)
        if entries is not self._shown:
            self._shown = entries
            self._rows.show(entries)


class RehearsalPanel(QWidget):
    """Checks, figures, losses, and every memory with what would become of it."""

    def __init__(self, presenter: MigrationPresenter) -> None:
        super().__init__()
        self._facts, self._checks, self._problems = QGridLayout(), QGridLayout(), QVBoxLayout()
        self._shown: tuple[CheckRow, ...] = ()
        self._facts_card = card(label("What would become of the memories", "heading"), self._facts)
        self.entries = EntriesPanel(presenter.filter)
        content = column(
            label("Rehearsal: nothing was written", "heading"),
            self._facts_card,
            self._problems,
            card(label("Looked at beforehand", "heading"), self._checks),
        )
        content.addStretch(1)
        self.setLayout(_halves(scrolling(content), self.entries))
        self.first_focus = self.entries.table

    def update_state(self, state: MigrationState) -> None:
        found = state.rehearsal
        fill_facts(self._facts, found.facts)
        self._facts_card.setVisible(bool(found.facts))
        fill_lines(self._problems, _cut(found.problems), "warning")
        if found.checks != self._shown:
            self._shown = found.checks
            self._fill_checks(found.checks)
        self.entries.show_entries(found.entries, found.choices, found.chosen, found.text)
        self.entries.setVisible(bool(found.facts))

    def _fill_checks(self, checks: tuple[CheckRow, ...]) -> None:
        clear(self._checks)
        self._checks.setHorizontalSpacing(16)
        self._checks.setColumnStretch(1, 1)
        self._checks.setColumnStretch(2, 3)
        top = Qt.AlignmentFlag.AlignTop
        for line, check in enumerate(sorted(checks, key=lambda each: [*_ROLES].index(each.mark))):
            self._checks.addWidget(label(check.mark, _ROLES[check.mark]), line, 0, top)
            self._checks.addWidget(label(check.name, "strong", wrap=True), line, 1, top)
            said = label(f"{check.detail} {check.remedy}".rstrip(), wrap=True, selectable=True)
            self._checks.addWidget(said, line, 2, top)


class ResultPanel(QWidget):
    """What was done, the way back, and the way to switch over."""

    def __init__(self, presenter: MigrationResultPresenter) -> None:
        super().__init__()
        self._presenter = presenter
        self._shown: tuple[Stride, ...] = ()
        self._boxes: list[QCheckBox] = []
        self.stride_buttons: dict[str, QPushButton] = {}
        self._title, self._place = label("", "heading"), label("", "muted", wrap=True, selectable=True)
        self._facts, self._problems, self._strides = QGridLayout(), QVBoxLayout(), QVBoxLayout()
        self._strides_card = card(label("To switch over to the new store", "heading"), self._strides)
        self._facts_card = card(self._facts)
        self.open = button("Open the Target", presenter.open_target)
        self.take_back = button("Take It Back", presenter.take_back, name="Take this migration back")
        self.mirror = button("", presenter.mirror, name="Remove what disappeared")
        self.copy = button("Copy Report", self._copy)
        self.entries = EntriesPanel(presenter.filter)
        content = column(
            self._title,
            self._place,
            self._facts_card,
            self._problems,
            row(self.open, self.take_back, self.mirror, self.copy, None),
            self._strides_card,
        )
        content.addStretch(1)
        self.setLayout(_halves(scrolling(content), self.entries))
        self.first_focus = self.open

    def update_result(self, state: MigrationResultState) -> None:
        self._title.setText(state.title)
        self._place.setText(state.place)
        fill_facts(self._facts, state.facts)
        self._facts_card.setVisible(bool(state.facts))
        fill_lines(self._problems, _cut(state.problems), "warning" if state.went_well else "danger")
        self.take_back.setVisible(state.can_take_back)
        caption = f"Remove {count(state.gone, 'Memory', 'Memories')} That Disappeared…"
        self.mirror.setText(caption)
        self.mirror.setAccessibleName(caption)
        self.mirror.setVisible(state.gone > 0)
        self._strides_card.setVisible(bool(state.strides))
        if state.strides != self._shown:
            self._shown = state.strides
            self._fill_strides(state.strides)
        for number, box in enumerate(self._boxes):
            box.setChecked(number in state.ticked)
        self.entries.show_entries(state.entries, state.choices, state.chosen, state.text)
        self.entries.setVisible(bool(state.choices))

    def _fill_strides(self, strides: tuple[Stride, ...]) -> None:
        clear(self._strides)
        self._boxes = []
        for number, stride in enumerate(strides):
            box = QCheckBox()
            box.setAccessibleName(f"Done: {stride.text}")
            box.toggled.connect(partial(self._presenter.tick, number))
            said = label(f"{number + 1}.  {stride.text}", wrap=True)
            line = row(box, said)
            line.setStretchFactor(said, 1)
            if stride.button:
                self.stride_buttons[stride.button] = button(stride.button, partial(self._presenter.stride, number))
                line.addWidget(self.stride_buttons[stride.button])
            self._strides.addLayout(line)
            self._boxes.append(box)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._presenter.report_text())


def _cut(lines: tuple[str, ...]) -> list[str]:
    more = len(lines) - _SHOWN_PROBLEMS
    return [*lines[:_SHOWN_PROBLEMS], *([f"… and {more} more"] if more > 0 else [])]


def _halves(upper: QWidget, lower: QWidget) -> QVBoxLayout:
    parts = QSplitter(Qt.Orientation.Vertical)
    parts.addWidget(upper)
    parts.addWidget(lower)
    parts.setStretchFactor(0, 2)
    parts.setStretchFactor(1, 1)
    parts.setSizes([400, 200])
    parts.setChildrenCollapsible(False)
    return column(parts)
