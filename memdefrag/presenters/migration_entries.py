"""The memories of a migration as a table of any length that can be filtered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from functools import cached_property

from memdefrag.model.migration import Entry, MigrationReport, Outcome
from memdefrag.presenters.wording import thousands

WORDS = {
    Outcome.FAIL: ("cannot be copied", "could not be copied"),
    Outcome.CONFLICT: ("conflict", "conflict"),
    Outcome.COPY: ("copy", "copied"),
    Outcome.DUPLICATE: ("duplicate, left out", "duplicate, left out"),
    Outcome.DEAD: ("deleted or replaced, left out", "deleted or replaced, left out"),
    Outcome.SAME: ("there already", "there already"),
}
"""What each outcome goes by before and after, the most urgent first."""

COLUMNS = ("Outcome", "Memory", "In the target", "Why")
ALL = ""


class Entries:
    """The entries of some migrations, the most urgent first; `rows` are those that are shown.

    Args:
        done: they are of what was done, not of a rehearsal.
    """

    def __init__(self, reports: Iterable[MigrationReport] = (), *, done: bool = False) -> None:
        rank = {outcome: number for number, outcome in enumerate(WORDS)}
        self._entries = sorted((entry for each in reports for entry in each.entries), key=lambda e: rank[e.outcome])
        self._done = done
        self.rows: Sequence[int] = range(len(self._entries))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """Outcomes to filter by: a key, and words with a count."""
        numbers = {outcome: sum(entry.outcome is outcome for entry in self._entries) for outcome in WORDS}
        each = [
            (outcome.value, f"{thousands(number)} {WORDS[outcome][self._done]}")
            for outcome, number in numbers.items()
            if number
        ]
        return ((ALL, f"all {thousands(len(self._entries))}"), *each)

    def filtered(self, outcome: str, text: str) -> Entries:
        """The same entries, of which those are shown that have this outcome (empty: any) and say this text."""
        wanted = text.strip().lower()
        rows: Sequence[int] = range(len(self._entries))
        if outcome:
            rows = [row for row in rows if self._entries[row].outcome == outcome]
        if wanted:
            rows = [row for row in rows if wanted in self._said[row]]
        shown = copy(self)
        shown.rows = rows
        return shown

    def text(self, row: int, column: int) -> str:
        """One cell."""
        return _cells(self._entries[self.rows[row]], self._done)[column]

    def is_alarming(self, row: int) -> bool:
        """Whether a memory is not in the target as it is in the source."""
        return self._entries[self.rows[row]].outcome in (Outcome.FAIL, Outcome.CONFLICT)

    @cached_property
    def _said(self) -> list[str]:
        return ["\n".join(_cells(entry, self._done)).lower() for entry in self._entries]


def _cells(entry: Entry, done: bool) -> tuple[str, str, str, str]:
    there = str(entry.target) if entry.outcome in (Outcome.COPY, Outcome.CONFLICT, Outcome.SAME) else ""
    loses = f"loses {', '.join(entry.losses)}" if entry.losses else ""
    replaces = "over the one that is there" if entry.replaces else ""
    reason = "; ".join(part for part in (entry.reason, replaces, loses) if part)
    return WORDS[entry.outcome][done], str(entry.source), there, reason
