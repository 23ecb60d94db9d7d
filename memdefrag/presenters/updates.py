"""Memories that are alike but contradict each other: perhaps the newer one replaces the older one.

Each is decided by itself; nothing here is ever done for many at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from memdefrag.base.errors import MemdefragError
from memdefrag.base.wording import day
from memdefrag.presenters.decisions import Action, Choice
from memdefrag.presenters.review import ReviewPresenter
from memdefrag.presenters.tasks import Runner

if TYPE_CHECKING:
    from memdefrag.analysis.result import Conflict

MOST_SHOWN = 5_000
_SAID = {Action.MERGE: "new replaces old", Action.APART: "both stay", Action.LEAVE: ""}


@dataclass(frozen=True, slots=True)
class UpdateRow:
    """A pair: the older memory, the newer one, what differs, and what was decided."""

    old: int
    new: int
    old_text: str
    new_text: str
    differs_in: str
    dates: str
    decided: str


@dataclass(frozen=True, slots=True)
class UpdatesState:
    rows: tuple[UpdateRow, ...] = ()
    row: int = -1
    looking: bool = False
    notice: str = ""


class UpdatesView(Protocol):
    def update_updates(self, state: UpdatesState) -> None: ...


class UpdatesPresenter:
    """The list of possible updates at the review's threshold."""

    def __init__(
        self,
        make_view: Callable[[UpdatesPresenter], UpdatesView],
        runner: Runner,
        review: ReviewPresenter,
        failed: Callable[[MemdefragError], None],
    ) -> None:
        self._runner, self._review, self._failed = runner, review, failed
        self.state = UpdatesState()
        self._view = make_view(self)

    def refresh(self) -> None:
        """List the pairs of the present threshold."""
        data, threshold = self._review.data, self._review.state.threshold
        if data is None or self.state.looking:
            return
        self._show(replace(self.state, looking=True))

        def found(conflicts: list[Conflict]) -> None:
            self._show(replace(self.state, looking=False))
            if threshold != self._review.state.threshold:
                self.refresh()
            else:
                self._list(conflicts)

        self._runner.run(lambda _: data.analysis.conflicts(threshold), found, self._could_not)

    def select(self, row: int) -> None:
        if row != self.state.row:
            self._show(replace(self.state, row=row, notice=""))

    def keep_both(self) -> None:
        """They are two different facts."""
        self._decide(Action.APART)

    def replace_old(self) -> None:
        """The newer memory holds; the older one disappears into it."""
        self._decide(Action.MERGE)

    def undecide(self) -> None:
        """Neither was said."""
        self._decide(Action.LEAVE)

    def _decide(self, action: Action) -> None:
        if not 0 <= self.state.row < len(self.state.rows) or self._review.data is None:
            return
        row = self.state.rows[self.state.row]
        text = self._review.data.analysis.records[row.new].text
        choice = Choice(frozenset((row.old, row.new)), action, row.new, text=text, update=True)
        notice = self._review.decide_update(choice)
        if notice:
            self._show(replace(self.state, notice=notice))
            return
        rows = list(self.state.rows)
        rows[self.state.row] = replace(row, decided=_SAID[action])
        following = min(self.state.row + (action is not Action.LEAVE), len(rows) - 1)
        self._show(replace(self.state, rows=tuple(rows), row=following, notice=""))

    def _list(self, conflicts: list[Conflict]) -> None:
        assert self._review.data is not None
        records = self._review.data.analysis.records
        rows = []
        for conflict in conflicts[:MOST_SHOWN]:
            new, old = conflict.members
            said = self._review.decisions.get(frozenset(conflict.members))
            dates = " → ".join(day(records[member].updated or records[member].created) or "?" for member in (old, new))
            rows.append(
                UpdateRow(
                    old,
                    new,
                    records[old].text or "",
                    records[new].text or "",
                    "; ".join(conflict.differs_in),
                    dates,
                    _SAID[said.action] if said else "",
                )
            )
        notice = f"The newest {MOST_SHOWN:,} of {len(conflicts):,} are shown." if len(conflicts) > MOST_SHOWN else ""
        self._show(UpdatesState(tuple(rows), 0 if rows else -1, notice=notice))

    def _could_not(self, error: MemdefragError) -> None:
        self._show(replace(self.state, looking=False))
        self._failed(error)

    def _show(self, state: UpdatesState) -> None:
        self.state = state
        self._view.update_updates(state)
