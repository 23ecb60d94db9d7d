"""What searches must still find after a plan: what the person wants, remembered per store, and the proof in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memdefrag.base.wording import count
from memdefrag.presenters.wording import one_line, thousands

if TYPE_CHECKING:
    from memdefrag.engine.search_proof import ProofOptions
    from memdefrag.model.address import Address
    from memdefrag.model.recall import Found, LostFilter, LostHit, Recall
    from memdefrag.model.records import Key

TOPIC = "searches"
FORMAT = 1
MOST_FIRST = 1000
SHOWN = 20
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


def named(found: Recall | None) -> tuple[Key, ...]:
    """The memories that `losses` names."""
    from memdefrag.model.records import Key

    if found is None:
        return ()
    memories = [hit.memory for hit in found.lost[:SHOWN]]
    memories += [each.memory for _, lost in _filters(found) for each in lost[:SHOWN]]
    return tuple(Key(*memory.partition("/")[::2]) for memory in dict.fromkeys(memories))


def losses(found: Recall | None, texts: Mapping[str, str]) -> tuple[str, ...]:
    """Each thing that is lost: hits, then days, tags and types; then what could not be asked.

    Args:
        texts: what memories say, by their names.
    """
    if found is None:
        return ()

    def said(memory: str) -> str:
        return f"“{one_line(texts[memory], _LINE)}”" if texts.get(memory) else memory

    def hit_line(hit: LostHit) -> str:
        asked = "itself" if hit.query == hit.memory else f"“{one_line(hit.query, _LINE)}”"
        after = f"number {thousands(hit.after)} afterwards" if hit.after else "not found afterwards"
        return f"Asked for {asked}, {said(hit.memory)} is number {hit.before} now, {after}"

    lines = _some([hit_line(hit) for hit in found.lost[:SHOWN]], len(found.lost), "")
    for what, lost in _filters(found):
        told = [f"No longer found by its {what}: {said(each.memory)} ({each.was}, then {each.now or 'none'})"
                for each in lost[:SHOWN]]  # fmt: skip
        lines += _some(told, len(lost), f" no longer found by their {what}")
    return (*lines, *found.notes)


def _filters(found: Recall) -> tuple[tuple[str, Sequence[LostFilter]], ...]:
    return ("day", found.days_lost), ("tag", found.tags_lost), ("type", found.types_lost)


def _shares(found: Found, first: int) -> str:
    return (
        f"{count(found.queries, 'search', 'searches')}: {found.at_1:.1%} of the first hits stay first, "
        f"{found.at_k:.1%} of those among the first {first} stay there"
    )


def _some(lines: list[str], all_lines: int, what: str) -> list[str]:
    """The lines, and how many more there are."""
    more = all_lines - len(lines)
    return [*lines, f"… and {thousands(more)} more{what}"] if more else lines
