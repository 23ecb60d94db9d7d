"""Groups of things that are alike, at any threshold, from one pass over the pairs.

Complete link: the likeness of two groups is that of their least alike members, and a pair that is not known to
be alike (or is barred) keeps its two groups apart at every threshold. So no chain of likenesses ever puts two
unlike things into one group.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.pairs import Floats, Ints

Flags = npt.NDArray[np.bool_]

NEVER = float("nan")


@dataclass(frozen=True, slots=True)
class Grouping:
    """A partition of 0 … n-1. Group g holds ``order[starts[g] : starts[g + 1]]``.

    Attributes:
        starts: int32, one more than there are groups; the last is n.
    """

    order: Ints
    starts: Ints

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __iter__(self) -> Iterator[Ints]:
        for start, end in zip(self.starts[:-1], self.starts[1:], strict=True):
            yield self.order[start:end]

    @property
    def sizes(self) -> Ints:
        return np.diff(self.starts)

    @property
    def labels(self) -> Ints:
        """The group number of each of 0 … n-1."""
        labels = np.empty_like(self.order)
        labels[self.order] = np.repeat(np.arange(len(self), dtype=np.int32), self.sizes)
        return labels


@dataclass(frozen=True, slots=True)
class MergeSequence:
    """All merges, from the most alike down, laid out so that every threshold is one comparison per thing.

    Attributes:
        order: the things, such that every group that ever exists is a run of neighbours.
        joined: ``joined[k]`` is the score at which ``order[k]`` and ``order[k + 1]`` come together (NaN: they
            do not); one shorter than `order`.
        heights: the score of each merge, never rising.
    """

    order: Ints
    joined: Floats
    heights: Floats

    def at(self, threshold: float) -> Grouping:
        """The groups whose members all have at least this score with each other."""
        cuts = np.flatnonzero(~(self.joined >= np.float32(threshold))) + 1
        ends = [len(self.order)] if len(self.order) else []
        return Grouping(self.order, np.concatenate(([0], cuts, ends)).astype(np.int32))


def merge_sequence(n: int, i: Ints, j: Ints, score: Floats, barred: Flags | None = None) -> MergeSequence:
    """Merge things 0 … n-1 by complete link, from the highest score down.

    Equal scores are taken in a fixed order, so the result depends on the arguments alone; the merges down to any
    threshold are those of a run on the pairs from that threshold up.

    Args:
        i, j: the pairs, each at most once.
        score: float32, per pair. Pairs not named are unlike.
        barred: per pair, whether it must never share a group.
    """
    near: list[dict[int, float] | None] = [None] * n
    heap: list[tuple[float, int, int]] = []
    usable = slice(None) if barred is None else ~barred
    for a, b, s in zip(i[usable].tolist(), j[usable].tolist(), score[usable].tolist(), strict=True):
        for one, other in ((a, b), (b, a)):
            known = near[one]
            if known is None:
                known = near[one] = {}
            known[other] = s
        heap.append((-s, min(a, b), max(a, b)))
    heapq.heapify(heap)
    chains = _Chains(n)
    while heap:
        fallen, a, b = heapq.heappop(heap)
        near_a, near_b = near[a], near[b]
        if near_a is None or near_b is None or near_a.get(b) != -fallen:
            continue
        near.append(_join(near, a, b, near_a, near_b, heap))
        chains.join(a, b, -fallen)
    return chains.sequence()


def _join(
    near: list[dict[int, float] | None],
    a: int,
    b: int,
    near_a: dict[int, float],
    near_b: dict[int, float],
    heap: list[tuple[float, int, int]],
) -> dict[int, float]:
    """The likenesses of the new group (whose number is the list's length), which replaces `a` and `b`."""
    merged = len(near)
    near[a] = near[b] = None
    joint: dict[int, float] = {}
    for others, gone in ((near_a, a), (near_b, b)):
        for other in others:
            if (theirs := near[other]) is not None:
                del theirs[gone]
    for other in near_a.keys() & near_b.keys():
        likeness = min(near_a[other], near_b[other])
        joint[other] = likeness
        theirs = near[other]
        assert theirs is not None
        theirs[merged] = likeness
        heapq.heappush(heap, (-likeness, other, merged))
    return joint


class _Chains:
    """Keeps every group as a chain of its things, so that the final order needs no tree."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._first = list(range(n))
        self._last = list(range(n))
        self._next = [-1] * n
        self._joined_after = [NEVER] * n
        self._is_start = [True] * n
        self._heights: list[float] = []

    def join(self, a: int, b: int, height: float) -> None:
        if self._first[a] > self._first[b]:
            a, b = b, a
        end, start = self._last[a], self._first[b]
        self._next[end] = start
        self._joined_after[end] = height
        self._is_start[start] = False
        self._first.append(self._first[a])
        self._last.append(self._last[b])
        self._heights.append(height)

    def sequence(self) -> MergeSequence:
        order: list[int] = []
        for start in range(self._n):
            at = start if self._is_start[start] else -1
            while at >= 0:
                order.append(at)
                at = self._next[at]
        leaves = np.array(order, np.int32)
        joined = np.array(self._joined_after, np.float32)[leaves[:-1]]
        return MergeSequence(leaves, joined, np.array(self._heights, np.float32))
