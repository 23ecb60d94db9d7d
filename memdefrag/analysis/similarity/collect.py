"""Pairs as they are found, within a bound of memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from memdefrag.base.errors import NoSpace
from memdefrag.base.settings import PAIR_MEMORY_VARIABLE, pair_memory

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

NEAREST = 10
"""Where there are too many pairs, so many of each row are kept; fewer where not even these fit."""
BYTES_PER_PAIR = 120
"""What a pair needs in memory while it is ranked among others."""


class PairsFound(NamedTuple):
    """Pairs of rows ``i < j`` in any order, with their cosine."""

    i: Ints
    j: Ints
    cosine: Floats

    @classmethod
    def none(cls) -> PairsFound:
        return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))

    @classmethod
    def together(cls, parts: Sequence[PairsFound]) -> PairsFound:
        return cls(*(np.concatenate(column) for column in zip(cls.none(), *parts, strict=True)))

    def where(self, wanted: npt.NDArray[Any] | slice) -> PairsFound:
        """Some of them, or all in another order."""
        return PairsFound(self.i[wanted], self.j[wanted], self.cosine[wanted])

    def in_order(self) -> PairsFound:
        return self.where(np.argsort(self.i.astype(np.int64) << 32 | self.j))


class Crowd(NamedTuple):
    """The largest set of rows that are alike: one of them, and how many are like it, itself included."""

    row: int
    alike: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of rows ``i < j``, sorted by (i, j), with the cosine of their vectors.

    The arrays are read from an unnamed temporary file where they need more memory than is allowed.

    Attributes:
        nearest: None when these are all pairs above the floor. Otherwise there were too many, and a pair was kept
            when it is among the so many nearest of one of its rows.
        crowd: where `nearest` is not None, the rows that are to blame most.
    """

    i: Ints
    j: Ints
    cosine: Floats
    nearest: int | None = None
    crowd: Crowd | None = None

    def __len__(self) -> int:
        return len(self.i)

    def renamed(self, names: Ints) -> Pairs:
        """The same pairs of other rows: ``names[row]`` for each row."""
        one, other = names[self.i], names[self.j]
        found = PairsFound(np.minimum(one, other), np.maximum(one, other), self.cosine).in_order()
        crowd = self.crowd and Crowd(int(names[self.crowd.row]), self.crowd.alike)
        return Pairs(*found, self.nearest, crowd)


