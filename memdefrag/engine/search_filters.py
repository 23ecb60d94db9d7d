"""Days, tags and types by which memories are found now, and by which their survivors will not be. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from memdefrag.analysis.merge import CONFLICT_TAG
from memdefrag.base.wording import day
from memdefrag.engine.search_hits import UNSEEN
from memdefrag.model.recall import LostFilter
from memdefrag.model.records import Key, MemoryRecord

TYPE_KEYS = ("memory_type", "type")
"""Metadata keys by which services filter."""

Merges = Iterable[Sequence[Key]]
Records = Mapping[Key, MemoryRecord]


def days_lost(merges: Merges, before: Records, after: Records) -> tuple[LostFilter, ...]:
    """A memory was made on one day, its survivor says another. Days are those of this machine's time zone."""
    return _lost(merges, before, after, lambda record: [day(record.created)])


def tags_lost(merges: Merges, before: Records, after: Records) -> tuple[LostFilter, ...]:
    """A memory's tag that its survivor lacks; the mark that a merge resolves is meant to go."""
    return _lost(merges, before, after, lambda record: [tag for tag in record.tags if tag != CONFLICT_TAG])


def types_lost(merges: Merges, before: Records, after: Records) -> tuple[LostFilter, ...]:
    """A memory's type that is not its survivor's."""
    return _lost(merges, before, after, _types)


def _types(record: MemoryRecord) -> list[str]:
    """Some services write the same type under both keys."""
    return list(dict.fromkeys(str(record.metadata[key]) for key in TYPE_KEYS if key in record.metadata))


def _lost(
    merges: Merges, before: Records, after: Records, said: Callable[[MemoryRecord], list[str]]
) -> tuple[LostFilter, ...]:
    """What records say and their survivors do not; a merge names its survivor first."""

    def each() -> Iterator[LostFilter]:
        for keys in merges:
            survivor = after.get(keys[0])
            now = said(survivor) if survivor else []
            for key in keys:
                if key in before and before[key].state not in UNSEEN:
                    gone = [value for value in said(before[key]) if value and value not in now]
                    yield from (LostFilter(str(key), str(keys[0]), value, ", ".join(now)) for value in gone)

    return tuple(each())
