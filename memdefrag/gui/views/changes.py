"""The page of changes made."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QWidget

from memdefrag.base.wording import count
from memdefrag.gui.models.texts import text_table
from memdefrag.gui.widgets import button, column, label, row, text_box
from memdefrag.presenters.changes import ChangesPresenter, ChangesState
from memdefrag.presenters.wording import named_place

_STEPS = {"When": 130, "What": 330, "Store": 0, "State": 190}
_MEMORIES = {"What": 90, "Memory": 200, "Text": 0}


class ChangesPage(QWidget):
    """The list of changes and, once asked for, the memories of one before and after."""

    def __init__(
        self, presenter: ChangesPresenter, leave: Callable[[], None], show_backups: Callable[[], None]
    ) -> None:
        super().__init__()
        self._state = ChangesState()
        self.steps, self._steps = text_table("Changes made", _STEPS)
        self.steps.selectionModel().currentRowChanged.connect(lambda now, _: presenter.select(now.row()))
        self.memories, self._memories = text_table("Memories touched by the change", _MEMORIES)
        self.memories.selectionModel().currentRowChanged.connect(lambda now, _: presenter.select_memory(now.row()))
        self.before, self.after = text_box("The memory before"), text_box("The memory after")
        self.undo = button("Undo", presenter.undo, name="Undo the selected change")
        self.redo = button("Redo", presenter.redo, name="Carry the selected change out again")
        self.show_step = button("Show", presenter.show, name="Show the memories of the selected change")
        self.bring_back = button("", presenter.bring_back)
        self.backups = button("Backups", show_backups, name="Show the backups")
        self.back = button("Back", leave)
        self._empty = label("Nothing was changed yet.", "muted")
        self._note = label("", "muted", wrap=True)
        self._details = self._made_details()
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.steps)
        parts.addWidget(self._details)
        parts.setChildrenCollapsible(False)
        layout = column(
            row(label("Changes made", "title"), None, self.backups, self.back),
            self._empty,
            parts,
            row(self.undo, self.redo, self.show_step, self.bring_back, None),
        )
        layout.setContentsMargins(28, 24, 28, 24)
        layout.setStretchFactor(parts, 1)
        self.setLayout(layout)
        self.first_focus = self.steps

    def update_state(self, state: ChangesState) -> None:
        before, self._state = self._state, state
        if state.steps != before.steps:
            damaged = frozenset(number for number, step in enumerate(state.steps) if step.damaged)
            rows = [(each.time, each.what, named_place(each.store), each.state) for each in state.steps]
            self._steps.fill(rows, damaged)
        if state.selected >= 0 and self.steps.currentIndex().row() != state.selected:
            self.steps.selectRow(state.selected)
        if state.touched != before.touched:
            self._memories.fill([(each.what, each.name, each.line) for each in state.touched])
        if state.memory >= 0 and self.memories.currentIndex().row() != state.memory:
            self.memories.selectRow(state.memory)
        if state.chosen_memory != before.chosen_memory and state.chosen_memory:
            self.before.setPlainText(state.chosen_memory.before)
            self.after.setPlainText(state.chosen_memory.after)
        self._note.setText(state.note)
        self._note.setVisible(bool(state.note))
        self._details.setVisible(bool(state.shown))
        for part in (self.memories, self._texts):
            part.setVisible(bool(state.touched))
        self._empty.setVisible(not state.steps)
        self._enable(state)
        if state.shown and not before.shown and state.touched:
            self.memories.setFocus()

    def _enable(self, state: ChangesState) -> None:
        chosen = state.chosen
        self.undo.setEnabled(bool(chosen and chosen.undoable))
        self.redo.setEnabled(bool(chosen and chosen.redoable))
        self.show_step.setEnabled(bool(chosen and not chosen.damaged))
        added = chosen.added if chosen else 0
        caption = f"Bring Back {count(added, 'Memory', 'Memories')} Added Since"
        self.bring_back.setText(caption)
        self.bring_back.setAccessibleName(caption)
        self.bring_back.setVisible(added > 0)

    def _made_details(self) -> QWidget:
        self._texts = QWidget()
        sides = row(
            column(label("Before", "strong"), self.before, gap=4), column(label("After", "strong"), self.after, gap=4)
        )
        self._texts.setLayout(sides)
        made = QWidget()
        layout = column(self._note, self.memories, self._texts, gap=8)
        layout.setStretchFactor(self.memories, 1)
        layout.setStretchFactor(self._texts, 1)
        made.setLayout(layout)
        return made
