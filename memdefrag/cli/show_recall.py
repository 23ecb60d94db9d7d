"""What searches find before and after a plan, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from memdefrag.base.wording import count
from memdefrag.cli.output import preview, styled

if TYPE_CHECKING:
    from rich.console import RenderableType

    from memdefrag.model.recall import LostFilter, Recall

SHOWN = 10


def recall(found: Recall, *, whole: bool) -> Iterator[RenderableType]:
    """The figures, then each thing that is lost; where not `whole`, days, tags and types only by their number."""
    if found.queries:
        yield f"Searches for what is merged: {shares(found.queries, found.at_1, found.at_k, found.k)}."
    if found.own:
        yield f"Your own queries: {shares(found.own.queries, found.own.at_1, found.own.at_k, found.k)}."
    if found.lost:
        yield styled(f"{count(len(found.lost), 'hit')} lost:", "yellow")
        for each in found.lost[:SHOWN]:
            now = f"{each.after:,}" if each.after else "not found"
            asked = f" ({preview(each.query)})" if each.query != each.memory else ""
            yield f"  {each.memory}{asked}: {each.before:,} -> {now}"
        yield from _more(found.lost)
    for what, lost in (("day", found.days_lost), ("tag", found.tags_lost), ("type", found.types_lost)):
        yield from _filters(lost, what, SHOWN if whole else 0)
    yield from found.notes


def figures(found: Mapping[str, Any]) -> str:
    """What the history keeps of it (`model.recall.Recall.figures`), in one sentence."""
    told = shares(found["queries"], found["at_1"], found["at_k"], found["k"])
    lost = f"{found['lost']:,} hits and {found['days_lost']:,} days lost"
    return f"Searches for what it merged: {told}; {lost}."


def shares(queries: int, at_1: float, at_k: float, k: int) -> str:
    """How much is still found."""
    return (
        f"{count(queries, 'query', 'queries')}; {at_1:.1%} of the first hits stay first, "
        f"{at_k:.1%} of those among the first {k} stay there"
    )


def _filters(lost: Sequence[LostFilter], what: str, shown: int) -> Iterator[RenderableType]:
    if not lost:
        return
    memories = len({each.memory for each in lost})
    their = "its" if memories == 1 else "their"
    told = f"{count(memories, 'memory is', 'memories are')} no longer found by {their} {what}"
    yield styled(f"{told}:" if shown else f"{told}.", "yellow")
    for each in lost[:shown]:
        yield f"  {each.memory}: {each.was} -> {each.now or 'none'} ({each.survivor})"
    if shown:
        yield from _more(lost)


def _more(lost: Sequence[object]) -> Iterator[RenderableType]:
    if len(lost) > SHOWN:
        yield f"  … and {len(lost) - SHOWN:,} more (--json lists all)"
