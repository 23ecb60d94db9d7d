"""How much of their words two texts share, by rapidfuzz; and which texts are alike where there are no vectors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from rapidfuzz import fuzz, process
from threadpoolctl import threadpool_limits

from memdefrag.analysis.similarity.pairs import PAIR_LIMIT, Floats, Ints, PairCollector, Pairs
from memdefrag.analysis.similarity.text_screen import Indices, TextCounts, TextScreen, counts
from memdefrag.base.progress import Progress

CHARACTERS = 4_000
"""Texts are compared up to here: the time grows with the square of the length."""

SAME_TEXT = 75.0
"""Texts without vectors are looked at from this `fuzz.ratio` (0-100) up."""

PAIRS_AT_ONCE = 5_000
BLOCK = 512
SPAN = 4_096
"""Columns of one task; its pairs are in memory at once."""
SPANS_AT_ONCE = 8
"""Between two looks at the switch that stops the work."""
FEWEST_PAIRS = 50
"""Counting the letters of a text takes as long as comparing so many pairs."""


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
    threads: int | None = None,
) -> Pairs:
    """Every pair of texts with `fuzz.ratio` >= `cutoff`: within `texts`, and between `texts` and `others`.

    Memory is bounded as in `pairs.similar_pairs`.

    Args:
        cutoff: above 0, up to 100.
        threads: how many work at once, each with one thread of the maths library; None: one for each core.

    Returns:
        Index pairs ``i < j`` into ``[*texts, *others]``; i is always one of `texts`. Their `cosine` is the ratio,
        from 0 to 1. Empty texts are like no other.

    Raises:
        Cancelled: between two blocks.
    """
    found = PairCollector(len(texts) + len(others), limit)
    mine, theirs = _ByLength.of(texts, 0), _ByLength.of(others, len(texts))
    threads = threads or os.cpu_count() or 1
    searches = [_Search.of(mine, columns, cutoff, block, threads) for columns in (mine, theirs)]
    progress.phase("Comparing texts", sum(search.size for search in searches))
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as workers:
        for search in searches:
            for group in range(0, len(search.spans), SPANS_AT_ONCE):
                spans = search.spans[group : group + SPANS_AT_ONCE]
                for span, pairs in zip(spans, workers.map(search.pairs, spans), strict=True):
                    found.add(*pairs)
                    progress.step(search.compared(span))
    return found.pairs()


class _ByLength(NamedTuple):
    """Texts that say something, the shortest first; `place` is where each stands among all texts."""

    texts: list[str]
    lengths: Ints
    place: Ints

    @staticmethod
    def of(texts: Sequence[str], first_place: int) -> _ByLength:
        cut = [text[:CHARACTERS] for text in texts]
        lengths = np.fromiter(map(len, cut), np.int32, len(cut))
        order = np.argsort(lengths, kind="stable")[np.count_nonzero(lengths == 0) :].astype(np.int32)
        return _ByLength([cut[k] for k in order.tolist()], lengths[order], order + np.int32(first_place))


class _Span(NamedTuple):
    """A block of rows, and a run of columns of like lengths."""

    top: int
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class _Search:
    """Finds the pairs of rows and columns, span by span; each pair once where the columns are the rows.

    Attributes:
        counts: of the rows and the columns; None where a screen takes longer than it saves.
    """

    rows: _ByLength
    columns: _ByLength
    cutoff: float
    block: int
    spans: list[_Span]
    counts: tuple[TextCounts, TextCounts] | None
    threads: int

    @staticmethod
    def of(rows: _ByLength, columns: _ByLength, cutoff: float, block: int, threads: int) -> _Search:
        # ratio = 2 * common / (sum of lengths), so the longer is at most (200 - cutoff) / cutoff times the shorter.
        stretch = (200 - cutoff) / cutoff
        search = _Search(rows, columns, cutoff, block, [], None, threads)
        for top in range(0, len(rows.texts), block):
            last = min(top + block, len(rows.texts)) - 1
            low = int(np.searchsorted(columns.lengths, rows.lengths[top] / stretch - 1))
            high = int(np.searchsorted(columns.lengths, rows.lengths[last] * stretch + 1, side="right"))
            for left in range(top if rows is columns else low, high, SPAN):
                search.spans.append(_Span(top, left, min(left + SPAN, high)))
        if search.size < FEWEST_PAIRS * len(columns.texts):
            return search
        counted = counts(columns.texts)
        return replace(search, counts=(counted if rows is columns else counts(rows.texts), counted))

    @property
    def size(self) -> int:
        return sum(map(self.compared, self.spans))

    def compared(self, span: _Span) -> int:
        return (min(span.top + self.block, len(self.rows.texts)) - span.top) * (span.right - span.left)

    def pairs(self, span: _Span) -> tuple[Ints, Ints, Floats]:
        """The pairs of a span by their places, and their ratios from 0 to 1."""
        rows = slice(span.top, span.top + self.block)
        screen = None
        if self.counts:
            row_counts, column_counts = self.counts
            screen = TextScreen(row_counts.part(rows), column_counts.part(slice(span.left, span.right)), self.cutoff)
        parts: list[tuple[Ints, Ints, Floats]] = []
        for left in range(span.left, span.right, self.block):
            columns = slice(left, min(left + self.block, span.right))
            some = screen and screen.passing(slice(left - span.left, columns.stop - span.left))
            if some is None:
                screen = None
            i, j, ratio = self._of_few(rows, columns, *some) if some else self._of_all(rows, columns)
            i, j = i + span.top, j + left
            once = i < j if self.rows is self.columns else slice(None)
            one, other = self.rows.place[i[once]], self.columns.place[j[once]]
            parts.append((np.minimum(one, other), np.maximum(one, other), ratio[once] / np.float32(100)))
        ones, others, ratios = zip(*parts, strict=True)
        return np.concatenate(ones), np.concatenate(others), np.concatenate(ratios)

    def _of_few(self, rows: slice, columns: slice, i: Indices, j: Indices) -> tuple[Indices, Indices, Floats]:
        row_texts, column_texts = self.rows.texts[rows], self.columns.texts[columns]
        ratio = process.cpdist(
            [row_texts[k] for k in i.tolist()],
            [column_texts[k] for k in j.tolist()],
            scorer=fuzz.ratio,
            score_cutoff=self.cutoff,
            dtype=np.float32,
        )
        near = ratio > 0
        return i[near], j[near], ratio[near]

    def _of_all(self, rows: slice, columns: slice) -> tuple[Indices, Indices, Floats]:
        table = process.cdist(
            self.rows.texts[rows],
            self.columns.texts[columns],
            scorer=fuzz.ratio,
            score_cutoff=self.cutoff,
            dtype=np.float32,
            workers=self.threads,
        )
        i, j = np.nonzero(table)
        return i, j, table[i, j]
