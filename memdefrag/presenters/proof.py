"""What searches must still find after a plan: what the person wants, remembered per store, and the proof in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memdefrag.base.wording import count
from memdefrag.presenters.wording import one_line, thousands

if TYPE_CHECKING:
    from memdefrag.engine.search_proof import ProofOptions
    from memdefrag.model.address import Address
    from memdefrag.model.recall import Found, LostFilter, Recall

TOPIC = "searches"
FORMAT = 1
MOST_FIRST = 1000
SHOWN = 100
_LINE = 90


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must still be found.

    Attributes:
        questions: the person's own, one per line.
        first: found means among the first so many.
        percent: the least share of what is found now, 0 … 100.
    """

    questions: str = ""
    first: int = 5
    percent: int = 99

    def options(self, *, by_words: bool) -> ProofOptions:
        """What the engine takes; `by_words`: no model is loaded for the questions."""
        from memdefrag.engine.own_queries import Query
        from memdefrag.engine.search_proof import ProofOptions

        queries = tuple(Query(line.strip()) for line in self.questions.splitlines() if line.strip())
        return ProofOptions(self.first, self.percent / 100, queries, by_words)


def remembered(store: Address) -> Wanted:
    """What the person wanted of a store the last time; the usual where that cannot be read."""
    from memdefrag.engine import workspace

    saved = workspace.load(store, TOPIC)
    if saved.get("format") != FORMAT:
        return Wanted()
    try:
        first, percent = int(saved["first"]), int(saved["percent"])
        return Wanted(str(saved["questions"]), min(max(first, 1), MOST_FIRST), min(max(percent, 0), 100))
    except (KeyError, TypeError, ValueError):
        return Wanted()


def remember(store: Address, wanted: Wanted) -> None:
    """Keep it for the next plan about this store."""
    from memdefrag.engine import workspace

    fields = {"questions": wanted.questions, "first": wanted.first, "percent": wanted.percent}
    workspace.save(store, TOPIC, {"format": FORMAT, **fields})


def figures(found: Recall | None) -> tuple[tuple[str, str], ...]:
    """How much is still found: label and value."""
    if found is None:
        return ()
    merged = (("Searches for what is merged", _shares(found, found.k)),) if found.queries else ()
    return (*merged, *((("Your questions", _shares(found.own, found.k)),) if found.own else ()))


def losses(found: Recall | None) -> tuple[str, ...]:
    """Each thing that is lost: hits, then days, tags and types; then what could not be asked."""
    if found is None:
        return ()
    hits = [
        f"{_asked(hit.query, hit.memory)}: {hit.memory} is number {hit.before} now, "
        f"{_after(hit.after)}{_as(hit.memory, hit.survivor)}"
        for hit in found.lost
    ]
    lists = (("day", found.days_lost), ("tag", found.tags_lost), ("type", found.types_lost))
    filters = [line for what, lost in lists for line in _filters(what, lost)]
    return (*_some(hits, "hits"), *filters, *found.notes)


def _shares(found: Found, first: int) -> str:
    return (
        f"{count(found.queries, 'search', 'searches')}: {found.at_1:.1%} of the first hits stay first, "
        f"{found.at_k:.1%} of those among the first {first} stay there"
    )


def _asked(query: str, memory: str) -> str:
    """The person's own question in quotation marks; a memory is asked for by its own vector or words."""
    return "Asked for by itself" if query == memory else f"“{one_line(query, _LINE)}”"


def _after(rank: int | None) -> str:
    return f"number {thousands(rank)} afterwards" if rank else "not found afterwards"


def _as(memory: str, survivor: str) -> str:
    """Under which name it is found afterwards, where that is another one."""
    return "" if survivor == memory else f", as {survivor}"


def _filters(what: str, lost: Sequence[LostFilter]) -> Iterator[str]:
    lines = [
        f"No longer found by its {what}: {each.memory} ({each.was}, then {each.now or 'none'}"
        f"{_as(each.memory, each.survivor)})"
        for each in lost
    ]
    yield from _some(lines, f"{what}s")


def _some(lines: Sequence[str], what: str) -> list[str]:
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"… and {thousands(more)} more {what}"] if more > 0 else [])]
