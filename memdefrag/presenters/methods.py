"""The page of methods side by side: what each would put together, beside what the combined score does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from memdefrag.base.errors import MemdefragError
from memdefrag.presenters.looking import METHODS
from memdefrag.presenters.tasks import Runner
from memdefrag.presenters.wording import thousands

if TYPE_CHECKING:
    from memdefrag.analysis.methods import MethodRow
    from memdefrag.analysis.result import Analysis

COLUMNS = ("Method", "Groups", "Memories that would go", "Agrees with combined", "Kept apart")
EXPLANATION = (
    "Each method sees the same pairs, at the same line. Agrees: how many of the pairs that it puts together the "
    "combined method puts together, too. Kept apart: pairs that are alike to it and contradict each other; no method "
    "merges them."
)


@dataclass(frozen=True, slots=True)
class MethodsState:
    """The page's content: one row of `COLUMNS` per method."""

    title: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


class MethodsView(Protocol):
    def update_state(self, state: MethodsState) -> None: ...


class MethodsPresenter:
    """Compares all methods on one analysis.

    Args:
        leave: called to go back.
    """

    def __init__(
        self,
        make_view: Callable[[MethodsPresenter], MethodsView],
        runner: Runner,
        leave: Callable[[], None],
        failed: Callable[[MemdefragError], None],
    ) -> None:
        self._runner, self.leave, self._failed = runner, leave, failed
        self._visit = 0
        self.state = MethodsState()
        self._view = make_view(self)

    def show(self, found: Analysis, threshold: float) -> None:
        """Compare the methods at a threshold, from a combined analysis."""
        from memdefrag.analysis.methods import compared

        self._visit += 1
        visit = self._visit
        self._show(MethodsState("Comparing …"))

        def done(rows: list[MethodRow]) -> None:
            if visit == self._visit:
                self._show(MethodsState(f"From {threshold:.2f} on:", tuple(map(_cells, rows))))

        self._runner.run(lambda progress: compared(found, threshold, progress), done, self._could_not)

    def _could_not(self, error: MemdefragError) -> None:
        self._show(replace(self.state, title=""))
        self._failed(error)

    def _show(self, state: MethodsState) -> None:
        self.state = state
        self._view.update_state(state)


def _cells(row: MethodRow) -> tuple[str, ...]:
    words = METHODS[row.method.value]
    agrees = f"{thousands(row.shared)} of {thousands(row.together)}"
    share = f" ({row.shared / row.together:.0%})" if row.together else ""
    return (
        words[0].upper() + words[1:],
        thousands(row.groups),
        thousands(row.redundant),
        agrees + share,
        thousands(row.barred),
    )
