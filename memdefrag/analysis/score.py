"""One number for how likely two memories say the same thing, made of what a person can follow.

The weights were set by hand on the development set of docs/quality.md; no model was trained.
"""

from __future__ import annotations

import numpy as np

from memdefrag.analysis.pairs import Floats

SURE_SCORE = 0.95
"""A pair that is surely the same scores at least this."""

LOWEST = 0.70
"""Pairs that score less are forgotten; no threshold below makes sense."""

_STRETCH = np.float32(0.64)
"""Spreads the mean over the slider so that the best threshold lies at 0.85."""


def score(cosine: Floats, shared_words: Floats, spelling: Floats) -> Floats:
    """Half meaning, half words, in [0, 1].

    Args:
        cosine: of the vectors; NaN where there are none: then the spelling takes its place.
        shared_words: share of words that stand in both texts; NaN where a text is missing: then the cosine
            counts alone.
        spelling: how alike the texts are as strings of sorted words.
    """
    meaning = np.where(np.isnan(cosine), spelling, cosine)
    alike = (meaning + np.where(np.isnan(shared_words), meaning, shared_words)) / np.float32(2)
    return np.clip(1 - _STRETCH * (1 - alike), 0, 1).astype(np.float32)
