"""How an analysis looks."""

from __future__ import annotations

from dataclasses import dataclass

from memdefrag.base.settings import CANDIDATE_COSINE, DEFAULT_THRESHOLD


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """How to look.

    Attributes:
        floor: pairs of vectors with a smaller cosine are not candidates.
        threshold: the score from which pairs are suggested, unless a caller names another.
        use_vectors: False compares texts only.
        across_collections: whether memories of different collections (and stores) may be the same.
    """

    floor: float = CANDIDATE_COSINE
    threshold: float = DEFAULT_THRESHOLD
    use_vectors: bool = True
    across_collections: bool = True
