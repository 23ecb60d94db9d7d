"""One number for how likely two memories say the same thing, made of what a person can follow.

The weights were set by hand on the development set of docs/quality.md; no model was trained.
"""

from __future__ import annotations

import numpy as np

from memdefrag.analysis.groups import Flags
from memdefrag.analysis.similarity.pairs import Floats

SURE_SCORE = 0.95
"""A pair that is surely the same scores at least this."""

LOWEST = 0.70
"""Pairs that score less are forgotten; no threshold below makes sense."""

_MEANING, _WORDS, _SPELLING = np.float32(0.5), np.float32(0.3), np.float32(0.2)

_STRETCH = np.float32(0.58)
"""Spreads the weighted mean over the slider so that the best threshold lies at 0.85."""

_SAME_MEANING = np.float32(0.95)
"""The cosine of texts that differ in one word and say the same by it: "kids" for "children" costs less, "knitting"
for "painting" more."""

_UNKNOWN_MEANING = np.float32(0.8)
"""What stands for the cosine of such texts without vectors: as often as not the word is another thing."""


def score(cosine: Floats, shared_words: Floats, spelling: Floats, replaced: Flags | None = None) -> Floats:
    """Half meaning, half words, in [0, 1]; never less where one of the first three is more.

    Where one word takes the place of another, all the other words are the same. Their share tells nothing then, and
    the words count for no more than the meaning lets them.

    Args:
        cosine: of the vectors; NaN where there are none: then the spelling takes its place.
        shared_words: share of words that stand in both texts; NaN where a text is missing: then the cosine
            counts alone.
        spelling: how alike the texts are as strings of sorted words.
        replaced: whether each text has just one word of its own; None: nowhere.
    """
    meaning = np.where(np.isnan(cosine), spelling, cosine)
    words = (_WORDS * shared_words + _SPELLING * spelling) / (_WORDS + _SPELLING)
    words = np.where(np.isnan(words), meaning, words)
    if replaced is not None:
        words = np.where(replaced, np.minimum(words, most_for_words(cosine)), words)
    alike = _MEANING * meaning + (1 - _MEANING) * words
    return np.clip(1 - _STRETCH * (1 - alike), 0, 1).astype(np.float32)


def most_for_words(cosine: Floats) -> Floats:
    """What the words can count for at most in a pair that differs in one word."""
    meaning = np.where(np.isnan(cosine), _UNKNOWN_MEANING, cosine)
    return np.asarray(_SAME_MEANING - 2 * (_SAME_MEANING - meaning), np.float32)
