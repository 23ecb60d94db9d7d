"""What an analysis found, ready for any threshold without looking at the memories again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from memdefrag.analysis import guard
from memdefrag.analysis.groups import Flags, MergeSequence, merge_sequence
from memdefrag.analysis.language.stamps import unwrap
from memdefrag.analysis.language.words import Words, normalise
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.scored import ScoredPairs
from memdefrag.analysis.similarity.collect import Crowd
from memdefrag.analysis.similarity.pairs import Floats, Ints
from memdefrag.model.capabilities import Capabilities
from memdefrag.model.hashing import canonical_json
from memdefrag.model.records import MemoryRecord

SURE, LIKELY = "sure", "likely"


@dataclass(frozen=True, slots=True)
class Group:
    """Memories that say the same thing.

    Attributes:
        id: made of the members' keys, so it stays the same as long as the members do.
        members: indices into `Analysis.records`, ascending.
        tier: "sure" when all members are surely the same, else "likely".
        sure: the disjoint sets of members (two or more each) whose every pair is sure.
        score: of the least alike two members.
        cosine: the lowest between two members; None where no two have comparable vectors.
    """

    id: str
    members: tuple[int, ...]
    tier: str
    sure: tuple[tuple[int, ...], ...]
    score: float
    cosine: float | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two memories that are alike but contradict each other: perhaps an update.

    Attributes:
        members: the newer first.
        differs_in: in words, from the older to the newer ("number: 8080 → 8081"); where neither is newer, the first
            beside the second ("number: 8080 / 8081").
    """

    members: tuple[int, int]
    score: float
    differs_in: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordGrouping:
    """The groups of two or more at one threshold, as arrays.

    Attributes:
        label: per record the number of its group, -1 for none.
        size: per group the number of its records.
        sure: per group whether its tier is "sure".
        score: per group the score of its least alike members.
    """

    label: Ints
    size: Ints
    sure: Flags
    score: Floats

    def __len__(self) -> int:
        return len(self.size)


