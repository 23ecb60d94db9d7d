"""Which links of the source can be made in the target. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from memdefrag.engine.relations import Identity, identity
from memdefrag.model.plan import Relate
from memdefrag.model.records import Key, Relation

Fit = Callable[[Relation], tuple[Relation | None, tuple[str, ...]]]
NO_PLACE = "links between memories"
NO_END = "a link with a memory that is not there"
TO_ITSELF = "a link of a memory with itself"
SECOND = "another link between two memories that are linked already"


@dataclass(slots=True)
class Linked:
    """The links to make, how many cannot be made, and what is lost of all of them, by kind."""

    made: list[Relate] = field(default_factory=list)
    lost: int = 0
    losses: Counter[str] = field(default_factory=Counter)

    def lose(self, *reasons: str) -> None:
        """Note a link that cannot be made."""
        self.lost += 1
        self.losses.update(reasons)


def linked(
    relations: Iterable[Relation],
    placed: Mapping[Key, Key],
    present: Iterable[Relation],
    fit: Fit | None,
    *,
    parallel: bool = True,
) -> Linked:
    """The links to make between memories that the target has or gets, and what is lost of the source's.

    Args:
        placed: where each memory of the source is in the target.
        present: the target's own; a link that is there already is neither made nor lost.
        fit: a link as the target will give it back, or that it has no place for it; None: it has none for any.
        parallel: two memories may have several links of different types; otherwise the first one stays alone.
    """
    there = {identity(relation, parallel=parallel): relation for relation in present}
    done = Linked()
    for relation in relations:
        source, target = _placed(relation.source, placed), _placed(relation.target, placed)
        if fit is None:
            done.lose(NO_PLACE)
        elif source is None or target is None:
            done.lose(NO_END)
        elif relation.source == relation.target:
            done.lose(TO_ITSELF)
        else:
            _link(replace(relation, source=source, target=target), there, fit, done, parallel=parallel)
    return done


def _link(relation: Relation, there: dict[Identity, Relation], fit: Fit, done: Linked, *, parallel: bool) -> None:
    moved, losses = fit(relation)
    if moved is None:
        done.lose(*losses)
        return
    taken = there.setdefault(identity(moved, parallel=parallel), moved)
    if taken.type != moved.type:
        done.lose(SECOND)
    elif taken is moved and relation.source != relation.target:
        done.made.append(Relate(moved))
        done.losses.update(losses)


def missing(wanted: Iterable[Relate], found: Collection[Relation]) -> int:
    """How many of these links are not among those that were found."""
    there = {identity(relation) for relation in found}
    return sum(identity(step.relation) not in there for step in wanted)


def _placed(end: Key | str, placed: Mapping[Key, Key]) -> Key | str | None:
    return placed.get(end) if isinstance(end, Key) else end
