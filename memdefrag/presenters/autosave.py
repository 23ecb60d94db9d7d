"""Writes decisions down a moment after they were made, and at the end at once."""

from __future__ import annotations

import threading
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
        self._lock = threading.Lock()
        self._begun = self._written = 0
        self._apart: frozenset[tuple[str, str]] = frozenset()

    def touch(self) -> None:
        """Something changed."""
        if not self._due:
            self._due = True
            self._runner.later(PAUSE_SECONDS, self._write)

    def flush(self) -> None:
        """Write now what is not written yet."""
        if self._due or self._writing:
            self._due = False
            self._save(self._next(), self._saved()())

    def _write(self) -> None:
        if not self._due:
            return
        self._due, self._writing = False, True
        number, make = self._next(), self._saved()

        def written(_: None) -> None:
            self._writing = False

        lane = f"decisions {self._store}"
        self._runner.run(lambda _: self._save(number, make()), written, self._failed, lane=lane)

    def _next(self) -> int:
        self._begun += 1
        return self._begun

    def _save(self, number: int, value: dict[str, Any]) -> None:
        """One at a time; what was begun earlier never replaces what was begun later."""
        from memdefrag.engine import workspace

        with self._lock:
            if number > self._written:
                self._tell_apart(frozenset((one, other) for one, other in value.pop("apart", ())))
                workspace.save(self._store, TOPIC, value)
                self._written = number

    def _tell_apart(self, pairs: frozenset[tuple[str, str]]) -> None:
        """Add to the list for all stores what was told since; what was taken back in this sitting goes again."""
        from memdefrag.engine import apart

        store = str(self._store)
        apart.forget(self._apart - pairs, store)
        kept = self._apart & pairs
        self._apart = kept | {each.pair for each in apart.add(pairs - kept, store)}


def saved_count(saved: dict[str, Any]) -> int:
    """How many decisions were saved."""
    return len(saved.get("choices", ()))
