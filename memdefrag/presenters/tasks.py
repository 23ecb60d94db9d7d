"""How presenters hand long work away: a task, and what follows when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from memdefrag.base.errors import InternalError, MemdefragError
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.presenters.wording import duration, thousands

T = TypeVar("T")
Task = Callable[[Progress], T]
"""Work that reports to, and is stopped by, the progress it is given."""
Failed = Callable[[MemdefragError], None]
Ticked = Callable[[Tick], None]


class Runner(Protocol):
    """Runs tasks away from the window; `done`, `failed` and `ticked` are always called in the window's thread."""

    def run(
        self,
        task: Task[T],
        done: Callable[[T], None],
        failed: Failed,
        ticked: Ticked | None = None,
        *,
        lane: str = "",
    ) -> Cancel:
        """Start a task and return the switch that stops it. Tasks of one lane (a store) run one after another."""
        ...

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once after a while."""
        ...


@dataclass(frozen=True, slots=True)
class JobProgress:
    """A running job in words.

    Attributes:
        share: 0 … 1; None while the end of the phase is not known.
        figures: how many, how fast, how long still.
    """

    title: str
    phase: str = "Starting"
    share: float | None = None
    figures: str = ""
    cancellable: bool = True
    stopping: bool = False


def job_progress(title: str, tick: Tick, *, stopping: bool) -> JobProgress:
    """What a job bar says about a tick."""
    share = min(1.0, tick.done / tick.total) if tick.total else None
    parts = []
    if tick.total:
        parts.append(f"{thousands(tick.done)} of {thousands(tick.total)}")
    elif tick.done:
        parts.append(thousands(tick.done))
    if tick.done and tick.seconds >= 1:
        parts.append(f"{thousands(round(tick.rate))} per second")
    if tick.seconds_left is not None:
        parts.append(f"about {duration(tick.seconds_left)} left")
    if tick.note:
        parts.append(tick.note)
    return JobProgress(title, tick.phase, share, ", ".join(parts), tick.cancellable, stopping)


def as_memdefrag_error(error: BaseException) -> MemdefragError:
    """The error itself where it speaks to a person; else an `InternalError` that was caused by it."""
    if isinstance(error, MemdefragError):
        return error
    ours = InternalError(
        f"Something unexpected happened: {type(error).__name__}: {error}",
        safe="An interrupted write is finished or undone when memdefrag starts the next time.",
    )
    ours.__cause__ = error
    return ours


class DirectRunner:
    """Runs each task at once in the calling thread; delayed calls wait until `elapse` is called. For tests."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def run(
        self,
        task: Task[T],
        done: Callable[[T], None],
        failed: Failed,
        ticked: Ticked | None = None,
        *,
        lane: str = "",
    ) -> Cancel:
        cancel = Cancel()
        try:
            result = task(Progress(ticked, cancel))
        except Exception as error:
            failed(as_memdefrag_error(error))
        else:
            done(result)
        return cancel

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.waiting.append(call)

    def elapse(self) -> None:
        """Make the delayed calls that wait now."""
        calls, self.waiting = self.waiting, []
        for call in calls:
            call()
