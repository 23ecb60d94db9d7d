"""What the store that was compared with holds already: each memory of this store, and what comes nearest to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from memdefrag.base.errors import MemdefragError
from memdefrag.presenters.review import ReviewPresenter
from memdefrag.presenters.tasks import Runner
from memdefrag.presenters.wording import one_line, thousands

if TYPE_CHECKING:
    from memdefrag.analysis.known import Known

MOST_SHOWN = 5_000
ALL = ""
_LINE = 160
_WORDS = {
    "same": "there word for word",
    "sure": "surely there",
    "likely": "likely there",
    "contradicts": "contradicting",
    "new": "new",
}
"""By the values of `analysis.known.Standing`."""


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A memory, what the other store says of it, and the one there that comes nearest (None: nothing is alike)."""

    member: int
    standing: str
    line: str
    partner: int | None
    nearest: str
    score: str


@dataclass(frozen=True, slots=True)
class KnownState:
    """The panel's content.

    Attributes:
        summary: how many memories there are of each standing.
        choices: which rows may be shown: a key, and words with a count. `chosen` is one of the keys.
        row: the current one, -1 for none.
        notice: that not all are shown; empty mostly.
    """

    summary: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    chosen: str = ALL
    rows: tuple[KnownRow, ...] = ()
    row: int = -1
    notice: str = ""
    looking: bool = False


class KnownView(Protocol):
    def update_known(self, state: KnownState) -> None: ...


class KnownPresenter:
    """The list at the review's threshold; nothing in it can be decided."""

    def __init__(
        self,
        make_view: Callable[[KnownPresenter], KnownView],
        runner: Runner,
        review: ReviewPresenter,
        failed: Callable[[MemdefragError], None],
    ) -> None:
        self._runner, self._review, self._failed = runner, review, failed
        self._listed: list[Known] = []
        self.state = KnownState()
        self._view = make_view(self)

    def refresh(self) -> None:
        """List what holds at the present threshold."""
        from memdefrag.analysis.known import known

        data, threshold = self._review.data, self._review.state.threshold
        if data is None or not self._review.looking_only or self.state.looking:
            return
        self._show(replace(self.state, looking=True))

        def found(listed: list[Known]) -> None:
            self._show(replace(self.state, looking=False))
            if data is not self._review.data or threshold != self._review.state.threshold:
                self.refresh()
            else:
                self._listed = listed
                self.choose(self.state.chosen)

        self._runner.run(lambda _: known(data.analysis, threshold), found, self._could_not)

    def choose(self, standing: str) -> None:
        """Show the memories of one standing, or all."""
        chosen = [each for each in self._listed if standing in (ALL, each.standing.value)]
        rows = tuple(map(self._row, chosen[:MOST_SHOWN]))
        notice = f"The first {MOST_SHOWN:,} of {len(chosen):,} are shown." if len(chosen) > MOST_SHOWN else ""
        choices = _choices(self._listed)
        summary = " · ".join(words for _, words in choices[1:])
        self._show(KnownState(summary, choices, standing, rows, 0 if rows else -1, notice))

    def select(self, row: int) -> None:
        if row != self.state.row:
            self._show(replace(self.state, row=row))

    def _row(self, each: Known) -> KnownRow:
        assert self._review.data is not None
        records = self._review.data.analysis.records
        nearest = "" if each.partner is None else one_line(records[each.partner].text or "(no text)", _LINE)
        return KnownRow(
            each.member,
            _WORDS[each.standing.value],
            one_line(records[each.member].text or "(no text)", _LINE),
            each.partner,
            nearest,
            "" if each.score is None else f"{each.score:.2f}",
        )

    def _could_not(self, error: MemdefragError) -> None:
        self._show(replace(self.state, looking=False))
        self._failed(error)

    def _show(self, state: KnownState) -> None:
        self.state = state
        self._view.update_known(state)


def _choices(listed: Sequence[Known]) -> tuple[tuple[str, str], ...]:
    from memdefrag.analysis.known import counts

    each = [(standing.value, f"{thousands(n)} {_WORDS[standing.value]}") for standing, n in counts(listed).items()]
    return ((ALL, f"all {thousands(len(listed))}"), *each)
