"""The page of one open store: what it holds, who uses it, and where to go from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from memdefrag.base.errors import UsageError
from memdefrag.base.wording import count, moment, size
from memdefrag.presenters.looking import Looking
from memdefrag.presenters.welcome import KIND_NAMES
from memdefrag.presenters.wording import place_of, thousands

if TYPE_CHECKING:
    from memdefrag.engine.inspect import Summary

ALL_COLLECTIONS = "All collections"


@dataclass(frozen=True, slots=True)
class SummaryState:
    """The page's content.

    Attributes:
        facts: label and value, in order of interest.
        collections: rows of name, memories, with vector, dimension, metric, model.
        notes: who uses it, what is wrong with it, what to know before writing.
        choices: collections to analyse; the first entry means all; empty when there is nothing to choose.
        without_vector: memories that get a vector for the comparison, if a model may be used.
        looking: how the store is looked at; `problem` says what in it cannot be, empty mostly.
        question: that making the vectors takes long; empty mostly.
        decided: groups decided in an earlier sitting.
    """

    title: str
    place: str
    facts: tuple[tuple[str, str], ...]
    collections: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    chosen: int = 0
    without_vector: int = 0
    looking: Looking = field(default_factory=Looking)
    problem: str = ""
    question: str = ""
    decided: int = 0
    is_copy: bool = False
    is_backup: bool = False


class SummaryView(Protocol):
    def update_state(self, state: SummaryState) -> None: ...


class SummaryPresenter:
    """Shows a store's summary; the rest is buttons.

    Args:
        analyse: called with the collection (None: all) and how to look.
        copy: called to try everything on a copy.
    """

    def __init__(
        self,
        make_view: Callable[[SummaryPresenter], SummaryView],
        analyse: Callable[[str | None, Looking], None],
        copy: Callable[[], None],
    ) -> None:
        self._analyse = analyse
        self.try_on_copy = copy
        self.state: SummaryState | None = None
        self._view = make_view(self)

    def show(self, summary: Summary, selected: str | None, decided: int, *, is_copy: bool) -> None:
        """Present a store; `selected` is the collection its address names."""
        self._update(summary_state(summary, selected, decided, is_copy=is_copy))

    def choose(self, index: int) -> None:
        """Another entry of `choices`."""
        if self.state and 0 <= index < len(self.state.choices):
            self._update(replace(self.state, chosen=index))

    def look(self, **chosen: Any) -> None:
        """Another way to look: fields of `Looking` with their new values."""
        if self.state:
            looking = replace(self.state.looking, **chosen)
            if looking != self.state.looking:
                self._update(replace(self.state, looking=looking, problem="", question=""))

    def set_no_model(self, no_model: bool) -> None:
        """Compare memories without a vector by their words."""
        self.look(no_model=no_model)

    def look_as_usual(self) -> None:
        """Forget what was chosen about how to look."""
        if self.state:
            self._update(replace(self.state, looking=Looking(), problem="", question=""))

    def ask_about_long_work(self, question: str) -> None:
        """Making vectors takes long: the person decides between that, comparing words, and neither."""
        if self.state:
            self._update(replace(self.state, question=question))

    def cancel(self) -> None:
        """Neither: nothing is begun."""
        self.ask_about_long_work("")

    def start_analysis(self, *, long_work: bool = False) -> None:
        """Analyse what is chosen; `long_work`: the person agreed to wait."""
        if not self.state:
            return
        looking, chosen = replace(self.state.looking, long_work=long_work), self.state.chosen
        try:
            looking.scope()
        except UsageError as error:
            self._update(replace(self.state, problem=f"{error.message} {error.todo}", question=""))
            return
        self._update(replace(self.state, question=""))
        self._analyse(self.state.choices[chosen] if chosen > 0 else None, looking)

    def start_by_words(self) -> None:
        """Analyse without a model."""
        self.set_no_model(True)
        self.start_analysis()

    def _update(self, state: SummaryState) -> None:
        self.state = state
        self._view.update_state(state)


def summary_state(summary: Summary, selected: str | None, decided: int, *, is_copy: bool) -> SummaryState:
    """A summary in words."""
    kind, place = summary.address.partition(":")[0], place_of(summary.address)
    facts = [
        ("Memories", thousands(summary.count)),
        ("Kind", KIND_NAMES.get(kind, kind)),
        ("Made by", summary.format),
        ("Size", size(summary.bytes) if summary.bytes else "unknown"),
        ("Last change", moment(summary.modified) or "unknown"),
    ]
    rows = tuple(
        (
            info.name,
            thousands(info.count),
            thousands(info.with_embedding),
            str(info.dimension or "–"),
            info.metric,
            info.model or "not recorded",
        )
        for info in summary.collections
    )
    names = tuple(info.name for info in summary.collections if info.count)
    choices = (ALL_COLLECTIONS, *names) if len(names) > 1 else ()
    return SummaryState(
        title=Path(place).name,
        place=place,
        facts=tuple(facts),
        collections=rows,
        notes=tuple(_notes(summary)),
        choices=choices,
        chosen=choices.index(selected) if selected in choices else 0,
        without_vector=sum(info.count - info.with_embedding for info in summary.collections),
        decided=decided,
        is_copy=is_copy,
        is_backup=summary.kind == "backup",
    )


def _notes(summary: Summary) -> list[str]:
    notes = []
    for holder in summary.in_use:
        notes.append(
            f"{holder} has this store open. Analysing is safe; before Optimize writes, it has to be closed. "
            f"{holder.advice}"
        )
    if summary.kind == "backup":
        notes.append("This is a backup: it can be looked at and analysed, and is never changed.")
    elif not summary.writable:
        notes.append("This store can be read but not written.")
    if summary.written_by:
        notes.append(
            f"This folder belongs to a service with chromadb {summary.written_by}. It will be written by that "
            "version, so that the service can go on using it; you are asked how before anything is written."
        )
    notes += summary.problems
    return notes


def saved_decisions(decided: int) -> str:
    """The line that says that a review goes on where it was left."""
    return f"{count(decided, 'decision')} from your last review of this store will be there again."