class PairCollector:
    """Collects pairs of `n` things with their likeness; beyond the limit only the nearest of each.

    Each pair may be added once.

    Args:
        limit: so many pairs are kept in full.
        memory: bytes that may be used; what needs more is kept in a temporary file. None: as the settings say.
    """

    def __init__(self, n: int, limit: int, memory: int | None = None) -> None:
        self._limit = limit
        self._most_in_memory = max(1, (pair_memory() if memory is None else memory) // BYTES_PER_PAIR)
        self._parts: list[PairsFound] = []
        self._count = 0
        self._all = 0
        self._runs: list[PairsFound] = []
        """Sorted, in temporary files."""
        self._nearest: int | None = None
        self._last_kept = np.full(n, -np.inf, np.float32)
        self._alike = np.zeros(n, np.int64)

    def add(self, i: Ints, j: Ints, cosine: Floats) -> None:
        """Add pairs ``i < j``.

        Raises:
            NoSpace: they need more than the memory allowed, and there is no room for a temporary file.
        """
        for ends in (i, j):
            if len(ends) < len(self._alike):
                np.add.at(self._alike, ends, 1)
            else:
                self._alike += np.bincount(ends, minlength=len(self._alike))
        self._all += len(i)
        # Rounding may put the product of two unit rows above 1.
        found = PairsFound(i, j, np.minimum(cosine, np.float32(1)))
        if self._nearest is not None:
            found = found.where(cosine > np.minimum(self._last_kept[i], self._last_kept[j]))
        if len(found.i):
            self._parts.append(found)
            self._count += len(found.i)
        if self._nearest is None and self._all > self._limit:
            self._nearest = max(1, min(NEAREST, self._limit // (2 * len(self._alike))))
            self._keep_nearest(self._nearest)
        elif self._count > self._most_in_memory:
            self._spill() if self._nearest is None else self._keep_nearest(self._nearest)

    def _keep_nearest(self, nearest: int) -> None:
        """Keep the nearest of each row, of what is in memory and in the file, a part at a time."""
        kept = PairsFound.none()
        for some in (*self._runs, PairsFound.together(self._parts)):
            joined = PairsFound.together([kept, some])
            ranks_i, ranks_j = _ranks(*joined)
            kept = joined.where(np.minimum(ranks_i, ranks_j) < nearest)
            for ends, ranks in ((joined.i, ranks_i), (joined.j, ranks_j)):
                last = ranks == nearest - 1
                self._last_kept[ends[last]] = joined.cosine[last]
        self._runs = []
        self._parts, self._count = [kept], len(kept.i)

    def _spill(self) -> None:
        self._runs.append(_in_file([PairsFound.together(self._parts).in_order()]))
        self._parts, self._count = [], 0

    def pairs(self) -> Pairs:
        """What was collected, sorted.

        Raises:
            NoSpace: as for `add`.
        """
        crowd = None
        if self._nearest is not None:
            self._keep_nearest(self._nearest)
            row = int(np.argmax(self._alike))
            crowd = Crowd(row, int(self._alike[row]) + 1)
        if self._runs:
            if self._count:
                self._spill()
            i, j, cosine = _in_file(_merged(self._runs, self._most_in_memory))
        else:
            i, j, cosine = PairsFound.together(self._parts).in_order()
        return Pairs(i, j, cosine, self._nearest, crowd)


def _ranks(i: Ints, j: Ints, cosine: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each pair its place (from 0) among all pairs of its first, and of its second row, nearest first."""
    ends = np.concatenate((i, j)).astype(np.int64)
    # As an integer a float rises with its value; the key sorts by row, then by falling cosine, and much faster.
    bits = cosine.view(np.int32)
    order = np.argsort((ends << 32) - np.tile(np.where(bits < 0, bits ^ 0x7FFFFFFF, bits), 2))
    starts = np.flatnonzero(np.diff(ends[order], prepend=-1))
    ranks = np.empty(len(ends), np.int64)
    ranks[order] = np.arange(len(ends)) - np.repeat(starts, np.diff(starts, append=len(ends)))
    return ranks[: len(i)], ranks[len(i) :]


def _in_file(parts: Iterable[PairsFound]) -> PairsFound:
    """The parts one after another, read from files without a name: they go with the last array, or the process."""
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in PairsFound._fields]
        try:
            for part in parts:
                for file, column in zip(files, part, strict=True):
                    file.write(np.ascontiguousarray(column).data)
            for file in files:
                file.flush()
        except OSError as error:
            raise NoSpace(
                f"There are so many similar pairs that a temporary file is needed, and it cannot be written: {error}.",
                todo=f"Free some space, or allow more memory, such as {PAIR_MEMORY_VARIABLE}=2GB.",
            ) from error
        i, j = (np.memmap(file, np.int32, "r") for file in files[:2])
        return PairsFound(i, j, np.memmap(files[2], np.float32, "r"))


def _merged(runs: Sequence[PairsFound], at_once: int) -> Iterator[PairsFound]:
    """The pairs of sorted runs, sorted, in parts of about so many."""
    rows = 1 + max(int(run.i[-1]) for run in runs)
    until = np.cumsum(np.sum([np.bincount(run.i, minlength=rows) for run in runs], axis=0))
    cuts = [0, *(np.flatnonzero(np.diff(until // at_once)) + 1).tolist(), rows]
    for start, end in pairwise(cuts):
        yield PairsFound.together([_of_rows(run, start, end) for run in runs]).in_order()


def _of_rows(run: PairsFound, start: int, end: int) -> PairsFound:
    """The pairs of a sorted run whose first rows lie in a range."""
    return run.where(slice(*np.searchsorted(run.i, (start, end)).tolist()))
