"""Which groups are shown in which order, and what all of them come to. Pure functions over arrays."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.merge import SurvivorRule, survivor_rank
from memdefrag.base.progress import Progress
from memdefrag.base.wording import count, size
from memdefrag.presenters.table import HEADER, NOT_DUPLICATES, OPEN, Consequences, Flags, GroupTable, Ints, Rows
from memdefrag.presenters.wording import thousands

if TYPE_CHECKING:
    from memdefrag.analysis.result import Analysis
    from memdefrag.model.records import MemoryRecord

BINS = 60


class Facet(StrEnum):
    ALL = "all"
    SURE = "sure"
    LIKELY = "likely"
    TICKED = "ticked"
    UNDECIDED = "undecided"


class Order(StrEnum):
    SUREST = "surest first"
    LARGEST = "largest first"
    NEWEST = "newest first"


@dataclass(frozen=True)
class ReviewData:
    """What is computed once per analysis, away from the window.

    Attributes:
        by_rank: per survivor rule all records, the best survivor first.
        weight: int64, bytes of text, metadata and vector per record (an estimate).
        times: seconds since 1970 per record, 0 where unknown.
        texts: lower-cased, for the filter.
        histogram: number of pairs in `BINS` equal steps of score between `lowest` and 1.
        fingerprint: of the store's content, for the plan.
    """

    analysis: Analysis
    by_rank: dict[SurvivorRule, Ints]
    weight: npt.NDArray[np.int64]
    times: npt.NDArray[np.float64]
    texts: list[str]
    histogram: tuple[int, ...]
    lowest: float
    fingerprint: str = ""


def prepare(analysis: Analysis, fingerprint: str, progress: Progress) -> ReviewData:
    """Everything the page needs that takes longer than a moment."""
    from memdefrag.analysis.score import LOWEST

    progress.phase("Preparing the results")
    records = analysis.records
    by_rank = {}
    for rule in SurvivorRule:
        progress.check()
        ranked = sorted(range(len(records)), key=lambda index, rule=rule: survivor_rank(records[index], rule))  # type: ignore[misc]
        by_rank[rule] = np.array(ranked, np.int32)
    histogram, _ = np.histogram(analysis.pairs.score, bins=BINS, range=(LOWEST, 1.0))
    return ReviewData(
        analysis=analysis,
        by_rank=by_rank,
        weight=np.array([_weight(record) for record in records], np.int64),
        times=np.array([record.updated or record.created or 0.0 for record in records], np.float64),
        texts=[(record.text or "").casefold() for record in records],
        histogram=tuple(histogram.tolist()),
        lowest=LOWEST,
        fingerprint=fingerprint,
    )


def _weight(record: MemoryRecord) -> int:
    """About how many bytes of content a memory is."""
    vector = 0 if record.embedding is None else record.embedding.nbytes
    return len(record.text or "") + len(str(record.metadata)) + vector


def arranged(table: GroupTable, data: ReviewData, facet: Facet, order: Order, matches: Flags | None) -> Ints:
    """The groups to show, in order. `matches` marks the records that the filter found; None: no filter."""
    shown = _of_facet(table, facet)
    if matches is not None:
        shown = shown & table.any_of(matches)
    groups = np.flatnonzero(shown)
    first = table.starts[groups]
    keys: dict[Order, list[npt.NDArray[Any]]] = {
        Order.SUREST: [first, -table.score[groups], ~table.sure[groups]],
        Order.LARGEST: [first, -table.score[groups], -table.size[groups]],
        Order.NEWEST: [first, -table.latest(data.times)[groups]],
    }
    return groups[np.lexsort(keys[order])].astype(np.int32)


def _of_facet(table: GroupTable, facet: Facet) -> Flags:
    match facet:
        case Facet.SURE:
            return table.sure
        case Facet.LIKELY:
            return ~table.sure
        case Facet.TICKED:
            return table.ticked
        case Facet.UNDECIDED:
            return np.asarray(table.said == OPEN)
    return np.ones(len(table), np.bool_)


def facets(table: GroupTable) -> tuple[tuple[Facet, int], ...]:
    """The number of groups behind each facet."""
    return tuple((facet, int(np.count_nonzero(_of_facet(table, facet)))) for facet in Facet)


def row_of(rows: Rows, member: int, in_header: bool) -> int:
    """The row of a memory, or of its group's header; the first row where it is not shown, -1 without rows."""
    found = np.flatnonzero(rows.member == member)
    if member == HEADER or not len(found):
        return 0 if len(rows) else -1
    row = int(found[0])
    return int(np.flatnonzero(rows.group == rows.group[row])[0]) if in_header else row


def in_bulk(table: GroupTable, groups: Ints, tick: bool) -> Ints:
    """Those of the groups that a bulk action changes: what was told apart or doubted is never ticked by one."""
    changed = table.ticked[groups] != tick
    if tick:
        changed &= ~table.doubted[groups] & (table.said[groups] != NOT_DUPLICATES)
    chosen: Ints = groups[changed]
    return chosen


def bulk(table: GroupTable, groups: Ints) -> str:
    """The bulk button's words, which say how far it reaches."""
    left = in_bulk(table, groups, True)
    memories = int((table.size[left] - 1).sum())
    return f"Tick {thousands(len(left))} of {count(len(groups), 'shown group')} (−{thousands(memories)})"


def strip(consequences: Consequences) -> tuple[tuple[str, str], ...]:
    """Label and figure."""
    return (
        ("groups to merge", thousands(consequences.groups)),
        ("memories removed", thousands(consequences.removed)),
        ("only likely", thousands(consequences.risky)),
        ("of texts and vectors merged away", size(consequences.bytes)),
    )


def updates(analysis: Analysis, threshold: float) -> int:
    """The number of pairs that are alike but contradict each other."""
    return analysis.conflict_count(threshold)
