"""At which rank a search finds what it looks for, and what it finds first: exact, by blocks.

Nothing is sorted for a rank: it is one more than the number of records that score higher than the wanted one. So
memory is bounded by one block of scores for each thread, however many queries and records there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz, process, utils
from threadpoolctl import threadpool_limits

from memdefrag.analysis.similarity.pairs import unit_rows
from memdefrag.base.progress import Progress
from memdefrag.model.records import Vector

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
T = TypeVar("T")

SCORES_AT_ONCE = 4_000_000
"""Of each thread; 16 MB."""
WORD_SCORES_AT_ONCE = 100_000
"""Comparing words takes about a microsecond; a block should not outlast a person's patience to cancel."""
TIE = 2e-6
"""Scores that differ by less, or by this share of the query's square length, are equal: float32 knows no better."""
BEST_WORDS = 100.0


class Searched(Protocol):
    """Some queries and the records they are asked of, each known by its number."""

    block: int
    """How many records make a block."""

    def __len__(self) -> int:
        """How many records there are."""
        ...

    def only(self, queries: Ints) -> Searched:
        """The same records, asked fewer queries."""
        ...

    def scores(self, records: slice) -> Floats:
        """Shape (queries, records of the slice); the higher, the nearer."""
        ...

    def score(self, queries: Ints, records: Ints) -> Floats:
        """Of single queries and records, shape (n,)."""
        ...

    def limits(self, queries: Ints) -> tuple[Floats, Floats]:
        """For each query the best score there can be (infinite where there is none), and what counts as a tie."""
        ...


