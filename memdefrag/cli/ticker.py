"""Progress on stderr: a bar at a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from memdefrag.base.progress import Tick
from memdefrag.cli.output import note, stderr

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 10.0


class Ticker:
    """Listens to the work. `pause` takes the bar away so that something else can be printed."""

    def pause(self) -> None:
        """Leave the screen to others until the next tick."""

    def __call__(self, tick: Tick) -> None:
        """Nothing is shown: --quiet."""


class Lines(Ticker):
    """A line when a phase ends, and every ten seconds before."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, tick: Tick) -> None:
        ended = tick.total is None or tick.done == tick.total or tick.note
        if ended or time.monotonic() - self._said > SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            note(describe(tick))


class Bar(Ticker):
    """A bar that stays on one line and vanishes at the end."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._phase = ""

    def __call__(self, tick: Tick) -> None:
        if self._bar is None:
            self._bar = _new_bar()
            self._bar.start()
        if self._task is None or tick.phase != self._phase:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task, self._phase = self._bar.add_task(describe(tick), total=tick.total), tick.phase
        self._bar.update(self._task, completed=tick.done, total=tick.total, description=describe(tick))

    def pause(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None


def ticker(*, quiet: bool) -> Ticker:
    """The fitting kind for where stderr goes."""
    if quiet:
        return Ticker()
    return Bar() if stderr().is_terminal else Lines()


def describe(tick: Tick) -> str:
    """A tick in words: ``Reading: 300 of 1,200, 4,000/s, 12 s left``."""
    if tick.total is None:
        return f"{tick.phase} … {tick.note}".rstrip()
    parts = [f"{tick.phase}: {tick.done:,} of {tick.total:,}"]
    if tick.rate >= 1:
        parts.append(f"{tick.rate:,.0f}/s")
    if tick.seconds_left is not None and tick.done < tick.total:
        parts.append(f"{tick.seconds_left:,.0f} s left")
    if tick.note:
        parts.append(tick.note)
    return ", ".join(parts)


def _new_bar() -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        BarColumn(bar_width=24), TextColumn("{task.description}", markup=False), console=stderr(), transient=True
    )
