"""Progress and cancelling as plain objects that are passed down to the work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from memdefrag.base.errors import Cancelled

REPORTS_PER_SECOND = 10
LOOK_SECONDS = 0.1
"""How long a wait goes on after the person stopped it, at most."""


@dataclass(frozen=True)
class Tick:
    """One report: ``done`` of ``total`` units of ``phase`` (total None: not known). `note`: why it stands still."""

    phase: str
    done: int
    total: int | None
    seconds: float
    cancellable: bool = True
    note: str = ""

    @property
    def rate(self) -> float:
        """Units per second so far; 0 before anything is done."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the phase ends; None while unknown or in the first three seconds."""
        if self.total is None or self.done == 0 or self.seconds < 3:
            return None
        return max(0.0, (self.total - self.done) / self.rate)


class Cancel:
    """A switch that one thread turns on and the working thread looks at."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask the work to stop at its next look."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()


class Progress:
    """Tells a listener how far the work is and stops it when asked.

    Args:
        listener: called with a `Tick`, at most ten times a second and at each phase's start and end,
            in the working thread. None: nobody listens.
        cancel: the switch that makes `step` and `check` raise.
    """

    def __init__(self, listener: Callable[[Tick], None] | None = None, cancel: Cancel | None = None) -> None:
        self._listener = listener
        self.cancel = cancel or Cancel()
        self._cancellable = True
        self._phase, self._done = "", 0
        self._total: int | None = None
        self._started = self._reported = time.monotonic()

    def phase(self, name: str, total: int | None = None, *, cancellable: bool = True) -> None:
        """Begin a phase of ``total`` units. A phase that must not be interrupted is not cancellable.

        Raises:
            Cancelled: the switch was turned on before the phase began.
        """
        self.check()
        self._cancellable = cancellable
        self._phase, self._total, self._done = name, total, 0
        self._started = time.monotonic()
        self._report()

    def step(self, units: int = 1) -> None:
        """Count ``units`` as done.

        Raises:
            Cancelled: the switch was turned on.
        """
        self.check()
        self._done += units
        if self._done == self._total or time.monotonic() - self._reported > 1 / REPORTS_PER_SECOND:
            self._report()

    def check(self) -> None:
        """Raise `Cancelled` when the switch is on and the phase may be interrupted."""
        if self._cancellable and self.cancel.is_set:
            raise Cancelled

    def wait(self, seconds: float, why: str) -> None:
        """Let so many seconds pass, and tell why where a person would notice.

        Raises:
            Cancelled: the switch was turned on before they were over.
        """
        until = time.monotonic() + seconds
        if seconds > 1 / REPORTS_PER_SECOND:
            self._report(why)
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, LOOK_SECONDS))

    def told_also(self, listener: Callable[[Tick], None]) -> Progress:
        """For the same work, stopped by the same switch: one more listener, who is told before the first."""
        first = self._listener

        def both(tick: Tick) -> None:
            listener(tick)
            if first:
                first(tick)

        return Progress(both, self.cancel)

    def _report(self, note: str = "") -> None:
        self._reported = time.monotonic()
        if self._listener:
            seconds = self._reported - self._started
            self._listener(Tick(self._phase, self._done, self._total, seconds, self._cancellable, note))


_under_way: list[Progress] = []


@contextmanager
def shows_waits(progress: Progress) -> Iterator[None]:
    """Inside the block every `wait_for_server`, in whichever thread, is told to this progress and stopped by it."""
    _under_way.append(progress)
    try:
        yield
    finally:
        _under_way.remove(progress)


def wait_for_server(seconds: float) -> None:
    """Let so many seconds pass because a server asks for that, or needs it.

    Raises:
        Cancelled: the work that it is done for was stopped.
    """
    progress = _under_way[-1] if _under_way else Progress()
    progress.wait(seconds, f"the server asks to wait {seconds:.0f} s" if seconds >= 1 else "the server asks to wait")