class ByVector:
    """Asks vectors of vectors, as a collection of that metric does.

    Args:
        queries: float32 (n, d), sound rows.
        records: sound vectors of dimension d; they are stacked block by block, never all at once.
        metric: "cosine", "l2" or "ip".
    """

    def __init__(self, queries: Floats, records: Sequence[Vector], metric: str) -> None:
        self._records, self._metric = records, metric
        self._queries = unit_rows(queries)[0] if metric == "cosine" else queries
        self.block = max(64, min(8192, SCORES_AT_ONCE // max(1, len(queries))))

    def __len__(self) -> int:
        return len(self._records)

    def only(self, queries: Ints) -> ByVector:
        return type(self)(self._queries[queries], self._records, self._metric)

    def scores(self, records: slice) -> Floats:
        rows, lowered = self._rows(self._records[records])
        found: Floats = self._queries @ rows.T
        return found - lowered if lowered is not None else found

    def score(self, queries: Ints, records: Ints) -> Floats:
        found = np.empty(len(queries), np.float32)
        for start in range(0, len(queries), self.block):
            part = slice(start, start + self.block)
            rows, lowered = self._rows([self._records[record] for record in records[part]])
            np.einsum("nd,nd->n", self._queries[queries[part]], rows, out=found[part])
            if lowered is not None:
                found[part] -= lowered
        return found

    def limits(self, queries: Ints) -> tuple[Floats, Floats]:
        asked = self._queries[queries]
        squares = np.einsum("nd,nd->n", asked, asked)
        tie = TIE * np.maximum(1, squares)
        match self._metric:
            case "cosine":
                return np.ones_like(squares), tie
            case "l2":
                return squares / 2, tie
        return np.full_like(squares, np.inf), tie

    def _rows(self, records: Sequence[Vector]) -> tuple[Floats, Floats | None]:
        """The records as rows, and what is taken off their products: the nearest by l2 is the one with the highest
        ``q.x - x.x / 2``."""
        rows = np.stack(records).astype(np.float32, copy=False) if len(records) else self._queries[:0]
        if self._metric == "cosine":
            return unit_rows(rows)[0], None
        return rows, np.einsum("nd,nd->n", rows, rows) / 2 if self._metric == "l2" else None


class ByWords:
    """Asks texts of texts, by the share of the query's words that they hold, as `engine.search` does."""

    def __init__(self, queries: Sequence[str], texts: Sequence[str]) -> None:
        self._queries = [utils.default_process(query) for query in queries]
        self._texts = [utils.default_process(text) for text in texts]
        self.block = max(1, WORD_SCORES_AT_ONCE // max(1, len(queries)))

    def __len__(self) -> int:
        return len(self._texts)

    def only(self, queries: Ints) -> ByWords:
        return ByWords([self._queries[query] for query in queries], self._texts)

    def scores(self, records: slice) -> Floats:
        return process.cdist(self._queries, self._texts[records], scorer=fuzz.token_set_ratio, dtype=np.float32)

    def score(self, queries: Ints, records: Ints) -> Floats:
        pairs = zip(queries.tolist(), records.tolist(), strict=True)
        return np.array([fuzz.token_set_ratio(self._queries[q], self._texts[r]) for q, r in pairs], np.float32)

    def limits(self, queries: Ints) -> tuple[Floats, Floats]:
        return np.full(len(queries), BEST_WORDS, np.float32), np.full(len(queries), 1e-3, np.float32)


@dataclass(frozen=True, slots=True)
class Question:
    """At which rank each query finds the record it wants.

    Attributes:
        query, wanted: numbers of the queries and of the records, shape (n,); -1 where the record is not there.
        among: the records that are searched.
    """

    query: Ints
    wanted: Ints
    among: slice


def ranks(searched: Searched, questions: Sequence[Question], progress: Progress) -> list[Ints]:
    """For each question the ranks, from 1 (ties count for the wanted record); 0 where that is not there.

    Raises:
        Cancelled: between two blocks.
    """
    found = [np.where(question.wanted < 0, 0, 1) for question in questions]
    open_ones = [_open(searched, question) for question in questions]
    asked = np.unique(np.concatenate([each.query for each in open_ones]))
    fewer = searched.only(asked)

    def higher(block: slice) -> list[Ints]:
        scores = fewer.scores(block)
        counted = []
        for question, each in zip(questions, open_ones, strict=True):
            rows = scores[np.searchsorted(asked, each.query), _within(block, question.among)]
            counted.append(np.count_nonzero(rows > each.least[:, None], axis=1))
        return counted

    for counts in _by_blocks(fewer if len(asked) else None, higher, progress):
        for rank, each, count in zip(found, open_ones, counts, strict=True):
            rank[each.rows] += count
    return found


def best(searched: Searched, queries: int, k: int, among: slice, progress: Progress) -> Ints:
    """The numbers of the k records that score highest for each query, best first; shape (queries, k), -1 where
    there are fewer.

    Raises:
        Cancelled: between two blocks.
    """
    records = np.full((queries, k), -1)
    scores = np.full((queries, k), -np.inf, np.float32)

    def nearest(block: slice) -> tuple[Ints, Floats]:
        inside = _within(block, among)
        part = searched.scores(block)[:, inside]
        order = np.argpartition(-part, k - 1, axis=1)[:, :k] if part.shape[1] > k else np.argsort(-part, axis=1)
        return order + block.start + inside.start, np.take_along_axis(part, order, axis=1)

    for found, by in _by_blocks(searched if queries else None, nearest, progress):
        records, scores = np.concatenate([records, found], axis=1), np.concatenate([scores, by], axis=1)
        order = np.lexsort((records, -scores), axis=1)[:, :k]
        records, scores = np.take_along_axis(records, order, axis=1), np.take_along_axis(scores, order, axis=1)
    return records


@dataclass(frozen=True, slots=True)
class _Open:
    """The rows of a question that need counting, their queries, and the score above which another record stands
    before the wanted one."""

    rows: Ints
    query: Ints
    least: Floats


def _open(searched: Searched, question: Question) -> _Open:
    """Where nothing can score higher than the wanted record (itself, or one just like it), nothing is counted."""
    there = np.flatnonzero(question.wanted >= 0)
    score = searched.score(question.query[there], question.wanted[there])
    highest, tie = searched.limits(question.query[there])
    left = score < highest - tie
    return _Open(there[left], question.query[there[left]], score[left] + tie[left])


def _within(block: slice, among: slice) -> slice:
    """What a block and the searched records have in common, counted from the block's start."""
    start = min(max(among.start, block.start), block.stop) - block.start
    return slice(start, max(start, min(among.stop, block.stop) - block.start))


def _by_blocks(searched: Searched | None, work: Callable[[slice], T], progress: Progress) -> Iterator[T]:
    """Do the work for all blocks of records, on all cores with one thread of the maths library each; in order."""
    if searched is None or not len(searched):
        return
    count, threads = len(searched), os.cpu_count() or 1
    blocks = [slice(start, min(count, start + searched.block)) for start in range(0, count, searched.block)]
    progress.phase("Searching before and after", count)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as workers:
        for start in range(0, len(blocks), 2 * threads):
            some = blocks[start : start + 2 * threads]
            for block, result in zip(some, workers.map(work, some), strict=True):
                yield result
                progress.step(block.stop - block.start)
