"""An analysis as the rows of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from memdefrag.cli import show
from memdefrag.reports.rows import Report, Row

if TYPE_CHECKING:
    from memdefrag.analysis.result import Analysis, Group


def report(found: Analysis, survivor: Callable[[Group], int], threshold: float) -> Report:
    """All groups and contradictions at a threshold."""
    return Report(found.stores, show.totals(found, threshold), tuple(_rows(found, survivor, threshold)))


def _rows(found: Analysis, survivor: Callable[[Group], int], threshold: float) -> Iterator[Row]:
    groups = found.groups(threshold)
    for number, group in enumerate(groups, start=1):
        kept = survivor(group)
        said = [(kept, "keep", ""), *((other, "merge", "; ".join(why)) for other, why in found.explain(group, kept))]
        for member, what, why in said:
            text = found.records[member].text or ""
            yield Row(number, group.tier, group.score, what, found.name(member), text, why)
    for number, conflict in enumerate(found.conflicts(threshold), start=1):
        for member in conflict.members:
            text, why = found.records[member].text or "", "; ".join(conflict.differs_in)
            yield Row(number, "contradiction", conflict.score, "look", found.name(member), text, why)
