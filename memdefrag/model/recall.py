"""What searches found before a plan and will find after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LostHit:
    """A memory that a search found among its first and, after the plan, will not.

    Attributes:
        query: the words of the person's own query, or the name of the memory whose text or vector was asked.
        memory: what was found; `survivor` what it is merged into (itself where it stays).
        before, after: its rank, from 1; `after` None where it is not found at all.
    """

    query: str
    memory: str
    survivor: str
    before: int
    after: int | None


@dataclass(frozen=True, slots=True)
class LostFilter:
    """A day, tag or type by which a memory was found and by which its survivor will not be.

    Attributes:
        was: the day (local), tag or type; `now` the survivor's, empty where it has none.
    """

    memory: str
    survivor: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Found:
    """How much of what was found is still found, as shares from 0 to 1; 1 where nothing was.

    Attributes:
        queries: how many were asked.
        at_1: of what was found first, what still is; `at_k` of what was among the first k, what still is.
    """

    queries: int
    at_1: float
    at_k: float


@dataclass(frozen=True, slots=True)
class Recall(Found):
    """The proof of a plan. What it inherits is about the merged memories, each asked for by its own old vector
    or text.

    Attributes:
        own: the same about the person's queries and all that they found among the first k; None: there were none.
        notes: what could not be asked, or only by words, one sentence each.
    """

    k: int
    lost: tuple[LostHit, ...] = ()
    own: Found | None = None
    days_lost: tuple[LostFilter, ...] = ()
    tags_lost: tuple[LostFilter, ...] = ()
    types_lost: tuple[LostFilter, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def lowest(self) -> float:
        """The smaller of the shares among the first k."""
        return min(self.at_k, self.own.at_k) if self.own else self.at_k

    def figures(self) -> dict[str, Any]:
        """The figures alone, without names and texts, for the history."""
        own = self.own and {"queries": self.own.queries, "at_1": self.own.at_1, "at_k": self.own.at_k}
        return {
            "k": self.k,
            "queries": self.queries,
            "at_1": self.at_1,
            "at_k": self.at_k,
            "own": own,
            "lost": len(self.lost),
            "days_lost": len(self.days_lost),
            "tags_lost": len(self.tags_lost),
            "types_lost": len(self.types_lost),
        }
