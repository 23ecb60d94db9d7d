"""All pairs of vectors above a floor: exact, by blocks of a symmetric matrix product, screened by a thinner one."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from memdefrag.analysis.similarity.collect import Crowd as Crowd
from memdefrag.analysis.similarity.collect import Floats as Floats
from memdefrag.analysis.similarity.collect import Ints as Ints
from memdefrag.analysis.similarity.collect import PairCollector as PairCollector
from memdefrag.analysis.similarity.collect import Pairs as Pairs
from memdefrag.analysis.similarity.collect import PairsFound
from memdefrag.analysis.similarity.equal_rows import EqualRows
from memdefrag.analysis.similarity.screen import ROUNDING, pays, screen
from memdefrag.base.progress import Progress
from memdefrag.base.settings import pair_memory

BLOCK = 512
"""Rows of a tile; it has twice as many columns, so that its product stays in the processor's cache."""
TILES_AHEAD = 3
"""Tiles under way for each thread: their pairs may be in memory at once."""
TILE_BYTES = 48
"""What a pair of a tile needs in memory where all of them are found."""
MOST_SURVIVORS = 0.01
"""Where more of a tile passes the screen, its full product is quicker than so many single ones."""
PAIR_LIMIT = 1_000_000
"""More pairs than anybody reviews."""
PAIRS_PER_ROW = 200
"""With more on average, only each row's nearest are kept."""


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
    fresh: npt.NDArray[np.bool_] | None = None,
    block: int = BLOCK,
    limit: int | None = None,
    memory: int | None = None,
    threads: int | None = None,
) -> Pairs:
    """Every pair of rows whose dot product is at least `floor`.

    Where there are more than `limit`, each row keeps its nearest only, so that thousands of rows that are all alike
    do not crowd out the others (see `Pairs.nearest`). Equal rows are compared once; of more than 31 of them not all
    pairs are named (see `equal_rows`).

    Args:
        unit: float32 (n, d), rows of length 1.
        fresh: bool (n,). Where given, only pairs with at least one fresh row are looked for, and the work is that of
            the fresh rows with all: for what is new among many rows whose pairs are known.
        limit: None: `PAIRS_PER_ROW` for each row.
        memory: bytes that may be used beside `unit` and a short stand-in for each row; pairs that need more are
            kept in a temporary file. None: as the settings say.
        threads: how many work at once, each with one thread of the maths library (many threads in one thin product
            wait for each other more than they work); None: one for each core.

    Raises:
        Cancelled: between two blocks.
        NoSpace: the pairs need a temporary file, and there is no room for it.
    """
    memory = pair_memory() if memory is None else memory
    found = PairCollector(len(unit), PAIRS_PER_ROW * len(unit) if limit is None else limit, memory // 2)
    most_threads = memory // 2 // (2 * block * block * TILE_BYTES)
    rows = EqualRows(unit, fresh)
    total = rows.fresh * (rows.fresh - 1) // 2 + rows.fresh * (len(rows) - rows.fresh)
    progress.phase("Comparing vectors", total)
    with _maths_library().limit(limits=1, user_api="blas"):
        stand_ins = screen(unit, floor, rows.order) if pays(total, unit.shape[1]) else None
        search = _Search(rows, stand_ins, np.float32(floor), block)
        for tile in _in_turn(search.tile, search.tiles(), max(1, min(threads or os.cpu_count() or 1, most_threads))):
            found.add(*rows.between(*tile.found))
            progress.step(tile.compared)
    found.add(*rows.within(np.float32(floor)))
    return rows.told(found.pairs())


@cache
def _maths_library() -> ThreadpoolController:
    """Looking for the libraries of a process takes longer than comparing a few hundred vectors."""
    return ThreadpoolController()


class _Tile(NamedTuple):
    """The pairs of two blocks of rows, and how many were compared."""

    found: PairsFound
    compared: int


def _in_turn(
    work: Callable[[tuple[int, int]], _Tile], corners: Iterable[tuple[int, int]], threads: int
) -> Iterator[_Tile]:
    """The tiles in order, some of them at work at once."""
    under_way: deque[Future[_Tile]] = deque()
    with ThreadPoolExecutor(threads) as workers:
        try:
            for corner in corners:
                under_way.append(workers.submit(work, corner))
                if len(under_way) > TILES_AHEAD * threads:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            workers.shutdown(cancel_futures=True)


class _Search:
    """Finds the pairs of any two blocks of rows, by short stand-ins where there are some."""

    def __init__(self, rows: EqualRows, stand_ins: Floats | None, floor: np.float32, block: int) -> None:
        self._rows, self._stand_ins, self._floor, self._block = rows, stand_ins, floor, block
        self._own = threading.local()

    def tiles(self) -> Iterator[tuple[int, int]]:
        """The first row and column of each tile that holds a pair to compare."""
        for top in range(0, self._rows.fresh, self._block):
            for left in range(top, len(self._rows), 2 * self._block):
                yield top, left

    def tile(self, corner: tuple[int, int]) -> _Tile:
        top, left = corner
        rows = slice(top, min(top + self._block, self._rows.fresh))
        columns = slice(left, min(left + 2 * self._block, len(self._rows)))
        i, j, cosine = self._screened(rows, columns) or self._compared(rows, columns)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        compared = height * width
        if top == left:
            upper = i < j
            i, j, cosine = i[upper], j[upper], cosine[upper]
            compared -= height * (height + 1) // 2
        return _Tile(PairsFound(i, j, cosine), compared)

    def _screened(self, rows: slice, columns: slice) -> PairsFound | None:
        """By the stand-ins, then the full product of what passed; None where so much passed that it does not pay."""
        if self._stand_ins is None:
            return None
        product, flat = self._at_least(self._stand_ins[rows], self._stand_ins[columns], self._floor - ROUNDING)
        if len(flat) > product.size * MOST_SURVIVORS:
            return None
        i, j = _places(flat, rows, columns)
        found = PairsFound(i, j, self._rows.products(i, j))
        return found.where(found.cosine >= self._floor)

    def _compared(self, rows: slice, columns: slice) -> PairsFound:
        product, flat = self._at_least(self._rows.rows(rows), self._rows.rows(columns), self._floor)
        return PairsFound(*_places(flat, rows, columns), product.ravel()[flat])

    def _at_least(self, rows: Floats, columns: Floats, floor: np.float32) -> tuple[Floats, npt.NDArray[np.int64]]:
        """The product of two blocks, in memory that the thread's next one overwrites, and where it is high enough."""
        if not hasattr(self._own, "product"):
            self._own.product = np.empty(2 * self._block**2, np.float32)
            # Looked at by eight: the last may be filled up.
            self._own.passes = np.zeros(-(-2 * self._block**2 // 8) * 8, np.bool_)
        shape, size = (len(rows), len(columns)), len(rows) * len(columns)
        product: Floats = self._own.product[:size].reshape(shape)
        np.matmul(rows, columns.T, out=product)
        passes: npt.NDArray[np.bool_] = self._own.passes
        np.greater_equal(product, floor, out=passes[:size].reshape(shape))
        eight = -(-size // 8)
        passes[size : 8 * eight] = False
        some = np.flatnonzero(passes[: 8 * eight].view(np.uint64) != 0)
        at, place = np.nonzero(passes[: 8 * eight].reshape(-1, 8)[some])
        return product, 8 * some[at] + place


def _places(flat: npt.NDArray[np.int64], rows: slice, columns: slice) -> tuple[Ints, Ints]:
    i, j = np.divmod(flat, columns.stop - columns.start)
    return (i + rows.start).astype(np.int32), (j + columns.start).astype(np.int32)
