"""How much of their words two texts share, by rapidfuzz; and which texts are alike where there are no vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz import fuzz, process

from memdefrag.analysis.pairs import PAIR_LIMIT, Floats, Ints, PairCollector, Pairs
from memdefrag.base.progress import Progress

CHARACTERS = 4_000
"""Texts are compared up to here: the time grows with the square of the length."""

SAME_TEXT = 75.0
"""Texts without vectors are looked at from this `fuzz.ratio` (0-100) up."""

PAIRS_AT_ONCE = 5_000
BLOCK = 500


def shared_words(texts: Sequence[str], i: Ints, j: Ints, progress: Progress) -> Floats:
    """For each pair (i, j) of texts the share of words that stand in both, in [0, 1] (`token_set_ratio`): 1 where
    the words of one text all stand in the other.

    Raises:
        Cancelled: between two blocks.
    """
    return _scores(fuzz.token_set_ratio, "Comparing words", texts, i, j, progress)


def same_words(texts: Sequence[str], i: Ints, j: Ints, progress: Progress) -> Floats:
    """For each pair (i, j) of texts how alike their sorted words are, in [0, 1] (`token_sort_ratio`)."""
    return _scores(fuzz.token_sort_ratio, "Comparing spelling", texts, i, j, progress)


def _scores(
    scorer: object, phase: str, texts: Sequence[str], i: Ints, j: Ints, progress: Progress
) -> Floats:
    scores = np.empty(len(i), np.float32)
    progress.phase(phase, len(i))
    for start in range(0, len(i), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        scores[part] = process.cpdist(
            [texts[k][:CHARACTERS] for k in i[part].tolist()],
            [texts[k][:CHARACTERS] for k in j[part].tolist()],
            scorer=scorer,  # type: ignore[arg-type]
            dtype=np.float32,
        )
        progress.step(len(scores[part]))
    return scores / np.float32(100)


def similar_texts(
    texts: Sequence[str],
    others: Sequence[str],
    progress: Progress,
    *,
    cutoff: float = SAME_TEXT,
    block: int = BLOCK,
    limit: int = PAIR_LIMIT,
) -> Pairs:
    """Pairs of texts with `fuzz.ratio` >= `cutoff`: within `texts`, and between `texts` and `others`.

    Texts are walked by length, since a ratio bounds how far the lengths can lie apart. Memory is bounded as in
    `pairs.similar_pairs`.

    Returns:
        Index pairs ``i < j`` into ``[*texts, *others]``; i is always one of `texts`. Their `cosine` is the ratio,
        from 0 to 1, in whole hundredths.

    Raises:
        Cancelled: between two blocks.
    """
    cut = [text[:CHARACTERS] for text in (*texts, *others)]
    lengths = np.array([len(text) for text in cut], np.int64)
    wanted = np.argsort(lengths[: len(texts)], kind="stable")
    everything = np.argsort(lengths, kind="stable")
    sorted_lengths = lengths[everything]
    # ratio = 2 * common / (sum of lengths), so the longer is at most (200 - cutoff) / cutoff times the shorter.
    stretch = (200 - cutoff) / cutoff
    found = PairCollector(len(cut), limit)
    progress.phase("Comparing texts", len(wanted))
    for start in range(0, len(wanted), block):
        rows = wanted[start : start + block]
        low = int(np.searchsorted(sorted_lengths, lengths[rows[0]] / stretch - 1))
        high = int(np.searchsorted(sorted_lengths, lengths[rows[-1]] * stretch + 1, side="right"))
        for left in range(low, high, block):
            columns = everything[left : min(left + block, high)]
            table = process.cdist(
                [cut[k] for k in rows],
                [cut[k] for k in columns],
                scorer=fuzz.ratio,
                score_cutoff=cutoff,
                dtype=np.uint8,
            )
            row, column = np.nonzero(table)
            i, j = rows[row], columns[column]
            once = (i < j) & (lengths[i] > 0)
            ratio = table[row, column][once].astype(np.float32) / np.float32(100)
            found.add(i[once].astype(np.int32), j[once].astype(np.int32), ratio)
            progress.check()
        progress.step(len(rows))
    return found.pairs()
