"""What is done in the window is written down as the command line writes it down."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TypeVar

from memdefrag.base.errors import InternalError, MemdefragError
from memdefrag.base.logs import JobLog
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.presenters.tasks import Failed, Runner, Task, Ticked

T = TypeVar("T")


class LoggedRunner:
    """A runner that notes the phases of its tasks and how they fail.

    The log gets its file by the first task that is to leave one (`leaving`), or by the first fault of ours.
    """

    def __init__(self, runner: Runner, log: JobLog) -> None:
        self._runner, self.log = runner, log

    def run(
        self,
        task: Task[T],
        done: Callable[[T], None],
        failed: Failed,
        ticked: Ticked | None = None,
        *,
        lane: str = "",
    ) -> Cancel:
        phases = [""]

        def listen(tick: Tick) -> None:
            if tick.phase != phases[-1]:
                phases.append(tick.phase)
                self.log.write(f"phase: {tick.phase}" + (f" ({tick.total})" if tick.total is not None else ""))

        def noted(error: MemdefragError) -> None:
            self.note(error)
            failed(error)

        return self._runner.run(lambda progress: task(progress.told_also(listen)), done, noted, ticked, lane=lane)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self._runner.later(seconds, call)

    def leaving(self, what: str, task: Task[T]) -> Task[T]:
        """The same task, with `what` written down before it, and its end after it."""

        def work(progress: Progress) -> T:
            self.log.keep()
            self.log.write(what)
            result = task(progress)
            self.log.write(f"done: {what}")
            return result

        return work

    def note(self, error: MemdefragError) -> None:
        """Write down a failure; a fault of ours with its whole trace, and in a file whatever it was."""
        if isinstance(error, InternalError):
            for line in "".join(traceback.format_exception(error)).splitlines():
                self.log.write(line)
            try:
                self.log.keep()
            except MemdefragError as trouble:
                self.log.write(trouble.message)
        self.log.write(f"failed: {error.code}: {error.message}")
