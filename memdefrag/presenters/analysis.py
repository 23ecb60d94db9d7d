"""The page of long work: which phase, how far, how long still, and a way to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from memdefrag.base.errors import MemdefragError
from memdefrag.base.progress import Cancel, Tick
from memdefrag.presenters.tasks import JobProgress, Runner, Task, job_progress

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class WorkState:
    """A running job; `phases` are those that are over, `note` says what is safe meanwhile."""

    job: JobProgress
    phases: tuple[str, ...] = ()
    note: str = ""


class WorkView(Protocol):
    def update_state(self, state: WorkState) -> None: ...


class WorkPresenter:
    """Runs one task at a time in front of the person's eyes."""

    def __init__(self, make_view: Callable[[WorkPresenter], WorkView], runner: Runner) -> None:
        self._runner = runner
        self._cancel = Cancel()
        self.running = False
        self.state = WorkState(JobProgress(""))
        self._view = make_view(self)

    def start(
        self,
        title: str,
        task: Task[T],
        done: Callable[[T], None],
        failed: Callable[[MemdefragError], None],
        *,
        lane: str,
        note: str = "",
    ) -> bool:
        """Run `task` and show how it goes; `done` or `failed` follows, also after a stop.

        Returns:
            Whether it is still under way.
        """
        self.running = True
        self._show(WorkState(JobProgress(title), note=note))

        def over(then: Callable[[U], None]) -> Callable[[U], None]:
            def call(outcome: U) -> None:
                self.running = False
                then(outcome)

            return call

        self._cancel = self._runner.run(task, over(done), over(failed), self._ticked, lane=lane)
        return self.running

    def stop(self) -> None:
        """Ask the task to stop; it does at the next place where nothing is half done."""
        if self.running:
            self._cancel.set()
            self._show(replace(self.state, job=replace(self.state.job, stopping=True)))

    def _ticked(self, tick: Tick) -> None:
        job = job_progress(self.state.job.title, tick, stopping=self.state.job.stopping)
        phases = self.state.phases
        if self.state.job.phase not in (tick.phase, JobProgress("").phase):
            phases = (*phases, self.state.job.phase)
        self._show(replace(self.state, job=job, phases=phases))

    def _show(self, state: WorkState) -> None:
        self.state = state
        self._view.update_state(state)
