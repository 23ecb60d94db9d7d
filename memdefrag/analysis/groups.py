"""Groups of things that are alike, at any threshold, from one pass over the pairs.

Complete link: the likeness of two groups is that of their least alike members, and a pair that is not known to
be alike (or is barred) keeps its two groups apart at every threshold. So no chain of likenesses ever puts two
unlike things into one group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.similarity.pairs import Floats, Ints

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

    Equal scores are taken in the order of their pairs, so the result depends on the arguments alone; the merges down
    to any threshold are those of a run on the pairs from that threshold up.

    Args:
        i, j: the pairs, each at most once.
        score: float32, per pair. Pairs not named are unlike.
        barred: per pair, whether it must never share a group.
    """
    usable = slice(None) if barred is None else ~barred
    i, j, score = i[usable], j[usable], score[usable]
    low, high = np.minimum(i, j), np.maximum(i, j)
    falling = np.lexsort((high, low, -score))
    groups = _Groups(n)
    for pair in zip(low[falling].tolist(), high[falling].tolist(), score[falling].tolist(), strict=True):
        groups.meet(*pair)
    return groups.sequence()


class _Groups:
    """Groups that become one as soon as the last pair between them is met.

    The pairs come by falling score, so that last pair is the least alike one. Each group is a chain of its things;
    the final order then needs no tree.
    """

    def __init__(self, n: int) -> None:
        self._group = list(range(n))
        self._size = [1] * n
        self._met: list[dict[int, int]] = [{} for _ in range(n)]
        """Per group: how many pairs with each other group have been met."""
        self._first = list(range(n))
        self._last = list(range(n))
        self._next = [-1] * n
        self._joined_after = [NEVER] * n
        self._heights: list[float] = []

    def meet(self, one: int, other: int, score: float) -> None:
        a, b = self._group[one], self._group[other]
        met = self._met[a].get(b, 0) + 1
        if met < self._size[a] * self._size[b]:
            self._met[a][b] = self._met[b][a] = met
        elif len(self._met[a]) + self._size[a] < len(self._met[b]) + self._size[b]:
            self._join(b, a, score)
        else:
            self._join(a, b, score)

    def _join(self, kept: int, gone: int, score: float) -> None:
        """Two groups go on under the number of the one that is more work to rename."""
        ours, theirs = self._met[kept], self._met[gone]
        ours.pop(gone, None)
        theirs.pop(kept, None)
        for group, met in theirs.items():
            del self._met[group][gone]
            ours[group] = self._met[group][kept] = ours.get(group, 0) + met
        theirs.clear()
        thing = self._first[gone]
        while thing >= 0:
            self._group[thing] = kept
            thing = self._next[thing]
        self._size[kept] += self._size[gone]
        front, back = (kept, gone) if self._first[kept] < self._first[gone] else (gone, kept)
        end, start = self._last[front], self._first[back]
        self._next[end], self._joined_after[end] = start, score
        self._first[kept], self._last[kept] = self._first[front], self._last[back]
        self._heights.append(score)

    def sequence(self) -> MergeSequence:
        order: list[int] = []
        for thing, group in enumerate(self._group):
            at = thing if self._first[group] == thing else -1
            while at >= 0:
                order.append(at)
                at = self._next[at]
        leaves = np.array(order, np.int32)
        joined = np.array(self._joined_after, np.float32)[leaves[:-1]]
        return MergeSequence(leaves, joined, np.array(self._heights, np.float32))
