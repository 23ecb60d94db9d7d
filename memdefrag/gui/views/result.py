"""The page after a write."""

from __future__ import annotations

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from memdefrag.base.wording import count
from memdefrag.gui.widgets import button, card, column, fill_facts, fill_lines, label, row, scrolling
from memdefrag.presenters.result import ResultPresenter, ResultState


class ResultPage(QWidget):
    def __init__(self, presenter: ResultPresenter) -> None:
        super().__init__()
        self._folder = ""
        self._title = label("", "title")
        self._store = label("", "muted", wrap=True, selectable=True)
        self._facts = QGridLayout()
        self._problems, self._next = QVBoxLayout(), QVBoxLayout()
        self._next_card = card(label("What to do now", "heading"), self._next)
        self.undo = button("Undo", presenter.undo, name="Undo this change")
        self.bring_back = button("", presenter.bring_back)
        self.open_folder = button("Open Backup Folder", self._open_folder)
        self.back = button("Back to the Store", presenter.leave, "primary")
        content = column(
            self._title,
            self._store,
            card(self._facts),
            self._problems,
            self._next_card,
            row(self.back, self.undo, self.bring_back, self.open_folder, None),
            gap=14,
        )
        content.addStretch(1)
        self.setLayout(column(scrolling(content)))
        self.first_focus = self.back

    def update_state(self, state: ResultState) -> None:
        self._folder = state.backup_folder
        self._title.setText(state.title)
        self._store.setText(state.store)
        fill_facts(self._facts, state.facts)
        fill_lines(self._problems, state.problems, "warning")
        fill_lines(self._next, [f"{number}.  {line}" for number, line in enumerate(state.next_steps, 1)])
        self._next_card.setVisible(bool(state.next_steps))
        self.undo.setVisible(state.step is not None)
        caption = f"Bring Back {count(state.added_since, 'Memory', 'Memories')} Added Since"
        self.bring_back.setText(caption)
        self.bring_back.setAccessibleName(caption)
        self.bring_back.setVisible(state.step is not None and state.added_since > 0)
        self.open_folder.setVisible(bool(state.backup_folder))

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(self._folder))
