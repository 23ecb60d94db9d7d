"""Which links of the source can be made in the target. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from memdefrag.engine.relations import identity
from memdefrag.model.plan import Relate
from memdefrag.model.records import Key, Relation

Fit = Callable[[Relation], tuple[Relation | None, tuple[str, ...]]]


def linked(
    relations: Iterable[Relation],
    placed: Mapping[Key, Key],
    present: Iterable[Relation],
    fit: Fit | None,
    *,
    parallel: bool = True,
) -> tuple[list[Relate], int]:
    """The links to make between memories that the target has or gets, and how many cannot be made.

    Args:
        placed: where each memory of the source is in the target.
        present: the target's own; a link that is there already is neither made nor lost.
        fit: a link as the target will give it back, or that it has no place for it; None: it has none for any.
        parallel: two memories may have several links of different types; otherwise the first one stays alone.
    """
    there = {identity(relation, parallel=parallel): relation for relation in present}
    made: list[Relate] = []
    lost = 0
    for relation in relations:
        source, target = _placed(relation.source, placed), _placed(relation.target, placed)
        if source is None or target is None or fit is None:
            lost += 1
            continue
        moved, _ = fit(replace(relation, source=source, target=target))
        if moved is None or relation.source == relation.target:
            lost += 1
            continue
        taken = there.setdefault(identity(moved, parallel=parallel), moved)
        if taken.type != moved.type:
            lost += 1
        elif taken is moved and source != target:
            made.append(Relate(moved))
    return made, lost


def missing(wanted: Iterable[Relate], found: Collection[Relation]) -> int:
    """How many of these links are not among those that were found."""
    there = {identity(relation) for relation in found}
    return sum(identity(step.relation) not in there for step in wanted)


def _placed(end: Key | str, placed: Mapping[Key, Key]) -> Key | str | None:
    return placed.get(end) if isinstance(end, Key) else end
