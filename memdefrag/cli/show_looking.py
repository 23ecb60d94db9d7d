"""What another store knows already, methods side by side, and texts told apart, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from memdefrag.analysis.known import Known, Standing, counts
from memdefrag.base.wording import count
from memdefrag.cli.output import preview, styled, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from memdefrag.analysis.methods import MethodRow
    from memdefrag.analysis.result import Analysis

_SAID = {
    Standing.SAME: "there already, word for word",
    Standing.SURE: "surely there already, in other words",
    Standing.LIKELY: "likely there already",
    Standing.CONTRADICTS: "contradicting what is there",
    Standing.NEW: "new",
}


def known(found: Analysis, listed: Sequence[Known]) -> Iterator[RenderableType]:
    """First how many memories are known how well, then each of them with what comes nearest."""
    assert found.options.against is not None
    yield styled(f"Of {count(len(listed), 'memory', 'memories')}, compared with {found.stores[found.options.against]}:")
    for standing, number in counts(listed).items():
        yield f"{number:>9,}  {_SAID[standing]}"
    for standing in Standing:
        shown = [each for each in listed if each.standing is standing]
        if shown:
            yield ""
            yield styled(f"{_SAID[standing][0].upper()}{_SAID[standing][1:]}:", "bold")
        for each in shown:
            yield from _one(found, each)


def sum_of_known(found: Analysis, listed: Sequence[Known]) -> str:
    """The same counts in one sentence."""
    assert found.options.against is not None
    told = ", ".join(f"{number:,} {_SAID[standing]}" for standing, number in counts(listed).items())
    return f"{count(len(listed), 'memory', 'memories')}, compared with {found.stores[found.options.against]}: {told}."


def _one(found: Analysis, each: Known) -> Iterator[RenderableType]:
    yield _line(found, each.member, " ")
    if each.partner is None or each.standing is Standing.SAME:
        return
    yield _line(found, each.partner, "=" if each.standing is not Standing.CONTRADICTS else "≠")
    yield styled(f"      {'; '.join(found.reasons(each.member, each.partner))}", "dim")


def _line(found: Analysis, member: int, sign: str) -> str:
    return f"  {sign} {found.name(member)}: {preview(found.records[member].text)}"


def methods(rows: Sequence[MethodRow]) -> Table:
    """One row per method."""
    return table(
        "Method", "Groups", "Would go", "Pairs together", "Also by combined", "Barred as different",
        rows=[(row.method, row.groups, row.redundant, row.together, row.shared, row.barred) for row in rows],
    )  # fmt: skip


def told_apart(entries: Sequence[dict[str, Any]]) -> Iterator[RenderableType]:
    """The pairs that were told apart, with their texts where a store was named that holds them."""
    yield table("Id", "Since", "Said about", rows=[(each["id"], each["time"][:10], each["store"]) for each in entries])
    for each in entries:
        for number, memory in enumerate(each.get("memories", ())):
            yield styled(f"{each['id'] if not number else '':12}  {memory['id']}: {preview(memory['text'])}")
