"""All pairs of vectors above a floor: exact, by blocks of a symmetric matrix product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memdefrag.base.progress import Progress

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

BLOCK = 1024
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
    unit: Floats, floor: float, progress: Progress, *, block: int = BLOCK, limit: int = PAIR_LIMIT
) -> Pairs:
    """Every pair of rows whose dot product is at least `floor`.

    Memory is bounded by `limit` pairs and two blocks: where thousands of rows are all alike, each keeps only its
    nearest, so that they do not crowd out the others (see `Pairs.nearest`).

    Args:
        unit: float32 (n, d), rows of length 1.

    Raises:
        Cancelled: between two blocks.
    """
    n = len(unit)
    found = PairCollector(n, limit)
    progress.phase("Comparing vectors", n * (n - 1) // 2)
    for top in range(0, n, block):
        rows = unit[top : top + block]
        for left in range(top, n, block):
            columns = unit[left : left + block]
            found.add(*_block_pairs(rows, columns, top, left, floor))
            square = len(rows) * (len(rows) - 1) // 2
            progress.step(square if left == top else len(rows) * len(columns))
    return found.pairs()


def _block_pairs(rows: Floats, columns: Floats, top: int, left: int, floor: float) -> tuple[Ints, Ints, Floats]:
    product = rows @ columns.T
    flat = np.flatnonzero(product >= np.float32(floor))
    i, j = np.divmod(flat, len(columns))
    if top == left:
        upper = i < j
        flat, i, j = flat[upper], i[upper], j[upper]
    return (i + top).astype(np.int32), (j + left).astype(np.int32), product.ravel()[flat]


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
