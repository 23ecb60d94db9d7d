"""What becomes of a store's links when its memories are merged, removed, brought in or brought back. Pure.

A link is told from others by its two ends and its type; where two memories have room for one link only, by its ends.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from memdefrag.model.hashing import relation_hash
from memdefrag.model.plan import Changes
from memdefrag.model.records import Key, Relation
from memdefrag.model.report import Skipped

Identity = tuple[Key | str, Key | str, str]
Fit = Callable[[Relation], tuple[Relation | None, tuple[str, ...]]]


def identity(relation: Relation, *, parallel: bool = True) -> Identity:
    """What a link is told from others by. `parallel`: two memories may have several of different types."""
    return relation.source, relation.target, relation.type if parallel else ""


def expected(relations: Iterable[Relation], changes: Changes) -> tuple[Relation, ...]:
    """All links that a store must hold after the changes."""
    gone = hashes(changes.unrelate)
    suspects = {identity(relation) for relation in changes.unrelate}
    kept = (each for each in relations if identity(each) not in suspects or relation_hash(each) not in gone)
    return (*kept, *changes.relate)


def hashes(relations: Iterable[Relation]) -> Counter[str]:
    """How often each link is there, by its hash."""
    return Counter(map(relation_hash, relations))


def repointed(
    relations: Iterable[Relation], merges: Mapping[Key, Key], *, parallel: bool = True
) -> tuple[tuple[Relation, ...], tuple[Relation, ...]]:
    """The links of memories that disappear into others become the survivors' links.

    None comes to link a survivor with itself, none repeats a link that stays; of several that become the same one
    the strongest is made.

    Args:
        merges: the survivor by each memory that disappears.

    Returns:
        The links to make, and those to remove.
    """
    found = list(relations)
    moving = [each for each in found if each.source in merges or each.target in merges]
    going = set(map(id, moving))
    staying = {identity(each, parallel=parallel) for each in found if id(each) not in going}
    made: dict[Identity, Relation] = {}
    for each in moving:
        moved = replace(each, source=_end(each.source, merges), target=_end(each.target, merges))
        name = identity(moved, parallel=parallel)
        if moved.source != moved.target and name not in staying:
            made[name] = max(made.get(name, moved), moved, key=_strength)
    return tuple(made.values()), tuple(moving)


class Settled(NamedTuple):
    """The links to make and to remove; what could not be done, and what the store has no place for, with counts."""

    relate: tuple[Relation, ...] = ()
    unrelate: tuple[Relation, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    losses: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Links:
    """What a plan means for the links of a store, however many of its steps are carried out.

    Attributes:
        present: all links that there are.
        keys: of all memories before; `added` come, `removed` go.
        cut: memories that lose their links though they may stay, marked as deleted.
        merges: the survivor by each memory that disappears into it.
        relate, unrelate: links that steps of the plan name.
        back: the plan undoes or redoes: two links may become the same, as they were.
        loose: links that come back may name memories that are not there, as they did before.
        parallel: see `identity`.
        fit: `Store.fit_relation`.
    """

    present: tuple[Relation, ...]
    fit: Fit
    keys: Collection[Key] = frozenset()
    added: frozenset[Key] = frozenset()
    removed: frozenset[Key] = frozenset()
    cut: frozenset[Key] = frozenset()
    merges: Mapping[Key, Key] = field(default_factory=dict)
    relate: tuple[Relation, ...] = ()
    unrelate: tuple[Relation, ...] = ()
    back: bool = False
    loose: bool = False
    parallel: bool = True

    def settle(self, left_out: Collection[Key] = ()) -> Settled:
        """What is to be done where the steps that concern these memories are left out."""
        skipped: list[Skipped] = []
        losses: Counter[str] = Counter()
        unrelate = list(self._named(skipped))
        merges = {gone: stays for gone, stays in self.merges.items() if gone not in left_out}
        lost = {key for key in self.cut | self.removed if key not in left_out and key not in merges}
        rest = expected(self.present, Changes(unrelate=tuple(unrelate)))
        unrelate += [each for each in rest if each.source in lost or each.target in lost]
        rest = tuple(each for each in rest if not (each.source in lost or each.target in lost))
        moved, moving = repointed(rest, merges, parallel=self.parallel)
        rest = expected(rest, Changes(unrelate=moving))
        relate = [fitted for each in moved if (fitted := self._fitted(each, losses))]
        taken = {self._name(each) for each in (*rest, *relate)}
        for each in self.relate:
            named = replace(each, source=_end(each.source, merges), target=_end(each.target, merges))
            fitted = self._fitted(named, losses)
            if fitted is None:
                continue
            reason = self._missing_end(fitted, left_out)
            if reason is None and self._name(fitted) in taken:
                reason = "there is such a link already"
            if reason:
                skipped.append(Skipped(told(each), reason))
                continue
            relate.append(fitted)
            if not self.back:
                taken.add(self._name(fitted))
        return Settled(tuple(relate), (*unrelate, *moving), tuple(skipped), losses)

    def _named(self, skipped: list[Skipped]) -> Iterator[Relation]:
        """Of the links that steps remove, those that still say what the plan saw; every equal one of each."""
        by_name: dict[Identity, list[Relation]] = defaultdict(list)
        wanted = {identity(each) for each in self.unrelate}
        for each in self.present:
            if identity(each) in wanted:
                by_name[identity(each)].append(each)
        done = set()
        for each in self.unrelate:
            hash = relation_hash(each)
            alike = by_name[identity(each)]
            equal = [other for other in alike if relation_hash(other) == hash]
            if not equal:
                reason = "the link says something else now" if alike else "the link is no longer there"
                skipped.append(Skipped(told(each), reason))
            elif hash not in done:
                done.add(hash)
                yield from equal

    def _fitted(self, relation: Relation, losses: Counter[str]) -> Relation | None:
        fitted, lost = self.fit(relation)
        losses.update(lost)
        return fitted

    def _name(self, relation: Relation) -> Identity:
        return identity(relation, parallel=self.parallel)

    def _missing_end(self, relation: Relation, left_out: Collection[Key]) -> str | None:
        for end in () if self.back and self.loose else (relation.source, relation.target):
            if isinstance(end, Key) and not self._is_there(end, left_out):
                return f"{end} is not there"
        return None

    def _is_there(self, key: Key, left_out: Collection[Key]) -> bool:
        """Whether a memory is there afterwards."""
        if key in left_out:
            return key in self.keys
        return key in self.added or (key in self.keys and key not in self.removed)


def _end(end: Key | str, merges: Mapping[Key, Key]) -> Key | str:
    return merges.get(end, end) if isinstance(end, Key) else end


def _strength(relation: Relation) -> float:
    return float("-inf") if relation.strength is None else relation.strength


def told(relation: Relation) -> str:
    """A link in words."""
    return f"{relation.source} -> {relation.target}"
