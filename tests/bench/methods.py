"""The simple ways to find duplicates that ours are measured against. Each returns clusters of record numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from memdefrag.analysis.language.words import normalise
from memdefrag.analysis.similarity import fuzzy
from memdefrag.analysis.similarity.pairs import Floats, Ints, similar_pairs, unit_rows
from memdefrag.base.progress import Progress

Clusters = Iterable[Sequence[int]]

CANDIDATE_FLOOR = 0.45
"""Words are compared only where the cosine is this high: any two texts share function words."""


def equal(keys: Sequence[object]) -> Clusters:
    """Those with the same key."""
    by_key: dict[object, list[int]] = {}
    for at, key in enumerate(keys):
        by_key.setdefault(key, []).append(at)
    return by_key.values()


def connected(n: int, i: Ints, j: Ints) -> Clusters:
    """Connected components of 0 … n-1."""
    root = list(range(n))

    def find(at: int) -> int:
        while root[at] != at:
            root[at] = at = root[root[at]]
        return at

    for one, other in zip(i.tolist(), j.tolist(), strict=True):
        root[find(one)] = find(other)
    return equal([find(at) for at in range(n)])


def by_cosine(vectors: Floats, cosine: float) -> Clusters:
    """Connected components of all pairs from this cosine up."""
    pairs = similar_pairs(unit_rows(vectors)[0], cosine, Progress())
    return connected(len(vectors), pairs.i, pairs.j)


def by_shared_words(texts: Sequence[str], vectors: Floats, ratio: float) -> Clusters:
    """Connected components of all pairs from this `token_set_ratio` (0-100) up."""
    pairs = similar_pairs(unit_rows(vectors)[0], CANDIDATE_FLOOR, Progress())
    plain = [normalise(text) for text in texts]
    alike = fuzzy.shared_words(plain, pairs.i, pairs.j, Progress()) >= np.float32(ratio / 100)
    return connected(len(texts), pairs.i[alike], pairs.j[alike])


def greedy(vectors: Floats, cosine: float) -> Clusters:
    """Each record in turn takes all later free ones at this cosine: what Memory Defragmenter does."""
    unit = unit_rows(vectors)[0]
    free = np.ones(len(unit), np.bool_)
    clusters = []
    for seed in range(len(unit)):
        if free[seed]:
            members = np.flatnonzero(free & (unit @ unit[seed] >= cosine)).tolist()
            members = sorted({seed, *(member for member in members if member > seed)})
            free[members] = False
            clusters.append(members)
    return clusters


def semhash(texts: Sequence[str], vectors: Floats, cosine: float = 0.9) -> Clusters:
    """What the package semhash keeps together by its exact search on the same vectors.

    Raises:
        ImportError: where it is not installed (extra `bench`).
    """
    from semhash import SemHash

    index = SemHash.from_embeddings(unit_rows(vectors)[0], list(texts), None, ann_backend="basic")
    place = {text: at for at, text in reversed(list(enumerate(texts)))}
    kept = {gone.record: gone.duplicate_of for gone in index.self_deduplicate(threshold=cosine).filtered}
    return equal([place[kept.get(text, text)] for text in texts])
