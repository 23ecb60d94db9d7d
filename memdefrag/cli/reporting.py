"""An analysis as the rows of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from memdefrag.analysis.known import Known, known
from memdefrag.cli import show, show_looking
from memdefrag.reports.rows import Report, Row

if TYPE_CHECKING:
    from memdefrag.analysis.result import Analysis, Group


def report(found: Analysis, survivor: Callable[[Group], int], threshold: float) -> Report:
    """All groups and contradictions at a threshold; of stores that were compared with one, what that knows already."""
    if found.options.against is not None:
        listed = known(found, threshold)
        return Report(found.stores, show_looking.sum_of_known(found, listed), tuple(_rows_of_known(found, listed)))
    return Report(found.stores, show.totals(found, threshold), tuple(_rows(found, survivor, threshold)))


def _rows_of_known(found: Analysis, listed: Sequence[Known]) -> Iterator[Row]:
    """Each memory, and below it what the known store holds of it."""
    for number, each in enumerate(listed, start=1):
        score = each.score or 0.0
        yield Row(number, each.standing, score, "given", found.name(each.member), _text(found, each.member), "")
        if each.partner is not None:
            why = "; ".join(found.reasons(each.member, each.partner))
            yield Row(number, each.standing, score, "there", found.name(each.partner), _text(found, each.partner), why)


def _text(found: Analysis, member: int) -> str:
    return found.records[member].text or ""


def _rows(found: Analysis, survivor: Callable[[Group], int], threshold: float) -> Iterator[Row]:
    groups = found.groups(threshold)
    for number, group in enumerate(groups, start=1):
        kept = survivor(group)
        said = [(kept, "keep", ""), *((other, "merge", "; ".join(why)) for other, why in found.explain(group, kept))]
        for member, what, why in said:
            yield Row(number, group.tier, group.score, what, found.name(member), _text(found, member), why)
    for number, conflict in enumerate(found.conflicts(threshold), start=1):
        for member in conflict.members:
            why = "; ".join(conflict.differs_in)
            yield Row(number, "contradiction", conflict.score, "look", found.name(member), _text(found, member), why)
