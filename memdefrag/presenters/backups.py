"""The page of backups: make, verify, restore, look inside, carry away and take in, clean up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from memdefrag.base.errors import BackupDamaged, MemdefragError
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.base.wording import count, size
from memdefrag.presenters import shelf
from memdefrag.presenters.asking import Ask, Question
from memdefrag.presenters.logged import LoggedRunner
from memdefrag.presenters.shelf import BackupRow, Shelf
from memdefrag.presenters.tasks import JobProgress, Task, job_progress

if TYPE_CHECKING:
    from memdefrag.engine.backups.retention import PruneReport

T = TypeVar("T")
EMPTY = Shelf()


@dataclass(frozen=True, slots=True)
class BackupsState:
    """The page's content.

    Attributes:
        target: address of the store that Back Up Now would back up; empty: there is none.
        message: how the last thing that was done here ended.
    """

    shelf: Shelf = EMPTY
    selected: int = -1
    target: str = ""
    job: JobProgress | None = None
    message: str = ""

    @property
    def chosen(self) -> BackupRow | None:
        return self.shelf.rows[self.selected] if 0 <= self.selected < len(self.shelf.rows) else None


class BackupsView(Protocol):
    def update_state(self, state: BackupsState) -> None: ...


class BackupsPresenter:
    """Lists backups and works with the selected one.

    Args:
        restore: called with the id of a backup whose whole store is to be put back.
        look_inside: called with the id of a backup whose memories are to be seen.
    """

    def __init__(
        self,
        make_view: Callable[[BackupsPresenter], BackupsView],
        runner: LoggedRunner,
        restore: Callable[[str], None],
        look_inside: Callable[[str], None],
        ask: Ask,
        failed: Callable[[MemdefragError], None],
    ) -> None:
        self._runner, self._restore, self._look_inside = runner, restore, look_inside
        self._ask, self._failed = ask, failed
        self._open_store = ""
        self._cancel = Cancel()
        self.state = BackupsState()
        self._view = make_view(self)

    def show(self, open_store: str) -> None:
        """Come to the page; `open_store` is the address of the store that is open, if one is."""
        self._open_store = open_store
        self._show(replace(self.state, message=""))
        self.refresh()

    def refresh(self) -> None:
        """List what there is."""
        self._runner.run(lambda _: shelf.look(), self._listed, self._failed)

    def select(self, number: int) -> None:
        if number != self.state.selected:
            self._show(replace(self.state, selected=number))

    def back_up(self) -> None:
        """Back up the store that is open, else the one of the selected backup; also while it is in use."""
        target = self.state.target
        if target:
            self._start(f"Backing up {target}", lambda progress: shelf.back_up(target, progress), newest=True)

    def verify(self, *, deep: bool = False) -> None:
        """Read the backup's every byte; `deep` also restores it into a scratch folder and compares all memories."""
        if row := self.state.chosen:
            self._start(f"Verifying backup {row.id}", lambda progress: shelf.verify(row.id, deep, progress))

    def restore(self) -> None:
        """Put the whole store back; what that would do is said and asked first."""
        if row := self.state.chosen:
            self._restore(row.id)

    def look_inside(self) -> None:
        """See the backup's memories."""
        if row := self.state.chosen:
            self._look_inside(row.id)

    def restore_to(self, folder: str) -> None:
        """Unpack the backup to a new place."""
        if (row := self.state.chosen) and folder:
            what = f"Restoring backup {row.id} to {folder}"
            self._start(what, lambda progress: shelf.restore_to(row.id, Path(folder), progress))

    def export(self, file: str) -> None:
        """Write the backup into one new file."""
        if (row := self.state.chosen) and file:
            what = f"Exporting backup {row.id} to {file}"
            self._start(what, lambda progress: shelf.export(row.id, Path(file), progress))

    def import_(self, file: str) -> None:
        """Take a backup in from a file."""
        if file:
            self._start(f"Importing {file}", lambda progress: shelf.take_in(Path(file), progress), newest=True)

    def clean_up(self) -> None:
        """Say which backups are no longer needed; they go when the person agrees."""
        from memdefrag.engine.backups.retention import prune

        self._run("Looking for backups that are not needed", lambda _: prune(dry_run=True), self._could_go)

    def stop(self) -> None:
        """Stop what is under way."""
        self._cancel.set()

    def _could_go(self, report: PruneReport) -> None:
        from memdefrag.engine.backups.retention import prune

        self._show(replace(self.state, job=None))
        if not report.removed:
            self._show(replace(self.state, message=f"Nothing to clean up: {_all_needed(len(report.kept))}."))
            return
        many = count(len(report.removed), "backup")
        question = Question(
            f"Remove {many} and free {size(report.freed)}? {count(len(report.kept), 'backup')} would stay.",
            f"Remove {many}",
            tuple(shelf.line(each) for each in report.removed),
            "Keep Them",
        )

        agreed = {each.id for each in report.removed}

        def remove(progress: Progress) -> str:
            if {each.id for each in prune(dry_run=True).removed} - agreed:
                return "Nothing was removed: meanwhile other backups could go, too. Clean Up shows them."
            done = prune(progress=progress)
            return f"{count(len(done.removed), 'backup')} removed, {size(done.freed)} freed."

        self._ask(question, lambda: self._start(f"Removing {many}", remove))

    def _start(self, what: str, task: Task[str], *, newest: bool = False) -> None:
        """Do something that is written down; what it says of its end becomes the message.

        Args:
            newest: select the newest backup afterwards; it is a new one.
        """

        def done(message: str) -> None:
            self._show(replace(self.state, job=None, message=message, selected=0 if newest else self.state.selected))
            self.refresh()

        self._run(what, self._runner.leaving(what, task), done)

    def _run(self, what: str, task: Task[T], done: Callable[[T], None]) -> None:
        if self.state.job is not None:
            return

        def ticked(tick: Tick) -> None:
            self._show(replace(self.state, job=job_progress(what, tick, stopping=self._cancel.is_set)))

        def failed(error: MemdefragError) -> None:
            self._show(replace(self.state, job=None))
            if isinstance(error, BackupDamaged):
                self.refresh()
            self._failed(error)

        self._show(replace(self.state, job=JobProgress(what), message=""))
        self._cancel = self._runner.run(task, done, failed, ticked)

    def _listed(self, found: Shelf) -> None:
        chosen = self.state.chosen
        ids = [row.id for row in found.rows]
        stays = chosen is not None and self.state.selected > 0 and chosen.id in ids
        selected = ids.index(chosen.id) if stays and chosen else 0 if ids else -1
        self._show(replace(self.state, shelf=found, selected=selected))

    def _show(self, state: BackupsState) -> None:
        chosen = state.chosen
        self.state = replace(state, target=self._open_store or (chosen.address if chosen else ""))
        self._view.update_state(self.state)


def _all_needed(kept: int) -> str:
    return "there are no backups" if not kept else f"{'the one backup is' if kept == 1 else f'all {kept} are'} needed"
