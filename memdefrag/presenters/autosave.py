"""Writes decisions down a moment after they were made, and at the end at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memdefrag.base.errors import MemdefragError
from memdefrag.model.address import Address
from memdefrag.presenters.tasks import Runner

TOPIC = "decisions"
PAUSE_SECONDS = 0.3

Saved = Callable[[], Callable[[], dict[str, Any]]]


class Autosave:
    """Keeps what `saved` returns for one store, in the background.

    Args:
        saved: returns what makes JSON values of the present decisions, in any thread.
    """

    def __init__(
        self, runner: Runner, store: Address, saved: Saved, failed: Callable[[MemdefragError], None]
    ) -> None:
        self._runner, self._store, self._saved, self._failed = runner, store, saved, failed
        self._due = self._writing = False

    def touch(self) -> None:
        """Something changed."""
        if not self._due:
            self._due = True
            self._runner.later(PAUSE_SECONDS, self._write)

    def flush(self) -> None:
        """Write now what is not written yet."""
        if self._due or self._writing:
            self._due = False
            _save(self._store, self._saved()())

    def _write(self) -> None:
        if not self._due:
            return
        self._due, self._writing = False, True
        make = self._saved()

        def written(_: None) -> None:
            self._writing = False

        self._runner.run(lambda _: _save(self._store, make()), written, self._failed, lane=f"decisions {self._store}")


def _save(store: Address, value: dict[str, Any]) -> None:
    from memdefrag.engine import workspace

    workspace.save(store, TOPIC, value)


def saved_count(saved: dict[str, Any]) -> int:
    """How many decisions were saved."""
    return len(saved.get("choices", ()))
