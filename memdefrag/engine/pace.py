"""How fast a live store is written: batches of a size, with waits between them. Pure but for the clock.

A server that suddenly takes long for a batch is busy with somebody else's work; then the next batch waits as long as
the last one took too long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from memdefrag.model.migration import Pace

BATCH = 500
"""Records written between two looks at the store, where nothing else is asked for."""

SLOW = 2.0
"""A batch that takes so many times as long as usual is too slow."""

FIRST = 5
"""So many batches tell what is usual."""


class Pacer:
    """Says how long to wait after each batch.

    Args:
        server: whether the store is one, which may be busy with the work of others.
        clock: seconds, as `time.monotonic` counts them.
    """

    def __init__(
        self, pace: Pace | None = None, *, server: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pace, self._server, self._clock = pace or Pace(), server, clock
        self.size = max(1, self._pace.batch or BATCH)
        self._first: list[float] = []
        self._began = clock()

    def begin(self) -> None:
        """A batch is sent now."""
        self._began = self._clock()

    def pause(self, records: int) -> float:
        """Seconds to wait before the next batch, now that one of so many records is done."""
        seconds = self._clock() - self._began
        waits = [self._pace.delay, self._excess(seconds / records) * records if self._server else 0.0]
        if self._pace.max_rate:
            waits.append(records / self._pace.max_rate - seconds)
        return max(0.0, *waits)

    def _excess(self, seconds: float) -> float:
        """By how many seconds a record took too long, compared with those of the first batches."""
        usual = median(self._first or [seconds])
        if len(self._first) < FIRST:
            self._first.append(seconds)
        return seconds - usual if seconds > SLOW * usual else 0.0
