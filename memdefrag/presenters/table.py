"""The groups at one threshold as arrays: what is ticked, what it would change, and the rows that show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from memdefrag.presenters.decisions import Action, Packed

if TYPE_CHECKING:
    from memdefrag.analysis.result import RecordGrouping

Ints = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

HEADER = -1
OPEN, TICKED, LEFT, NOT_DUPLICATES = range(4)
"""What the person said about a group; `OPEN`: nothing yet."""
MERGE, APART = (list(Action).index(action) for action in (Action.MERGE, Action.APART))
_SAYS = {Action.MERGE: TICKED, Action.LEAVE: LEFT, Action.APART: NOT_DUPLICATES}
_SAID = np.array([_SAYS[action] for action in Action], np.int8)


@dataclass(frozen=True, slots=True)
class Consequences:
    """What the ticked groups come to. `risky`: merges that are likely, not sure."""

    groups: int
    removed: int
    risky: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Rows:
    """One entry per row: the group, and the record (`HEADER` for the group's own row)."""

    group: Ints
    member: Ints

    def __len__(self) -> int:
        return len(self.group)


class GroupTable:
    """Groups of records with the state of each.

    Group g holds the records ``order[starts[g] : starts[g + 1]]``, the best survivor first.

    Args:
        by_rank: all records, the best survivor first.
        weight: int64 bytes of each record.
    """

    def __init__(
        self, grouping: RecordGrouping, by_rank: Ints, weight: npt.NDArray[np.int64], choices: Packed
    ) -> None:
        self.label, self.size, self.sure, self.score = grouping.label, grouping.size, grouping.sure, grouping.score
        labels = self.label[by_rank]
        inside = labels >= 0
        self.order = by_rank[inside][np.argsort(labels[inside], kind="stable")]
        self.starts = np.concatenate(([0], np.cumsum(self.size))).astype(np.int32)
        self.survivor = self.order[self.starts[:-1]]
        self.ticked = self.sure.copy()
        self.said = np.zeros(len(self.size), np.int8)
        self.doubted = np.zeros(len(self.size), np.bool_)
        self.kept = np.zeros(len(self.label), np.bool_)
        self.edited = np.zeros(len(self.size), np.bool_)
        self._weight = weight
        self._of_group = self._sums(weight)
        self.take(choices)

    def __len__(self) -> int:
        return len(self.size)

    def members(self, group: int) -> Ints:
        """The records of a group, the best survivor first."""
        members: Ints = self.order[self.starts[group] : self.starts[group + 1]]
        return members

    def find(self, members: frozenset[int]) -> int:
        """The group of exactly these records, or -1."""
        group = int(self.label[next(iter(members))])
        if group < 0 or self.size[group] != len(members):
            return -1
        return group if all(self.label[member] == group for member in members) else -1

    def take(self, choices: Packed) -> None:
        """Show choices: in their own groups, or as a doubt in every group that holds several of their memories."""
        if not len(choices) or not len(self):
            return
        labels = self.label[choices.members]
        lowest = np.minimum.reduceat(labels, choices.starts[:-1])
        highest = np.maximum.reduceat(labels, choices.starts[:-1])
        whole = (lowest == highest) & (lowest >= 0) & (self.size[lowest] == np.diff(choices.starts)) & ~choices.update
        groups = lowest[whole]
        self.ticked[groups] = choices.action[whole] == MERGE
        self.said[groups] = _SAID[choices.action[whole]]
        self.survivor[groups] = choices.survivor[whole]
        self.edited[groups] = choices.edited[whole]
        changed = np.zeros(len(self), np.bool_)
        changed[groups] = True
        self.kept &= ~np.append(changed, False)[self.label]
        self.kept[choices.kept[whole[choices.kept_of]]] = True
        doubtful = (choices.action == APART) & ~whole | choices.update & (choices.action == MERGE)
        for choice in np.flatnonzero(doubtful).tolist():
            self._doubt(labels[choices.starts[choice] : choices.starts[choice + 1]], bool(choices.update[choice]))

    def _doubt(self, labels: Ints, update: bool) -> None:
        """A group that holds what was told apart, or a memory of an update, is not ticked by itself."""
        found, times = np.unique(labels[labels >= 0], return_counts=True)
        groups = found if update else found[times > 1]
        self.doubted[groups] = True
        self.ticked[groups[self.said[groups] == OPEN]] = False

    def consequences(self) -> Consequences:
        """What the ticked groups come to."""
        ticked = self.ticked
        kept = np.flatnonzero(self.kept)
        labels = self.label[kept]
        kept_count = np.bincount(labels, minlength=len(self))
        kept_bytes = np.bincount(labels, weights=self._weight[kept], minlength=len(self)).astype(np.int64)
        removed = self.size - 1 - kept_count
        saved = self._of_group - self._weight[self.survivor] - kept_bytes
        return Consequences(
            int(ticked.sum()),
            int(removed[ticked].sum()),
            int((ticked & ~self.sure).sum()),
            int(saved[ticked].sum()),
        )

    def rows(self, groups: Ints) -> Rows:
        """A header row and the members' rows for each of the groups, in that order."""
        sizes = self.size[groups].astype(np.int64) + 1
        group = np.repeat(groups, sizes).astype(np.int32)
        ends = np.cumsum(sizes)
        place = np.arange(len(group)) - np.repeat(ends - sizes, sizes)
        member = np.full(len(group), HEADER, np.int32)
        inner = place > 0
        member[inner] = self.order[self.starts[group[inner]] + place[inner] - 1]
        return Rows(group, member)

    def any_of(self, records: Flags) -> Flags:
        """Per group whether one of its records is marked."""
        if not len(self):
            return np.zeros(0, np.bool_)
        return np.logical_or.reduceat(records[self.order], self.starts[:-1])

    def latest(self, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Per group its largest time."""
        if not len(self):
            return np.zeros(0)
        return np.maximum.reduceat(times[self.order], self.starts[:-1])

    def _sums(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        if not len(self):
            return np.zeros(0, np.int64)
        return np.add.reduceat(values[self.order], self.starts[:-1])
