"""Vectors that are equal bit for bit are compared once, and named again when their pairs are listed.

Which pairs are named:

- of up to 31 equal rows all; of more, each row with the 30 that follow it;
- where two different rows are alike, each row that equals the one with each that equals the other; of more than
  31 equal rows only the first 31.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.similarity.collect import Crowd, Floats, Ints, Pairs, PairsFound

FAMILY = 30
"""So many equal rows are named in full; it bounds the pairs of a crowd by so many for each row."""

_ROWS_AT_ONCE = 4_096


class EqualRows:
    """The families of equal rows, those with a fresh row first, else in the order of their first rows.

    Attributes:
        order: per family the number of its first row; None where every row is alone and all are fresh.
        fresh: how many families hold a fresh row.
        largest: the largest family.
    """

    def __init__(self, unit: Floats, fresh: npt.NDArray[np.bool_] | None = None) -> None:
        self._unit, self._fresh = unit, fresh
        self._members, starts = _families(unit)
        first = self._members[starts]
        size = np.diff(np.append(starts, len(unit)))
        new = np.ones(len(starts), np.bool_) if fresh is None else _any_of_each(fresh[self._members], starts)
        by_first = np.lexsort((first, ~new))
        self._starts, self._size = starts[by_first], size[by_first]
        self._alone = len(starts) == len(unit)
        self.order: Ints | None = None if self._alone and fresh is None else first[by_first]
        self.fresh = int(np.count_nonzero(new))
        at = int(np.argmax(self._size)) if len(starts) else 0
        self.largest = Crowd(int(first[by_first][at]), int(self._size[at])) if len(starts) else Crowd(0, 0)

    def __len__(self) -> int:
        return len(self._starts)

    def rows(self, some: slice) -> Floats:
        """The first rows of some families."""
        return self._unit[some] if self.order is None else self._unit[self.order[some]]

    def products(self, one: Ints, other: Ints) -> Floats:
        """The dot product of each two families' rows."""
        found = np.empty(len(one), np.float32)
        for start in range(0, len(one), _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            i, j = (one[some], other[some]) if self.order is None else (self.order[one[some]], self.order[other[some]])
            np.einsum("nd,nd->n", self._unit[i], self._unit[j], out=found[some])
        return found

    def between(self, one: Ints, other: Ints, cosine: Floats) -> PairsFound:
        """The pairs of rows that pairs of different families stand for."""
        if self.order is None:
            return PairsFound(one, other, cosine)
        if self._alone:
            return self._wanted(self.order[one], self.order[other], cosine)
        ones, others = (np.minimum(self._size[end], FAMILY + 1) for end in (one, other))
        count = ones * others
        pair = np.repeat(np.arange(len(one)), count)
        place = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
        i = self._members[self._starts[one][pair] + place // others[pair]]
        j = self._members[self._starts[other][pair] + place % others[pair]]
        return self._wanted(i, j, cosine[pair])

    def within(self, floor: np.float32) -> PairsFound:
        """The pairs of equal rows, as far as they are as long as `floor` asks: rows of zeros are like nothing."""
        several = np.flatnonzero(self._size > 1).astype(np.int32)
        lengths = np.zeros(len(self), np.float32)
        lengths[several] = self.products(several, several)
        named = np.repeat(several, self._size[several])
        places = np.repeat(self._starts[several], self._size[several])
        places += np.arange(len(named)) - np.repeat(
            np.cumsum(self._size[several]) - self._size[several], self._size[several]
        )
        found = [PairsFound.none()]
        for apart in range(1, min(FAMILY, self.largest.alike - 1) + 1):
            at = np.flatnonzero((named[apart:] == named[:-apart]) & (lengths[named[apart:]] >= floor))
            i, j = self._members[places[at]], self._members[places[at + apart]]
            found.append(self._wanted(i, j, lengths[named[at]]))
        return PairsFound(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def told(self, found: Pairs) -> Pairs:
        """The same, with the largest family where not all of its pairs were named."""
        if self.largest.alike <= FAMILY + 1:
            return found
        crowd = max(self.largest, found.crowd or self.largest, key=lambda each: each.alike)
        return replace(found, nearest=found.nearest or FAMILY, crowd=crowd)

    def _wanted(self, i: Ints, j: Ints, cosine: Floats) -> PairsFound:
        found = PairsFound(np.minimum(i, j), np.maximum(i, j), cosine)
        return found if self._fresh is None else found.where(self._fresh[i] | self._fresh[j])


def _families(unit: Floats) -> tuple[Ints, npt.NDArray[np.int64]]:
    """All row numbers, equal rows side by side and rising, and where each family starts among them.

    Rows are told apart by a hash first; a family is split where two rows share the hash alone.
    """
    bits = np.ascontiguousarray(unit, np.float32).view(np.uint32)
    weights = np.random.default_rng(0).integers(0, 2**32, bits.shape[1], np.uint32) | np.uint32(1)
    hashes = bits @ weights
    members = np.argsort(hashes, kind="stable").astype(np.int32)
    hashes = hashes[members]
    same = hashes[1:] == hashes[:-1]
    perhaps = np.flatnonzero(same)
    for start in range(0, len(perhaps), _ROWS_AT_ONCE):
        some = perhaps[start : start + _ROWS_AT_ONCE]
        same[some] = (bits[members[some]] == bits[members[some + 1]]).all(axis=1)
    starts = np.flatnonzero(np.concatenate((np.ones(min(1, len(unit)), np.bool_), ~same)))
    return members, starts


def _any_of_each(flags: npt.NDArray[np.bool_], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    if not len(starts):
        return np.empty(0, np.bool_)
    found: npt.NDArray[np.bool_] = np.logical_or.reduceat(flags, starts)
    return found
