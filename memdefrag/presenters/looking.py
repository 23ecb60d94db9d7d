"""How the person wants a store to be looked at: as they typed it, in words, and as the analysis takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memdefrag.presenters.wording import named_place

if TYPE_CHECKING:
    from memdefrag.analysis.scope import Scope

METHODS = {
    "combined": "meaning and words together",
    "exact": "the same text to the letter",
    "normalised": "the same words, whatever the case and punctuation",
    "vector": "meaning alone (vectors)",
    "fuzzy": "spelling alone",
}
"""The values of `analysis.options.Method`, which loads too much for a start, and what they go by."""

WITH_VECTORS = ("combined", "vector")


@dataclass(frozen=True, slots=True)
class Looking:
    """What the person chose; everything is as it stands in the fields.

    Attributes:
        across: also memories of different collections may be the same.
        tags, types, sources: several with commas between them; empty: all.
        since, until: the first and the last day of creation; empty: all.
        against: the store to compare with, as a path or an address; empty: none.
        no_model: memories without a vector are compared by their words.
        model: a model on this machine for them; empty: the default one.
        threads: how many cores make vectors; 0: all.
        long_work: the person agreed to wait for vectors.
    """

    method: str = "combined"
    across: bool = False
    tags: str = ""
    types: str = ""
    sources: str = ""
    since: str = ""
    until: str = ""
    against: str = ""
    no_model: bool = False
    model: str = ""
    threads: int = 0
    long_work: bool = False

    def scope(self) -> Scope:
        """Which memories are looked at.

        Raises:
            UsageError: a date is none.
        """
        from memdefrag.analysis.scope import Scope, moment_of

        return Scope(
            tags=_several(self.tags),
            types=_several(self.types),
            sources=_several(self.sources),
            since=moment_of(self.since.strip()) if self.since.strip() else None,
            until=moment_of(self.until.strip(), after=True) if self.until.strip() else None,
        )

    @property
    def is_narrow(self) -> bool:
        """Whether only some of the memories are looked at."""
        return any(said.strip() for said in (self.tags, self.types, self.sources, self.since, self.until))

    def line(self) -> str:
        """All of it in one plain line."""
        parts = [f"By {METHODS[self.method]}"]
        if self.across:
            parts.append("across collections")
        for what, said in (("tagged", self.tags), ("of type", self.types), ("from", self.sources)):
            if named := sorted(_several(said)):
                parts.append(f"only {what} {' or '.join(named)}")
        for what, said in (("since", self.since), ("until", self.until)):
            if said.strip():
                parts.append(f"created {what} {said.strip()}")
        if not self.is_narrow:
            parts.append("all memories")
        if self.no_model:
            parts.append("no model for those without a vector")
        if self.against.strip():
            parts.append(f"compared with {named_place(self.against.strip())}")
        return ", ".join(parts) + "."


def _several(said: str) -> frozenset[str]:
    return frozenset(part.strip() for part in said.split(",") if part.strip())
