"""The page after a write: what was done, where the backup is, what to start again, and Undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from memdefrag.base.wording import count, size
from memdefrag.presenters.wording import duration, place_of, thousands

if TYPE_CHECKING:
    from memdefrag.model.report import ApplyReport

_TITLES = {
    "optimize": "Optimized",
    "undo": "Undone",
    "redo": "Done again",
    "restore": "Restored",
}
SHOWN_SKIPPED = 200


@dataclass(frozen=True, slots=True)
class ResultState:
    """The page's content.

    Attributes:
        step: what Undo undoes; None where there is nothing to undo.
        added_since: how many memories the change took away that had come since the state it put back.
        problems: steps that were not carried out, and warnings.
        next_steps: what the person should do now.
    """

    title: str
    store: str
    facts: tuple[tuple[str, str], ...]
    step: str | None
    backup_folder: str
    added_since: int = 0
    problems: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()


class ResultView(Protocol):
    def update_state(self, state: ResultState) -> None: ...


class ResultPresenter:
    """Shows a report.

    Args:
        undo, bring_back: called with the id of the step.
        leave: called to go back to the store.
    """

    def __init__(
        self,
        make_view: Callable[[ResultPresenter], ResultView],
        undo: Callable[[str], None],
        bring_back: Callable[[str], None],
        leave: Callable[[], None],
    ) -> None:
        self._undo, self._bring_back = undo, bring_back
        self.leave = leave
        self.state: ResultState | None = None
        self._view = make_view(self)

    def show(self, report: ApplyReport, warning: str = "") -> None:
        """Present a report, and a warning that is not the store's."""
        self.state = result_state(report, warning)
        self._view.update_state(self.state)

    def undo(self) -> None:
        """Take the shown change back."""
        if self.state and self.state.step:
            self._undo(self.state.step)

    def bring_back(self) -> None:
        """Write back the memories that had come since the state that was put back."""
        if self.state and self.state.step and self.state.added_since:
            self._bring_back(self.state.step)


def result_state(report: ApplyReport, warning: str = "") -> ResultState:
    """A report in words."""
    facts = [("Memories", f"{thousands(report.records_before)} before, {thousands(report.records_after)} now")]
    if report.merged:
        facts.append(("Merged", f"{count(report.merged, 'group')} into one memory each"))
    if report.removed:
        facts.append(("Removed", count(report.removed, "memory", "memories")))
    if report.bytes_after is not None:
        facts.append(("Size", f"{size(report.bytes_before)} before, {size(report.bytes_after)} now"))
    if report.output:
        facts.append(("Written to", report.output))
    if report.backup_folder:
        facts.append(("Backup", report.backup_folder))
    facts.append(("Took", duration(report.seconds)))
    skipped = [f"Left as it is: {skip.record} ({skip.reason})" for skip in report.skipped[:SHOWN_SKIPPED]]
    if len(report.skipped) > SHOWN_SKIPPED:
        skipped.append(f"… and {thousands(len(report.skipped) - SHOWN_SKIPPED)} more were left as they are.")
    lost = [f"{what}: {count(number, 'memory', 'memories')}" for what, number in report.losses.items()]
    return ResultState(
        title=_TITLES.get(report.reason, "Done") if report.step or report.output else "Nothing had to be changed",
        store=place_of(report.store),
        facts=tuple(facts),
        step=report.step,
        backup_folder=report.backup_folder or "",
        added_since=report.added_since,
        problems=(*report.warnings, *([warning] if warning else ()), *lost, *skipped),
        next_steps=report.next_steps,
    )
