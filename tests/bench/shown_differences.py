"""How often the differences that matter are told to the person, on labelled pairs.

What is counted, at one threshold, from the object of ``analyze --json``:

- *Shown* is every suggested group and every entry of the list of conflicts, which stands for its two texts and all
  copies of them.
- A shown cluster *holds* a conflict of a kind when both memories of a pair labelled so are in it. It *tells* it
  when a text beside one of the two names a difference: in a group the reasons of a member against the survivor, in
  the list of conflicts what the entry differs in. Each cluster counts once for each kind.
- A *pure duplicate* is a shown cluster all of whose members are of one labelled group.
- A *warning* is a difference of any kind but "word", "words" and "order" (other words, or in another order), which are
  *hints*.

Beside it stands, for all labelled pairs of a kind whether shown or not, the share on which the rules name a
difference: what they would tell if every such pair were shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memdefrag.analysis.result import Analysis

Row = Mapping[str, Any]

HINTS = ("word", "words", "order")
KINDS = ("number", "port", "date", "time", "version", "path", "address", "option", "id", "negation", "name", "roles",
         "opposite", "spelling", "dated", *HINTS)  # fmt: skip
PROMISED = ("number", "date", "time", "version", "path", "port", "option", "negation", "name")
"""The kinds of labelled conflicts of which a difference must be told."""
ALL_PROMISED, PURE = "promised", "pure duplicate"


@dataclass(slots=True)
class Told:
    """How many there are of a kind, on how many a warning stands, and on how many a warning or a hint."""

    count: int = 0
    warned: int = 0
    hinted: int = 0

    def add(self, kinds: set[str]) -> None:
        self.count += 1
        self.warned += bool(kinds.difference(HINTS))
        self.hinted += bool(kinds)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A cluster, and for each text beside it whom it speaks of and which kinds of difference it names."""

    members: frozenset[int]
    texts: tuple[tuple[frozenset[int], set[str]], ...]

    def tells(self, of: Iterable[int]) -> set[str]:
        return {kind for members, kinds in self.texts if not members.isdisjoint(of) for kind in kinds}


def told_when_shown(analysis: Analysis, gold: Sequence[Row], labelled: Iterable[Row]) -> dict[str, Told]:
    """Shown clusters by the kind of conflict they hold, `ALL_PROMISED` of them together, and the `PURE` ones.

    Args:
        gold: per record of the analysis, in its order, the labelled "id" and "group".
        labelled: pairs "a", "b" of such ids with their "relation" and "kind".
    """
    counts: defaultdict[str, Told] = defaultdict(Told)
    place = {row["id"]: at for at, row in enumerate(gold)}
    conflicts = [(place[row["a"]], place[row["b"]], row["kind"]) for row in labelled if row["relation"] == "conflict"]
    for cluster in _shown(analysis):
        if len({gold[member]["group"] for member in cluster.members}) == 1:
            counts[PURE].add(cluster.tells(cluster.members))
        held: defaultdict[str, list[set[str]]] = defaultdict(list)
        for a, b, labelled_kind in conflicts:
            if {a, b} <= cluster.members:
                for kind in _counted_as(labelled_kind):
                    held[kind].append(cluster.tells((a, b)))
        for kind, told in held.items():
            # The cluster tells its conflicts only if it tells each of them.
            counts[kind].add(min(told, key=lambda kinds: (len(kinds.difference(HINTS)) > 0, len(kinds) > 0)))
    return dict(counts)


def told_if_shown(analysis: Analysis, gold: Sequence[Row], labelled: Iterable[Row]) -> dict[str, Told]:
    """The same for all labelled pairs of conflicts, and for pairs of duplicates and subsets by these names."""
    counts: defaultdict[str, Told] = defaultdict(Told)
    place = {row["id"]: at for at, row in enumerate(gold)}
    for row in labelled:
        relation = row["relation"]
        if relation in ("conflict", "duplicate", "subset", "distinct"):
            kinds = _kinds(analysis.differs_in(place[row["a"]], place[row["b"]]))
            for kind in _counted_as(row["kind"]) if relation == "conflict" else [relation]:
                counts[kind].add(kinds)
    return dict(counts)


def _counted_as(kind: str) -> list[str]:
    return [kind, ALL_PROMISED] if kind in PROMISED else [kind]


def _kinds(texts: Iterable[str]) -> set[str]:
    """The kinds of difference named by texts as ``number: 8080 / 8081``."""
    return {text.split(":")[0] for text in texts}.intersection(KINDS)


def _shown(analysis: Analysis) -> Iterator[_Shown]:
    place = {analysis.name(member): member for member in range(len(analysis.records))}
    copies: defaultdict[int, list[int]] = defaultdict(list)
    for member, node in enumerate(analysis.node.tolist()):
        copies[node].append(member)
    found = analysis.as_dict()
    for group in found["groups"]:
        texts = tuple(
            (frozenset(place[name] for name in reason["members"]), _kinds(reason["text"].split("; ")))
            for reason in group["reasons"]
        )
        yield _Shown(frozenset(place[name] for name in group["members"]), texts)
    for conflict in found["conflicts"]:
        members = frozenset(
            copy for name in conflict["members"] for copy in copies[int(analysis.node[place[name]])]
        )
        yield _Shown(members, ((members, _kinds(conflict["differs_in"])),))
