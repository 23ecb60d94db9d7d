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
"""More pairs than anybody reviews; beyond it the floor rises."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of rows ``i < j``, sorted by (i, j), with the cosine of their vectors.

    `floor` is the one that was searched: the one asked for, or a higher one where there were too many pairs.
    """

    i: Ints
    j: Ints
    cosine: Floats
    floor: float

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

    Memory is bounded by `limit` pairs and two blocks. Where more pairs than `limit` are found, the floor rises
    until they fit; `Pairs.floor` tells.

    Args:
        unit: float32 (n, d), rows of length 1.

    Raises:
        Cancelled: between two blocks.
    """
    n = len(unit)
    found = _Found(floor, limit)
    progress.phase("Comparing vectors", n * (n - 1) // 2)
    for top in range(0, n, block):
        rows = unit[top : top + block]
        for left in range(top, n, block):
            columns = unit[left : left + block]
            found.add(*_block_pairs(rows, columns, top, left, found.floor))
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


class _Found:
    """Collects pairs; keeps them under the limit by raising the floor."""

    def __init__(self, floor: float, limit: int) -> None:
        self.floor = floor
        self._limit = limit
        self._parts: list[tuple[Ints, Ints, Floats]] = []
        self._count = 0

    def add(self, i: Ints, j: Ints, cosine: Floats) -> None:
        if len(i):
            self._parts.append((i, j, cosine))
            self._count += len(i)
        if self._count > self._limit:
            self._raise_floor()

    def _raise_floor(self) -> None:
        i, j, cosine = self._joined()
        # Half of them go, so that this happens rarely; equal cosines go together.
        middle = np.partition(cosine, len(cosine) // 2)[len(cosine) // 2]
        self.floor = float(np.nextafter(middle, np.float32(2)))
        kept = cosine >= np.float32(self.floor)
        self._parts = [(i[kept], j[kept], cosine[kept])]
        self._count = int(kept.sum())

    def _joined(self) -> tuple[Ints, Ints, Floats]:
        if not self._parts:
            return np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32)
        i, j, cosine = zip(*self._parts, strict=True)
        return np.concatenate(i), np.concatenate(j), np.concatenate(cosine)

    def pairs(self) -> Pairs:
        i, j, cosine = self._joined()
        order = np.lexsort((j, i))
        return Pairs(i[order], j[order], np.minimum(cosine[order], np.float32(1)), self.floor)
