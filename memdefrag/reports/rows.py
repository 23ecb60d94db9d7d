"""The rows of a report on an analysis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COLUMNS = ("group", "tier", "score", "what", "id", "text", "why")


@dataclass(frozen=True, slots=True)
class Row:
    """One memory of a group, or of a contradiction.

    Attributes:
        group: number of the group, or of the contradiction.
        tier: "sure", "likely" or "contradiction".
        what: "keep", "merge" or "look".
        why: the reasons, in words.
    """

    group: int
    tier: str
    score: float
    what: str
    id: str
    text: str
    why: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `COLUMNS`."""
        return (str(self.group), self.tier, f"{self.score:.4f}", self.what, self.id, self.text, self.why)


@dataclass(frozen=True, slots=True)
class Report:
    """What an analysis found; `summary` says it in one sentence."""

    stores: tuple[str, ...]
    summary: str
    rows: Sequence[Row]
