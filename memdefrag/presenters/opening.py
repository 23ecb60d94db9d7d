"""The ways to open a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from memdefrag.base.errors import MemdefragError
from memdefrag.base.progress import Progress
from memdefrag.presenters import jobs
from memdefrag.presenters.analysis import WorkPresenter

if TYPE_CHECKING:
    from memdefrag.model.address import Address

OPENING = "opening"
"""The lane of recovery and opening: no store is opened before interrupted writes are settled."""


class Opening:
    """Opens a store by its name, the demo, or a private copy; one at a time.

    Args:
        begin: shows that work begins, and returns the way back.
        opened: called with what was opened.
    """

    def __init__(
        self,
        work: WorkPresenter,
        begin: Callable[[], Callable[[], None]],
        opened: Callable[[jobs.Opened], None],
        failed: Callable[[MemdefragError], None],
    ) -> None:
        self._work, self._begin, self._opened, self._failed = work, begin, opened, failed

    def store(self, text: str) -> None:
        """A store by its address, or by a path in, at or around it."""
        self._load("Opening the store", lambda progress: jobs.look(text, progress))

    def demo(self) -> None:
        """A fresh private copy of the demo store."""

        def task(progress: Progress) -> jobs.Opened:
            from memdefrag.engine.demo import fresh_copy

            return jobs.look(str(fresh_copy()), progress)

        self._load("Opening the demo store", task)

    def copy_of(self, address: Address) -> None:
        """A private copy of a store, made in the data folder."""
        self._load("Copying the store", lambda progress: jobs.look(str(jobs.copy_of(address, progress)), progress))

    def _load(self, title: str, task: Callable[[Progress], jobs.Opened]) -> None:
        if self._work.running:
            return
        back = self._begin()

        def failed(error: MemdefragError) -> None:
            back()
            self._failed(error)

        self._work.start(title, task, self._opened, failed, lane=OPENING)
