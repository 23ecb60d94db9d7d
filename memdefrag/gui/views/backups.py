"""The page of backups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QAction, QDesktopServices
from PySide6.QtWidgets import QMenu, QWidget

from memdefrag.gui.models.texts import text_table
from memdefrag.gui.views.job import JobPanel
from memdefrag.gui.widgets import button, column, label, row
from memdefrag.presenters.backups import BackupsPresenter, BackupsState
from memdefrag.presenters.shelf import BackupRow
from memdefrag.presenters.wording import named_place

_COLUMNS = {"Made": 130, "Why": 150, "Store": 0, "Memories": 84, "Size": 76, "Holds": 150, "Found whole": 130}


class BackupsPage(QWidget):
    """The list, what is wrong with the selected backup, and what can be done with it.

    Args:
        ask: asks for a path, by what is wanted and a first proposal; empty when the person gave up.
    """

    def __init__(
        self,
        presenter: BackupsPresenter,
        ask: Callable[[str, str], str],
        leave: Callable[[], None],
        show_changes: Callable[[], None],
    ) -> None:
        super().__init__()
        self._presenter, self._ask = presenter, ask
        self._state = BackupsState()
        self.backups, self._rows = text_table("Backups", _COLUMNS)
        self.backups.selectionModel().currentRowChanged.connect(lambda now, _: presenter.select(now.row()))
        self._room, self._hint = (label("", "muted", wrap=True, selectable=True) for _ in range(2))
        self._message = label("", "strong", wrap=True, selectable=True)
        self._warning = label("", "warning", wrap=True)
        self._damage = label("", "danger", wrap=True, selectable=True)
        self.back_up = button("Back Up Now", presenter.back_up, "primary")
        self.verify = button("Verify", presenter.verify)
        self.inside = button("Look Inside", presenter.look_inside)
        self.restore = button("Restore…", presenter.restore)
        self.more = button("More", lambda: None, name="More that can be done with backups")
        self.changes = button("Changes", show_changes, name="Show the changes made")
        self.back = button("Back", leave)
        self.panel = JobPanel(presenter.stop)
        self.more.setMenu(self._menu())
        layout = column(
            row(label("Backups", "title"), None, self.changes, self.back),
            self._room,
            self._warning,
            self.backups,
            self._damage,
            row(self.back_up, self.verify, self.inside, self.restore, self.more, None),
            self.panel,
            self._message,
            self._hint,
        )
        layout.setContentsMargins(28, 24, 28, 24)
        layout.setStretchFactor(self.backups, 1)
        self.setLayout(layout)
        self.first_focus = self.backups

    def update_state(self, state: BackupsState) -> None:
        before, self._state = self._state, state
        if state.shelf.rows != before.shelf.rows:
            damaged = frozenset(number for number, each in enumerate(state.shelf.rows) if each.damage)
            self._rows.fill([_cells(each) for each in state.shelf.rows], damaged)
        if state.selected >= 0 and self.backups.currentIndex().row() != state.selected:
            self.backups.selectRow(state.selected)
        room = f"All backups take {state.shelf.room}." if state.shelf.room else ""
        self._room.setText(room if state.shelf.rows else f"There are no backups yet. {room}")
        damage = state.chosen.damage if state.chosen else ""
        for shown, text in (
            (self._warning, state.shelf.warning),
            (self._damage, f"DAMAGED: {damage}" if damage else ""),
            (self._message, state.message),
            (self._hint, state.shelf.hint),
        ):
            shown.setText(text)
            shown.setVisible(bool(text))
        self.panel.setVisible(state.job is not None)
        if state.job:
            self.panel.show_job(state.job)
        self._enable(state)

    def _enable(self, state: BackupsState) -> None:
        idle = state.job is None
        self.back_up.setEnabled(idle and bool(state.target))
        whose = Path(state.target.partition(":")[2]).name if state.target else "a store"
        self.back_up.setAccessibleName(f"Back up {whose} now")
        readable = bool(state.chosen and state.chosen.address)
        for action in (self.verify, self.inside, self.restore, *self._of_one):
            action.setEnabled(idle and readable)
        for action in (self.import_, self.clean_up):
            action.setEnabled(idle)
        self.open_folder.setEnabled(state.chosen is not None)

    def _menu(self) -> QMenu:
        menu = QMenu(self)

        def add(text: str, call: Callable[[], object]) -> QAction:
            action = menu.addAction(text)
            action.triggered.connect(lambda _=False: call())
            return action

        presenter = self._presenter
        self.drill = add("Verify by &Restoring a Copy", lambda: presenter.verify(deep=True))
        self.restore_to = add("Restore to &Folder…", lambda: presenter.restore_to(self._path("unpack")))
        self.export = add("&Export…", lambda: presenter.export(self._path("export")))
        self.import_ = add("&Import…", lambda: presenter.import_(self._ask("import", "")))
        menu.addSeparator()
        self.clean_up = add("&Clean Up…", presenter.clean_up)
        self.open_folder = add("&Open the Backup's Folder", self._open_folder)
        self._of_one = (self.drill, self.restore_to, self.export)
        return menu

    def _path(self, wanted: str) -> str:
        chosen = self._state.chosen
        if chosen is None:
            return ""
        name = f"{chosen.id}.tar.zst" if wanted == "export" else f"{Path(chosen.store).stem} {chosen.id[:8]}"
        return self._ask(wanted, name)

    def _open_folder(self) -> None:
        if self._state.chosen:
            QDesktopServices.openUrl(QUrl.fromLocalFile(self._state.chosen.folder))


def _cells(row: BackupRow) -> tuple[str, ...]:
    checked = "DAMAGED" if row.damage else row.checked
    return (row.created, row.reason, named_place(row.store), row.memories, row.size, row.holds, checked)
