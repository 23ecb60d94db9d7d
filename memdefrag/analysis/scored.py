"""Pairs with all that is known about how alike they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memdefrag.analysis import guard
from memdefrag.analysis.groups import Flags
from memdefrag.analysis.language.words import Words
from memdefrag.analysis.nodes import Nodes
from memdefrag.analysis.score import LOWEST, SURE_SCORE, most_for_words, score
from memdefrag.analysis.similarity import fuzzy
from memdefrag.analysis.similarity.pairs import Floats, Ints
from memdefrag.analysis.sure import judge
from memdefrag.base.progress import Progress

_FEW = 4
"""Texts with more words of their own than this differ in more than one word and some slips."""


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """Pairs of nodes ``i < j``, sorted by (i, j); all arrays are of one length.

    Attributes:
        cosine: of the vectors; NaN where there are none.
        words: share of words that stand in both texts; NaN where a text is missing.
        score: see `analysis.score`.
        sure: surely the same; `barred`: never to be merged without a person's decision.
    """

    i: Ints
    j: Ints
    cosine: Floats
    words: Floats
    score: Floats
    sure: Flags
    barred: Flags

    def __len__(self) -> int:
        return len(self.i)

    def find(self, one: int, other: int) -> int | None:
        """The position of a pair of nodes, or None."""
        low, high = sorted((one, other))
        start = np.searchsorted(self.i, low)
        end = np.searchsorted(self.i, low, side="right")
        at = int(start + np.searchsorted(self.j[start:end], high))
        return at if at < end and self.j[at] == high else None


def scored_pairs(nodes: Nodes, i: Ints, j: Ints, cosine: Floats, progress: Progress) -> ScoredPairs:
    """Score the candidates, forget those below `LOWEST`, and judge the others by the rules of `guard` and `sure`."""
    words = fuzzy.shared_words(nodes.plain, i, j, progress)
    spelling = fuzzy.same_words(nodes.plain, i, j, progress)
    silent = np.array([not text for text in nodes.texts], np.bool_)
    words[silent[i] | silent[j]] = np.nan
    scores = score(cosine, words, spelling)
    kept = scores >= LOWEST
    i, j, cosine, words, scores = i[kept], j[kept], cosine[kept], words[kept], scores[kept]
    spelling = spelling[kept]
    sure, barred, replaced = (np.zeros(len(i), np.bool_) for _ in range(3))
    telling = words > most_for_words(cosine)
    progress.phase("Looking for differences", len(i))
    for k, (one, other) in enumerate(zip(i.tolist(), j.tolist(), strict=True)):
        if nodes.texts[one] and nodes.texts[other]:
            a, b = Words.of(nodes.texts[one]), Words.of(nodes.texts[other])
            sure[k], barred[k] = judge(a, b, float(cosine[k]))
            replaced[k] = telling[k] and not sure[k] and not barred[k] and _differ_in_one_word(a, b)
        progress.step()
    scores = score(cosine, words, spelling, replaced)
    scores[sure] = np.maximum(scores[sure], np.float32(SURE_SCORE))
    return ScoredPairs(i, j, cosine, words, scores, sure, barred)


def _differ_in_one_word(a: Words, b: Words) -> bool:
    """Whether each text has just one word of its own, so that one takes the other's place."""
    only_a, only_b = a.content - b.content, b.content - a.content
    # Whether a word is a slip or a synonym of another takes longer than all the rest.
    if not 0 < len(only_a) <= _FEW or not 0 < len(only_b) <= _FEW:
        return False
    return [len(own) for own in guard.own_words(a, b)] == [1, 1]
