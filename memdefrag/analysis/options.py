"""How an analysis looks."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from memdefrag.analysis.apart import Apart
from memdefrag.analysis.scope import Scope
from memdefrag.base.settings import CANDIDATE_COSINE, DEFAULT_THRESHOLD


class Method(StrEnum):
    """What makes two memories alike; the bars against merging contradictions hold in every method."""

    COMBINED = "combined"
    """Meaning and words together (`analysis.score`)."""
    EXACT = "exact"
    """The same text to the letter."""
    NORMALISED = "normalised"
    """The same words, whatever the case and the punctuation."""
    VECTOR = "vector"
    """The cosine of the vectors."""
    FUZZY = "fuzzy"
    """The spelling: the same letters in the sorted words."""


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """How to look.

    Attributes:
        floor: pairs of vectors with a smaller cosine are not candidates.
        threshold: the score from which pairs are suggested, unless a caller names another.
        use_vectors: False compares texts only.
        across_collections: whether memories of different collections (and stores) may be the same.
        method: what the score is made of.
        scope: which memories take part.
        apart: the texts that a person told apart; they are never one group and no conflict either.
        against: the number of the store that all others are compared with: only pairs of one of its memories and
            one of another store are formed. None: every memory may be the same as any other.
    """

    floor: float = CANDIDATE_COSINE
    threshold: float = DEFAULT_THRESHOLD
    use_vectors: bool = True
    across_collections: bool = True
    method: Method = Method.COMBINED
    scope: Scope = field(default_factory=Scope)
    apart: Apart = field(default_factory=Apart)
    against: int | None = None

    @property
    def equal_only(self) -> bool:
        """Whether nothing but equal texts can come out."""
        return self.method in (Method.EXACT, Method.NORMALISED)
