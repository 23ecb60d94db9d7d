"""All pairs of vectors above a floor: exact, by blocks of a symmetric matrix product, screened by a thinner one."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from memdefrag.analysis.screen import FEWEST_ROWS, ROUNDING, screen
from memdefrag.base.progress import Progress

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

BLOCK = 1024
TILES_AT_ONCE = 16
"""Between two looks at the switch that stops the work; their pairs are in memory at once."""
ROWS_AT_ONCE = 4_096
MOST_SURVIVORS = 0.01
"""Where more of a tile passes the screen, its full product is quicker than so many single ones."""
PAIR_LIMIT = 1_000_000
"""More pairs than anybody reviews; beyond it only each row's nearest are kept."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of rows ``i < j``, sorted by (i, j), with the cosine of their vectors.

    Attributes:
        nearest: None when these are all pairs above the floor. Otherwise there were too many, and a pair was kept
            when it is among the so many nearest of one of its rows.
    """

    i: Ints
    j: Ints
    cosine: Floats
    nearest: int | None = None

    def __len__(self) -> int:
        return len(self.i)

    def renamed(self, names: Ints) -> Pairs:
        """The same pairs of other rows: ``names[row]`` for each row."""
        one, other = names[self.i], names[self.j]
        i, j = np.minimum(one, other), np.maximum(one, other)
        order = np.lexsort((j, i))
        return Pairs(i[order], j[order], self.cosine[order], self.nearest)


def unit_rows(vectors: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Rows of length 1, and which rows have a direction at all.

    Args:
        vectors: float32 (n, d). Rows that are zero or hold NaN or infinity come back as zeros.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        # float64 norms: squares of large float32 values would overflow.
        norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    valid = np.isfinite(norms) & (norms > 0)
    unit = np.zeros_like(vectors, dtype=np.float32)
    np.divide(vectors, norms[:, None], out=unit, where=valid[:, None], casting="same_kind")
    return unit, valid


def similar_pairs(
    unit: Floats,
    floor: float,
    progress: Progress,
    *,
    block: int = BLOCK,
    limit: int = PAIR_LIMIT,
    threads: int | None = None,
    fresh: npt.NDArray[np.bool_] | None = None,
) -> Pairs:
    """Every pair of rows whose dot product is at least `floor`.

    Memory is bounded by `limit` pairs and a few blocks: where thousands of rows are all alike, each keeps only its
    nearest, so that they do not crowd out the others (see `Pairs.nearest`).

    Args:
        unit: float32 (n, d), rows of length 1.
        threads: how many work at once, each with one thread of the maths library (many threads in one thin product
            wait for each other more than they work); None: one for each core.
        fresh: bool (n,). Where given, only pairs with at least one fresh row are looked for, and the work is that of
            the fresh rows with all: for what is new among many rows whose pairs are known.

    Raises:
        Cancelled: between two blocks.
    """
    n = len(unit)
    if fresh is not None:
        # The fresh rows first: then only the first blocks of rows are compared with all.
        order = np.argsort(~fresh, kind="stable").astype(np.int32)
        count = int(np.count_nonzero(fresh))
        near = _pairs_of_first(unit[order], count, floor, progress, block, limit, threads)
        return near.renamed(order)
    return _pairs_of_first(unit, n, floor, progress, block, limit, threads)


def _pairs_of_first(
    unit: Floats, count: int, floor: float, progress: Progress, block: int, limit: int, threads: int | None
) -> Pairs:
    """The pairs with at least one row of the first `count`."""
    n = len(unit)
    found = PairCollector(n, limit)
    total = count * (count - 1) // 2 + count * (n - count)
    progress.phase("Comparing vectors", total)
    stand_ins = screen(unit, floor) if 2 * total >= FEWEST_ROWS**2 else None
    search = _Search(unit, count, stand_ins, np.float32(floor), block)
    tiles = [(top, left) for top in range(0, count, block) for left in range(top, n, block)]
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads or os.cpu_count()) as workers:
        for group in range(0, len(tiles), TILES_AT_ONCE):
            for result in workers.map(search.tile, tiles[group : group + TILES_AT_ONCE]):
                found.add(*result.found)
                progress.step(result.compared)
    return found.pairs()


class _Tile(NamedTuple):
    """The pairs of two blocks of rows, and how many were compared."""

    found: tuple[Ints, Ints, Floats]
    compared: int


@dataclass(frozen=True, slots=True)
class _Search:
    """Finds the pairs of any two blocks of rows, by short stand-ins where there are some.

    Attributes:
        count: only the first so many rows stand first in a pair.
    """

    unit: Floats
    count: int
    stand_ins: Floats | None
    floor: np.float32
    block: int

    def tile(self, corner: tuple[int, int]) -> _Tile:
        top, left = corner
        end = min(top + self.block, self.count)
        rows, columns = self.unit[top:end], self.unit[left : left + self.block]
        i, j, cosine = self._screened(corner) or self._compared(rows @ columns.T, self.floor)
        compared = len(rows) * len(columns)
        if top == left:
            upper = i < j
            i, j, cosine = i[upper], j[upper], cosine[upper]
            compared -= len(rows) * (len(rows) + 1) // 2
        return _Tile(((i + top).astype(np.int32), (j + left).astype(np.int32), cosine), compared)

    def _screened(self, corner: tuple[int, int]) -> tuple[Ints, Ints, Floats] | None:
        """By the stand-ins, then the full product of what passed; None where so much passed that it does not pay."""
        if self.stand_ins is None:
            return None
        top, left = corner
        bounds = self.stand_ins[top : min(top + self.block, self.count)] @ self.stand_ins[left : left + self.block].T
        i, j, _ = self._compared(bounds, self.floor - ROUNDING)
        if len(i) > bounds.size * MOST_SURVIVORS:
            return None
        cosine = np.empty(len(i), np.float32)
        for part in range(0, len(i), ROWS_AT_ONCE):
            some = slice(part, part + ROWS_AT_ONCE)
            np.einsum("nd,nd->n", self.unit[i[some] + top], self.unit[j[some] + left], out=cosine[some])
        near = cosine >= self.floor
        return i[near], j[near], cosine[near]

    @staticmethod
    def _compared(product: Floats, floor: np.float32) -> tuple[Ints, Ints, Floats]:
        flat = np.flatnonzero(product >= floor)
        i, j = np.divmod(flat, product.shape[1])
        return i, j, product.ravel()[flat]


class PairCollector:
    """Collects pairs of `n` things with their likeness; beyond the limit only the nearest of each.

    Each pair may be added once.
    """

    def __init__(self, n: int, limit: int) -> None:
        self._limit = limit
        self._parts: list[tuple[Ints, Ints, Floats]] = []
        self._count = 0
        self._nearest: int | None = None
        self._last_kept = np.full(n, -np.inf, np.float32)

    def add(self, i: Ints, j: Ints, cosine: Floats) -> None:
        """Add pairs ``i < j``."""
        if self._nearest is not None:
            near = cosine > np.minimum(self._last_kept[i], self._last_kept[j])
            i, j, cosine = i[near], j[near], cosine[near]
        if len(i):
            self._parts.append((i, j, cosine))
            self._count += len(i)
        if self._count > self._limit:
            self._keep_nearest()

    def _keep_nearest(self, nearest: int | None = None) -> None:
        """Keep the so many nearest of each row; as many as fit into half of the limit where None."""
        i, j, cosine = self._joined()
        ranks_i, ranks_j = _ranks(i, j, cosine)
        ranks = np.minimum(ranks_i, ranks_j)
        if nearest is None:
            # Half of the limit stays free, so that this happens rarely.
            fitting = int(np.searchsorted(np.cumsum(np.bincount(ranks)), self._limit // 2, side="right"))
            nearest = max(1, fitting if self._nearest is None else min(fitting, self._nearest))
        for ends, end_ranks in ((i, ranks_i), (j, ranks_j)):
            last = end_ranks == nearest - 1
            self._last_kept[ends[last]] = cosine[last]
        kept = ranks < nearest
        self._nearest = nearest
        self._parts = [(i[kept], j[kept], cosine[kept])]
        self._count = int(kept.sum())

    def _joined(self) -> tuple[Ints, Ints, Floats]:
        if not self._parts:
            return np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32)
        i, j, cosine = zip(*self._parts, strict=True)
        return np.concatenate(i), np.concatenate(j), np.concatenate(cosine)

    def pairs(self) -> Pairs:
        """What was collected, sorted."""
        if self._nearest is not None:
            self._keep_nearest(self._nearest)
        i, j, cosine = self._joined()
        order = np.lexsort((j, i))
        return Pairs(i[order], j[order], np.minimum(cosine[order], np.float32(1)), self._nearest)


def _ranks(i: Ints, j: Ints, cosine: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each pair its place (from 0) among all pairs of its first, and of its second row, nearest first."""
    ends = np.concatenate((i, j))
    order = np.lexsort((np.tile(-cosine, 2), ends))
    first = np.searchsorted(ends[order], ends[order])
    ranks = np.empty(len(ends), np.int64)
    ranks[order] = np.arange(len(ends)) - first
    return ranks[: len(i)], ranks[len(i) :]
