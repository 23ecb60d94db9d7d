"""The page of backups and of changes made: verify, restore, undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from memdefrag.base.errors import BackupDamaged, MemdefragError
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.base.wording import count, size
from memdefrag.model.address import Address, parse
from memdefrag.presenters.tasks import JobProgress, Runner, job_progress
from memdefrag.presenters.wording import thousands, utc_moment

if TYPE_CHECKING:
    from memdefrag.engine.history import HistoryStep

VERIFIED, DAMAGED = "verified", "DAMAGED"


@dataclass(frozen=True, slots=True)
class BackupRow:
    """A backup; `checked` is "", "verified <time>" or "DAMAGED"."""

    id: str
    created: str
    reason: str
    store: str
    memories: str
    size: str
    folder: str
    checked: str = ""


@dataclass(frozen=True, slots=True)
class StepRow:
    """A change that was made. `undoable` is False for what was undone already."""

    id: str
    time: str
    store: str
    what: str
    undoable: bool


@dataclass(frozen=True, slots=True)
class BackupsState:
    """The page's content.

    Attributes:
        only_store: the address whose backups are listed; empty: all.
        question: what the person is asked before a restore, of the backup `asked`.
    """

    backups: tuple[BackupRow, ...] = ()
    steps: tuple[StepRow, ...] = ()
    only_store: str = ""
    folder: str = ""
    job: JobProgress | None = None
    message: str = ""
    question: str = ""
    asked: str = ""


class BackupsView(Protocol):
    def update_state(self, state: BackupsState) -> None: ...


class BackupsPresenter:
    """Lists backups and steps; verifies here, hands restoring and undoing on.

    Args:
        restore: called with a backup's id, after the person agreed.
        undo: called with a step's id.
    """

    def __init__(
        self,
        make_view: Callable[[BackupsPresenter], BackupsView],
        runner: Runner,
        restore: Callable[[str], None],
        undo: Callable[[str], None],
        failed: Callable[[MemdefragError], None],
    ) -> None:
        self._runner, self._restore, self._failed = runner, restore, failed
        self.undo = undo
        self._cancel = Cancel()
        self.state = BackupsState()
        self._view = make_view(self)

    def refresh(self, store: Address | None = None) -> None:
        """List what there is, of one store or of all."""
        self._runner.run(lambda _: listing(store), self._listed, self._failed)

    def verify(self, backup_id: str, *, deep: bool = False) -> None:
        """Read a backup's every byte; `deep` also restores it into a scratch folder and compares all memories."""
        from memdefrag.engine.backups.shelf import find
        from memdefrag.engine.backups.verify import verify

        title = f"Verifying backup {backup_id}"

        def task(progress: Progress) -> str:
            verify(find(backup_id), progress, deep=deep)
            return "Every byte is as it was written" + (
                ", and the restored copy holds the same memories." if deep else "."
            )

        def ticked(tick: Tick) -> None:
            self._show(replace(self.state, job=job_progress(title, tick, stopping=self._cancel.is_set)))

        self._show(replace(self.state, job=JobProgress(title), message="", question=""))
        self._cancel = self._runner.run(task, self._verified, self._not_verified(backup_id), ticked)

    def stop(self) -> None:
        """Stop verifying."""
        self._cancel.set()

    def ask_restore(self, backup_id: str) -> None:
        """Say what a restore means before it is done."""
        row = next((row for row in self.state.backups if row.id == backup_id), None)
        if row:
            question = (
                f"Put {row.store} back as it was on {row.created}, with {row.memories} memories? "
                "All that was changed since then is replaced; the present state is backed up first."
            )
            self._show(replace(self.state, question=question, asked=backup_id, message=""))

    def answer(self, agreed: bool) -> None:
        """The person's answer to the question."""
        asked = self.state.asked
        self._show(replace(self.state, question="", asked=""))
        if agreed and asked:
            self._restore(asked)

    def _listed(self, listed: BackupsState) -> None:
        self._show(replace(listed, message=self.state.message))

    def _verified(self, message: str) -> None:
        self._show(replace(self.state, job=None, message=message))
        self.refresh(parse(self.state.only_store) if self.state.only_store else None)

    def _not_verified(self, backup_id: str) -> Callable[[MemdefragError], None]:
        def failed(error: MemdefragError) -> None:
            rows = self.state.backups
            if isinstance(error, BackupDamaged):
                rows = tuple(replace(row, checked=DAMAGED) if row.id == backup_id else row for row in rows)
            self._show(replace(self.state, job=None, backups=rows))
            self._failed(error)

        return failed

    def _show(self, state: BackupsState) -> None:
        self.state = state
        self._view.update_state(state)


def listing(store: Address | None) -> BackupsState:
    """All readable backups and applied steps, newest first."""
    from memdefrag.base.settings import data_dir
    from memdefrag.engine import catalogue, history
    from memdefrag.engine.backups.shelf import all_backups

    verified = {event["id"]: event["time"] for event in catalogue.events() if event["event"] == "verified"}
    rows = tuple(
        BackupRow(
            id=found.id,
            created=utc_moment(str(found.manifest["created"])),
            reason=str(found.manifest["reason"]),
            store=found.address.partition(":")[2],
            memories=thousands(found.records),
            size=size(found.size),
            folder=str(found.folder),
            checked=f"{VERIFIED} {utc_moment(verified[found.id])}" if found.id in verified else "",
        )
        for found in all_backups(store)
    )
    gone = history.undone(store)
    steps = tuple(
        StepRow(step.id, utc_moment(step.time), step.store.partition(":")[2], _what(step), step.id not in gone)
        for step in history.steps(store)
    )
    return BackupsState(rows, steps, str(store) if store else "", str(data_dir() / "backups"))


def _what(step: HistoryStep) -> str:
    done = [
        count(step.merged, "merge") if step.merged else "",
        f"{count(step.removed, 'memory', 'memories')} removed" if step.removed else "",
        f"{count(step.written, 'memory', 'memories')} written" if step.written else "",
    ]
    return f"{step.reason}: " + (", ".join(part for part in done if part) or "files replaced")
