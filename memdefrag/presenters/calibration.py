"""The page of borderline pairs: the same or not? The answers say where to draw the line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from memdefrag.base.wording import count
from memdefrag.presenters.compare import Span, word_diff
from memdefrag.presenters.wording import thousands

if TYPE_CHECKING:
    from memdefrag.analysis.calibrate import Calibration, Question
    from memdefrag.analysis.result import Analysis


@dataclass(frozen=True, slots=True)
class CalibrationState:
    """The page's content.

    Attributes:
        place: which pair of how many, in words.
        one, other: the two texts, each with what only it says marked; empty once all are answered.
        differs_in: what tells them apart, in words; empty where no rule sees it.
        outcome: the line that follows from the answers so far, and what is expected of it.
        answered: how many were answered; without one there is nothing to use.
    """

    place: str = ""
    one: tuple[Span, ...] = ()
    other: tuple[Span, ...] = ()
    differs_in: str = ""
    outcome: str = ""
    answered: int = 0
    can_go_back: bool = False

    @property
    def asks(self) -> bool:
        """Whether there is a pair to be judged."""
        return bool(self.one or self.other)


class CalibrationView(Protocol):
    def update_state(self, state: CalibrationState) -> None: ...


class CalibrationPresenter:
    """Asks about one pair after the other; any of them may be skipped or taken back.

    Args:
        use: called with the calibration the person wants to work with.
        leave: called to go back without one.
    """

    def __init__(
        self,
        make_view: Callable[[CalibrationPresenter], CalibrationView],
        use: Callable[[Calibration], None],
        leave: Callable[[], None],
    ) -> None:
        self._use, self.leave = use, leave
        self._found: Analysis | None = None
        self._questions: list[Question] = []
        self._said: list[bool | None] = []
        self._fitted: Calibration | None = None
        self.state = CalibrationState()
        self._view = make_view(self)

    def show(self, found: Analysis) -> None:
        """Begin anew, with the pairs of an analysis."""
        from memdefrag.analysis.calibrate import questions

        self._found, self._questions, self._said = found, questions(found), []
        self._refresh()

    def same(self) -> None:
        """The two say the same."""
        self._answer(True)

    def different(self) -> None:
        """The two do not say the same."""
        self._answer(False)

    def skip(self) -> None:
        """Hard to say."""
        self._answer(None)

    def go_back(self) -> None:
        """Ask about the last pair again."""
        if self._said:
            self._said.pop()
            self._refresh()

    def use(self) -> None:
        """Draw the line where the answers say."""
        if self._fitted is not None and self.state.answered:
            self._use(self._fitted)

    def _answer(self, said: bool | None) -> None:
        if len(self._said) < len(self._questions):
            self._said.append(said)
            self._refresh()

    def _refresh(self) -> None:
        from memdefrag.analysis.calibrate import Answer, calibrate

        assert self._found is not None
        answers = [
            Answer(question.score, said)
            for question, said in zip(self._questions, self._said, strict=False)
            if said is not None
        ]
        self._fitted = calibrate(self._found, answers)
        at, total = len(self._said), len(self._questions)
        one, other, differs_in = self._pair(at) if at < total else ((), (), "")
        self._show(
            CalibrationState(
                place=f"Pair {at + 1} of {total}" if at < total else _ended(total),
                one=one,
                other=other,
                differs_in=differs_in,
                outcome=outcome(self._fitted) if answers else "",
                answered=len(answers),
                can_go_back=at > 0,
            )
        )

    def _pair(self, at: int) -> tuple[tuple[Span, ...], tuple[Span, ...], str]:
        assert self._found is not None
        first, second = self._questions[at].members
        one, other = word_diff(self._found.records[first].text or "", self._found.records[second].text or "")
        return one, other, "; ".join(self._found.differs_in(first, second))

    def _show(self, state: CalibrationState) -> None:
        self.state = state
        self._view.update_state(state)


def outcome(fitted: Calibration) -> str:
    """A calibration in words."""
    if not fitted.suggested:
        return f"Nothing in this store would be suggested: from {fitted.threshold:.2f} on there is no pair."
    return (
        f"From {fitted.threshold:.2f} on, about {fitted.precision:.0%} of what is suggested should be right "
        f"(between {fitted.low:.0%} and {fitted.high:.0%}): {thousands(fitted.suggested)} pairs of memories."
    )


def _ended(total: int) -> str:
    return f"That was all: {count(total, 'pair')}." if total else "There are no borderline pairs in this store."
