"""The migration page's work, done in front of the person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from memdefrag.base.errors import ConfirmationNeeded, MemdefragError
from memdefrag.presenters.asking import Ask, Question
from memdefrag.presenters.tasks import Failed, Task

if TYPE_CHECKING:
    from memdefrag.engine.migrate.run import Means
    from memdefrag.presenters.analysis import WorkPresenter
    from memdefrag.presenters.logged import LoggedRunner

T = TypeVar("T")
NOTHING_CHANGED = "Nothing is changed yet. Cancel whenever you like."


@dataclass(frozen=True)
class Stage:
    """What the page's presenters share.

    Attributes:
        begin: called before work starts; shows its page and returns the way back to where the person was.
        failed: called with a failure, once the person is back.
    """

    work: WorkPresenter
    runner: LoggedRunner
    ask: Ask
    begin: Callable[[], Callable[[], None]]
    failed: Failed

    def run(
        self,
        title: str,
        task: Task[T],
        done: Callable[[T], None],
        failed: Failed | None = None,
        *,
        lane: str = "",
        note: str = NOTHING_CHANGED,
    ) -> None:
        """Do one thing, unless another one is under way, and come back.

        Args:
            failed: called instead of the usual one.
        """
        if self.work.running:
            return
        back = self.begin()

        def over(result: T) -> None:
            back()
            done(result)

        def not_done(error: MemdefragError) -> None:
            back()
            (failed or self.failed)(error)

        self.work.start(title, task, over, not_done, lane=lane, note=note)

    def agreed(self, error: MemdefragError, means: Means, go_on: Callable[[Means], None]) -> None:
        """Ask for the agreement that the engine wants, if it wants one; else say what failed."""
        if isinstance(error, ConfirmationNeeded):
            question = Question(f"{error.message} Go on all the same?", "Go On")
            self.ask(question, lambda: go_on(agreeing(error, means)))
        else:
            self.failed(error)


def agreeing(error: MemdefragError, means: Means) -> Means:
    """The same means, with the agreement that was asked for."""
    from memdefrag.engine.compare import LongEmbedding

    if isinstance(error, LongEmbedding):
        return replace(means, model=replace(means.model, long_work=True))
    return replace(means, confirm_shrink=True)
