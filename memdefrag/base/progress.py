"""Progress and cancelling as plain objects that are passed down to the work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from memdefrag.base.errors import Cancelled

REPORTS_PER_SECOND = 10


@dataclass(frozen=True)
class Tick:
    """One report: ``done`` of ``total`` units of ``phase`` (total None: not known)."""

    phase: str
    done: int
    total: int | None
    seconds: float
    cancellable: bool = True

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

    def told_also(self, listener: Callable[[Tick], None]) -> Progress:
        """For the same work, stopped by the same switch: one more listener, who is told before the first."""
        first = self._listener

        def both(tick: Tick) -> None:
            listener(tick)
            if first:
                first(tick)

        return Progress(both, self.cancel)

    def _report(self) -> None:
        self._reported = time.monotonic()
        if self._listener:
            seconds = self._reported - self._started
            self._listener(Tick(self._phase, self._done, self._total, seconds, self._cancellable))