@dataclass(frozen=True)
class Analysis:
    """The result of `detect.analyze`.

    Records whose texts normalise to the same share one *node*; `pairs` and `sequence` are about nodes.

    Attributes:
        stores: addresses of the stores looked at; `store` is each record's index into them.
        node: int32, per record.
        nearest: None, or: there were so many similar pairs that of each record only so many nearest were looked at.
        crowd: where `nearest` is not None, the largest set of nodes that are alike.
        capabilities: what each of the stores can hold, as `Snapshot` has it.
    """

    records: tuple[MemoryRecord, ...]
    stores: tuple[str, ...]
    store: Ints
    node: Ints
    pairs: ScoredPairs
    sequence: MergeSequence
    options: AnalysisOptions
    nearest: int | None = None
    crowd: Crowd | None = None
    capabilities: tuple[Capabilities | None, ...] = ()

    @cached_property
    def _weights(self) -> Ints:
        """The number of records of each node."""
        return np.bincount(self.node, minlength=len(self.sequence.order)).astype(np.int32)

    @cached_property
    def _by_node(self) -> tuple[Ints, Ints]:
        """Records sorted by node, and where each node starts among them."""
        return np.argsort(self.node, kind="stable").astype(np.int32), np.concatenate(([0], np.cumsum(self._weights)))

    @cached_property
    def _several_collections(self) -> bool:
        return len({record.key.collection for record in self.records}) > 1

    def can_hold(self, member: int) -> Capabilities | None:
        """What the store of a record can hold; None: that is not known."""
        return self.capabilities[self.store[member]] if self.capabilities else None

    def grouping(self, threshold: float | None = None) -> RecordGrouping:
        """The groups at a threshold (the options' where None), fast enough for every move of a slider."""
        nodes = self.sequence.at(self.options.threshold if threshold is None else threshold)
        if not len(nodes):
            empty = np.empty(0, np.int32)
            return RecordGrouping(empty, empty, empty.astype(np.bool_), empty.astype(np.float32))
        starts = nodes.starts[:-1]
        size = np.add.reduceat(self._weights[nodes.order], starts)
        labels = nodes.labels
        inside = self.pairs.sure & (labels[self.pairs.i] == labels[self.pairs.j])
        sure_pairs = np.bincount(labels[self.pairs.i[inside]], minlength=len(nodes))
        sure = sure_pairs == nodes.sizes * (nodes.sizes - 1) // 2
        joined = np.append(self.sequence.joined, np.float32(1))
        # The last place of a group holds what divides it from the next one: no part of its own score.
        joined[nodes.starts[1:] - 1] = 1
        score = np.minimum.reduceat(joined, starts)
        several = size > 1
        number = np.where(several, np.cumsum(several) - 1, -1).astype(np.int32)
        return RecordGrouping(number[labels][self.node], size[several], sure[several], score[several])

    @property
    def left_out(self) -> str | None:
        """What a person is to know where there were so many similar pairs that not all were looked at."""
        if self.nearest is None:
            return None
        told = f"Very many memories are alike: of each one only the {self.nearest} nearest were compared."
        if self.crowd is None:
            return told
        return f"{told} The largest family: {self.crowd.alike:,} are like {self.name(self._newest(self.crowd.row))}."

    def groups(self, threshold: float | None = None) -> list[Group]:
        """The groups at a threshold, sure ones first, then by falling score and rising first member."""
        grouping = self.grouping(threshold)
        order = np.argsort(grouping.label, kind="stable")
        order = order[grouping.label[order] >= 0]
        label = np.full(len(self.sequence.order), -1, np.int32)
        label[self.node] = grouping.label
        inside = (label[self.pairs.i] == label[self.pairs.j]) & (label[self.pairs.i] >= 0)
        cosines = self._lowest_cosines(label, inside, len(grouping))
        clique = self._cliques(inside)
        found = []
        ends = np.cumsum(grouping.size)
        for number, (start, end) in enumerate(zip(ends - grouping.size, ends, strict=True)):
            members = tuple(order[start:end].tolist())
            found.append(
                Group(
                    id=self._group_id(members),
                    members=members,
                    tier=SURE if grouping.sure[number] else LIKELY,
                    sure=_sets_of_several(members, clique),
                    score=float(grouping.score[number]),
                    cosine=float(cosines[number]) if np.isfinite(cosines[number]) else None,
                )
            )
        return sorted(found, key=lambda group: (group.tier != SURE, -group.score, group.members))

    def _lowest_cosines(self, label: Ints, inside: Flags, groups: int) -> Floats:
        known = inside & ~np.isnan(self.pairs.cosine)
        lowest = np.full(groups, np.inf, np.float32)
        np.minimum.at(lowest, label[self.pairs.i[known]], self.pairs.cosine[known])
        return lowest

    def _cliques(self, inside: Flags) -> Ints:
        """Per record a number that is the same for records of one group that are all surely the same."""
        sure = inside & self.pairs.sure
        sequence = merge_sequence(
            len(self.sequence.order), self.pairs.i[sure], self.pairs.j[sure], self.pairs.score[sure]
        )
        labels: Ints = sequence.at(0).labels[self.node]
        return labels

    def _group_id(self, members: Iterable[int]) -> str:
        keys = sorted([self.stores[self.store[member]], *self.records[member].key] for member in members)
        return hashlib.sha256(canonical_json(keys)).hexdigest()[:16]

    def conflicts(self, threshold: float | None = None, limit: int | None = None) -> list[Conflict]:
        """Barred pairs that score at least the threshold, those with the newest memories first; at most `limit`.

        Of several memories with the same text the newest stands for all.
        """
        found = []
        for at in self._contradicting(threshold).tolist():
            newest = (self._newest(int(self.pairs.i[at])), self._newest(int(self.pairs.j[at])))
            new, old = sorted(newest, key=lambda member: (-self._time(member), member))
            found.append((-self._time(new), -float(self.pairs.score[at]), new, old))
        return [
            Conflict((new, old), -falling_score, self._changes(new, old))
            for _, falling_score, new, old in sorted(found)[:limit]
        ]

    def conflict_count(self, threshold: float | None = None) -> int:
        """How many there are, without looking at any."""
        return len(self._contradicting(threshold))

    def _contradicting(self, threshold: float | None) -> npt.NDArray[np.intp]:
        least = np.float32(self.options.threshold if threshold is None else threshold)
        return np.flatnonzero(self.pairs.barred & (self.pairs.score >= least))

    def _changes(self, new: int, old: int) -> tuple[str, ...]:
        """What tells a memory from an older one, as ``number: 8080 → 8081``; where neither is older, as they stand."""
        if self._time(old) == self._time(new):
            return self.differs_in(new, old)
        return tuple(found.change for found in self._differences(old, new))

    def _newest(self, node: int) -> int:
        order, starts = self._by_node
        members: list[int] = order[starts[node] : starts[node + 1]].tolist()
        return max(members, key=lambda member: (self._time(member), -member))

    def _time(self, member: int) -> float:
        record = self.records[member]
        return record.updated or record.created or 0.0

    def differs_in(self, a: int, b: int) -> tuple[str, ...]:
        """What tells two memories apart, in words, as ``number: 8080 / 8081``."""
        return tuple(found.text for found in self._differences(a, b))

    def _differences(self, a: int, b: int) -> list[guard.Difference]:
        """Worked out once for each pair: lists, reports and files all tell of the same ones."""
        if (a, b) not in self._told_apart:
            one, other = self.records[a].text, self.records[b].text
            self._told_apart[a, b] = guard.differences(Words.of(one), Words.of(other)) if one and other else []
        return self._told_apart[a, b]

    @cached_property
    def _told_apart(self) -> dict[tuple[int, int], list[guard.Difference]]:
        return {}

    def reasons(self, a: int, b: int) -> list[str]:
        """Why two memories are (or are not) taken for the same, in words; empty when nothing links them."""
        one, other = self.records[a].text or "", self.records[b].text or ""
        if one == other:
            return ["the same text"] if one else self._likeness(a, b)
        if self.node[a] == self.node[b] or normalise(one) == normalise(other):
            return ["same words; only case, spaces or punctuation differ"]
        if normalise(unwrap(one)) == normalise(unwrap(other)):
            return ["same words; only a time stamp or a set phrase around them differs"]
        likeness = self._likeness(a, b)
        return [*likeness, *self.differs_in(a, b)] if likeness else []

    def _likeness(self, a: int, b: int) -> list[str]:
        at = self.pairs.find(int(self.node[a]), int(self.node[b]))
        if at is None:
            return []
        cosine, words = float(self.pairs.cosine[at]), float(self.pairs.words[at])
        said = [] if np.isnan(cosine) else [f"{cosine:.2f} similar in meaning"]
        said += [] if np.isnan(words) else [f"{words:.0%} of the words the same".replace("%", " %")]
        return [*self._sureness(a, b), ", ".join(said)] if self.pairs.sure[at] else [", ".join(said)]

    def _sureness(self, a: int, b: int) -> list[str]:
        one, other = Words.of(self.records[a].text or ""), Words.of(self.records[b].text or "")
        equal = ", ".join(f"{ours} / {theirs}" for ours, theirs in guard.taken_for_equal(one, other))
        why = ["all that the shorter one says stands in the longer one"]
        return [*why, f"taken for the same word: {equal}"] if equal else why

    def explain(self, group: Group, survivor: int) -> list[tuple[int, list[str]]]:
        """For each other member of a group why it is taken for the same as `survivor`."""
        return [(member, self.reasons(survivor, member)) for member in group.members if member != survivor]

    def name(self, member: int) -> str:
        """How a member is named in reports: its id, with what is needed to tell it from others before it."""
        key = self.records[member].key
        if len(self.stores) > 1:
            return f"{self.store[member] + 1}:{key}"
        return str(key) if self._several_collections else key.id

    def as_dict(
        self, threshold: float | None = None, survivor: Callable[[Group], int] | None = None
    ) -> dict[str, Any]:
        """The object of ``analyze --json``.

        Args:
            survivor: which member of a group is kept; the newest where None.
        """
        choose = survivor or (lambda group: max(group.members, key=lambda member: (self._time(member), -member)))
        return {
            "stores": list(self.stores),
            "count": len(self.records),
            "threshold": self.options.threshold if threshold is None else threshold,
            "groups": [self._group_dict(group, choose(group)) for group in self.groups(threshold)],
            "conflicts": [
                {
                    "members": [self.name(member) for member in conflict.members],
                    "score": round(conflict.score, 4),
                    "differs_in": list(conflict.differs_in),
                }
                for conflict in self.conflicts(threshold)
            ],
        }

    def _group_dict(self, group: Group, survivor: int) -> dict[str, Any]:
        members = [survivor, *(member for member in group.members if member != survivor)]
        return {
            "id": group.id,
            "tier": group.tier,
            "members": [self.name(member) for member in members],
            "sure": [[self.name(member) for member in clique] for clique in group.sure],
            "score": round(group.score, 4),
            "reasons": [
                {"members": [self.name(survivor), self.name(member)], "text": "; ".join(reasons)}
                for member, reasons in self.explain(group, survivor)
            ],
        }


def _sets_of_several(members: Sequence[int], clique: Ints) -> tuple[tuple[int, ...], ...]:
    sets: dict[int, list[int]] = {}
    for member in members:
        sets.setdefault(int(clique[member]), []).append(member)
    return tuple(tuple(found) for found in sets.values() if len(found) > 1)
