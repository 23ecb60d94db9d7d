"""Carrying plans out in front of the person: what is asked before, and where it leads."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from memdefrag.base.errors import ConfirmationNeeded, MemdefragError
from memdefrag.base.progress import Progress
from memdefrag.presenters import foresight
from memdefrag.presenters.asking import Ask, Question
from memdefrag.presenters.foresight import Foreseen
from memdefrag.presenters.shelf import room_of_backups
from memdefrag.presenters.tasks import Failed, Task

if TYPE_CHECKING:
    from memdefrag.engine.apply import ApplyOptions
    from memdefrag.model.plan import Plan
    from memdefrag.model.records import Key
    from memdefrag.model.report import ApplyReport
    from memdefrag.presenters.analysis import WorkPresenter
    from memdefrag.presenters.logged import LoggedRunner

UNTIL_THEN = "You can cancel until the result is put in place; what was written until then is taken back."
_TITLES = {"optimize": "Optimizing", "undo": "Undoing", "redo": "Doing it again", "restore": "Restoring"}


class Applied(NamedTuple):
    """What came of a plan, and a warning if the backups take too much room by now."""

    report: ApplyReport
    warning: str


@dataclass(frozen=True)
class Writing:
    """Makes plans, asks, and carries them out in front of the person, one at a time.

    Attributes:
        begin: called before work starts; shows its page and returns the way back to where the person was.
        done: called with the outcome of a plan.
        failed: called with a failure, once the person is back.
    """

    work: WorkPresenter
    runner: LoggedRunner
    ask: Ask
    begin: Callable[[], Callable[[], None]]
    done: Callable[[Applied], None]
    failed: Failed

    def apply(self, plan: Plan, options: ApplyOptions, failed: Failed | None = None) -> None:
        """Carry a plan out.

        Args:
            failed: called instead of the usual one.
        """
        from memdefrag.engine.planning import named_records

        back = self.begin()
        reason = str(plan.settings.get("reason", "write"))

        def task(progress: Progress) -> Applied:
            for line in named_records(plan):
                self.runner.log.write(line)
            return carry_out(plan, options, progress)

        self.work.start(
            _TITLES.get(reason, "Writing"),
            self.runner.leaving(f"{reason} {plan.target}", task),
            self.done,
            _once_back(back, failed or self.failed),
            lane=plan.target,
            note=UNTIL_THEN,
        )

    def undo(self, step_id: str) -> None:
        """Take a step back; if that puts files in the store's place, the person is asked first."""
        self._prepare(lambda progress: foresight.of_undo(step_id, progress))

    def redo(self, step_id: str) -> None:
        """Carry an undone step out again; asked as `undo` is."""
        self._prepare(lambda progress: foresight.of_redo(step_id, progress))

    def bring_back(self, step_id: str) -> None:
        """Write back the memories that a step took away because they had come since the state it put back."""
        self._prepare(lambda progress: foresight.of_bringing_back(step_id, progress))

    def restore(self, backup_id: str) -> None:
        """Put a whole store back as its backup holds it, once the person has agreed."""
        self._prepare(lambda progress: foresight.of_restore(backup_id, progress))

    def restore_some(self, backup_id: str, keys: Collection[Key]) -> None:
        """Write these memories of a backup back into its store."""
        self._prepare(lambda progress: foresight.of_restoring_some(backup_id, keys, progress))

    def _prepare(self, make: Task[Foreseen]) -> None:
        """Make a plan, ask what there is to ask, and carry it out."""
        back = self.begin()

        def made(found: Foreseen) -> None:
            back()
            if found.question is None:
                self._apply_made(found.plan)
            else:
                self.ask(found.question, lambda: self._apply_made(found.plan))

        title, note = "Looking at what this would change", "Nothing is changed yet."
        self.work.start(title, make, made, _once_back(back, self.failed), lane="", note=note)

    def _apply_made(self, plan: Plan, *, agreed: bool = False) -> None:
        """Carry out a plan that no page shows; what the engine wants an agreement to is asked."""
        from memdefrag.engine.apply import ApplyOptions

        def failed(error: MemdefragError) -> None:
            if isinstance(error, ConfirmationNeeded) and not agreed:
                question = Question(f"{error.message} Go on all the same?", "Go On")
                self.ask(question, lambda: self._apply_made(plan, agreed=True))
            else:
                self.failed(error)

        self.apply(plan, ApplyOptions(confirm_shrink=agreed), failed)


def carry_out(plan: Plan, options: ApplyOptions, progress: Progress) -> Applied:
    """Apply a plan, and look at the room that all backups take with the new one."""
    from memdefrag.engine.apply import apply
    from memdefrag.engine.embedding import with_model

    report = apply(plan, replace(options, embed=with_model(progress)), progress)
    return Applied(report, room_of_backups()[1])


def _once_back(back: Callable[[], None], failed: Failed) -> Failed:
    def call(error: MemdefragError) -> None:
        back()
        failed(error)

    return call
