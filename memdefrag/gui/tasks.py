"""Runs the presenters' tasks in threads; whatever comes of them arrives in the window's thread."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, Qt, QThreadPool, QTimer, Signal

from memdefrag.base.errors import Cancelled, MemdefragError
from memdefrag.base.progress import REPORTS_PER_SECOND, Cancel, Progress, Tick
from memdefrag.presenters.tasks import Failed, Task, Ticked, as_memdefrag_error

THREADS = 4


@dataclass(eq=False)
class _Job:
    task: Task[Any]
    done: Callable[[Any], None]
    failed: Failed
    ticked: Ticked | None
    lane: str
    cancel: Cancel = field(default_factory=Cancel)
    newest: Tick | None = None
    told: Tick | None = None


class Tasks(QObject):
    """A `presenters.tasks.Runner` over a pool of threads.

    Jobs of one lane run one after another; ticks reach the presenter at most ten times a second.
    """

    idle = Signal()
    """The last job has ended after `stop`."""
    _ended = Signal(object, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(THREADS)
        self._jobs: list[_Job] = []
        self._waiting: dict[str, deque[_Job]] = defaultdict(deque)
        self._timers: set[QTimer] = set()
        self._stopped = False
        self._clock = QTimer(self)
        self._clock.setInterval(1000 // REPORTS_PER_SECOND)
        self._clock.timeout.connect(self._tell)
        self._ended.connect(self._finish, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return bool(self._jobs)

    def run(
        self,
        task: Task[Any],
        done: Callable[[Any], None],
        failed: Failed,
        ticked: Ticked | None = None,
        *,
        lane: str = "",
    ) -> Cancel:
        job = _Job(task, done, failed, ticked, lane)
        if self._stopped:
            job.cancel.set()
        elif lane and any(other.lane == lane for other in self._jobs):
            self._waiting[lane].append(job)
        else:
            self._start(job)
        return job.cancel

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        if self._stopped:
            return
        timer = QTimer(self)
        timer.setSingleShot(True)

        def due() -> None:
            self._timers.discard(timer)
            timer.deleteLater()
            call()

        timer.timeout.connect(due)
        self._timers.add(timer)
        timer.start(round(seconds * 1000))

    def stop(self) -> None:
        """Ask every job to stop and start no more. What cannot be interrupted runs to its end; then `idle`."""
        self._stopped = True
        self._waiting.clear()
        for timer in self._timers:
            timer.stop()
            timer.deleteLater()
        self._timers.clear()
        for job in self._jobs:
            job.cancel.set()

    def _start(self, job: _Job) -> None:
        self._jobs.append(job)
        self._clock.start()
        self._pool.start(lambda: self._work(job))

    def _work(self, job: _Job) -> None:
        """In the thread of the pool."""

        def listen(tick: Tick) -> None:
            job.newest = tick

        result, error = None, None
        try:
            if job.cancel.is_set:
                raise Cancelled
            result = job.task(Progress(listen, job.cancel))
        except BaseException as caught:
            error = as_memdefrag_error(caught)
        self._ended.emit(job, result, error)

    def _finish(self, job: _Job, result: object, error: MemdefragError | None) -> None:
        self._jobs.remove(job)
        if self._waiting.get(job.lane):
            self._start(self._waiting[job.lane].popleft())
        if not self._jobs:
            self._clock.stop()
        if self._stopped:
            if not self._jobs:
                self._pool.waitForDone()
                self.idle.emit()
            return
        if error is None:
            job.done(result)
        else:
            job.failed(error)

    def _tell(self) -> None:
        for job in list(self._jobs):
            if job.ticked and job.newest is not None and job.newest is not job.told:
                job.told = job.newest
                job.ticked(job.newest)
