"""The first page: stores opened before, stores found on this machine, and ways to open another."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from memdefrag.base.errors import MemdefragError
from memdefrag.base.progress import Progress
from memdefrag.base.wording import count, moment, size
from memdefrag.presenters.tasks import Runner
from memdefrag.presenters.wording import place_of, utc_moment

if TYPE_CHECKING:
    from memdefrag.engine.inspect import Summary

KIND_NAMES = {
    "chroma": "Chroma folder",
    "chroma+http": "Chroma server",
    "chroma+https": "Chroma server",
    "memory-export": "Memory Defragmenter export",
    "memory-service": "Memory Service database",
    "memory-service-json": "Memory Service JSON file",
    "enhanced": "Enhanced Memory database",
    "enhanced-jsonl": "Enhanced Memory JSON lines",
    "mem0": "mem0 export",
    "knowledge-graph": "MCP knowledge graph",
    "hdev": "hdev folder",
    "hdev+http": "hdev server",
    "hdev+https": "hdev server",
    "bigmemory": "BigMemory database",
    "federated": "Federated Memory database",
    "jsonl": "JSON lines file",
    "parquet": "Parquet file",
    "backup": "Backup",
}


@dataclass(frozen=True, slots=True)
class StoreCard:
    """A store in the lists of the first page.

    Attributes:
        address: what opens it.
        facts: kind, count, size and last change; or why it cannot be read.
        origin: why it is in the list.
    """

    address: str
    title: str
    place: str
    facts: str
    origin: str = ""
    readable: bool = True


@dataclass(frozen=True, slots=True)
class AskedCard:
    """A change of which only the person can tell whether it did the assistant good."""

    step: str
    store: str
    text: str


@dataclass(frozen=True, slots=True)
class WelcomeState:
    asked: tuple[AskedCard, ...] = ()
    recent: tuple[StoreCard, ...] = ()
    found: tuple[StoreCard, ...] = ()
    looking: bool = False


class WelcomeView(Protocol):
    def update_state(self, state: WelcomeState) -> None: ...


class WelcomePresenter:
    """Looks for stores without leaving a trace and hands the chosen one on.

    Args:
        open_store: takes an address or a path.
        doubtful: called with the change after which the assistant does not work.
    """

    def __init__(
        self,
        make_view: Callable[[WelcomePresenter], WelcomeView],
        runner: Runner,
        open_store: Callable[[str], None],
        open_demo: Callable[[], None],
        doubtful: Callable[[AskedCard], None],
        failed: Callable[[MemdefragError], None],
    ) -> None:
        self._runner, self._doubtful, self._failed = runner, doubtful, failed
        self.open, self.demo = open_store, open_demo
        self.state = WelcomeState()
        self._view = make_view(self)

    def refresh(self) -> None:
        """Read the recent list and look at the usual places, in the background."""
        if self.state.looking:
            return
        self._show(replace(self.state, looking=True))
        self._runner.run(look_around, self._show, self._could_not_look)

    def answer(self, card: AskedCard, works: bool) -> None:
        """Whether the assistant works with the result of a change; if not, there is a way back."""

        def noted(_: object) -> None:
            self._show(replace(self.state, asked=tuple(each for each in self.state.asked if each != card)))
            if not works:
                self._doubtful(card)

        self._runner.run(lambda _: note_answer(card.step, works), noted, self._failed)

    def _could_not_look(self, error: MemdefragError) -> None:
        self._show(replace(self.state, looking=False))
        self._failed(error)

    def _show(self, state: WelcomeState) -> None:
        self.state = state
        self._view.update_state(state)


def look_around(progress: Progress) -> WelcomeState:
    """The recent stores and those in the known places, each with its summary."""
    from memdefrag.engine import workspace
    from memdefrag.stores.known_places import candidates

    places = candidates(os.environ, Path.home(), sys.platform)
    recent = tuple(_cards(((address, "") for address in workspace.recent()), progress))
    around = _cards(((str(place.path.absolute()), place.what) for place in places), progress)
    found = {card.place: card for card in reversed(list(around)) if card.readable}
    for card in recent:
        found.pop(card.place, None)
    return WelcomeState(open_questions(), recent, tuple(reversed(found.values())))


def open_questions() -> tuple[AskedCard, ...]:
    """The newest change of each store that the person has not judged yet; it is noted that they were asked."""
    from memdefrag.engine.backups import acceptance

    acceptance.ask()
    newest = {question.store: question for question in acceptance.pending()}
    return tuple(
        AskedCard(
            question.step,
            question.store,
            f"{place_of(question.store)} was changed on {utc_moment(question.when)}.",
        )
        for question in newest.values()
    )


def note_answer(step: str, works: bool) -> None:
    """Write the answer down; from a yes on, backups from before the change need not all stay."""
    from memdefrag.engine.backups import acceptance

    acceptance.answer(step, works)


def _cards(places: Iterable[tuple[str, str]], progress: Progress) -> Iterable[StoreCard]:
    from memdefrag.engine.inspect import inspect
    from memdefrag.stores.registry import open_store

    for address, origin in places:
        progress.check()
        try:
            with open_store(address) as store:
                yield card(inspect(store), origin)
        except MemdefragError as error:
            path = Path(address.partition(":")[2] or address)
            yield StoreCard(address, path.name, str(path), error.message, origin, readable=False)


def card(summary: Summary, origin: str = "") -> StoreCard:
    """A store's summary as one entry of a list."""
    kind, place = summary.address.partition(":")[0], place_of(summary.address)
    facts = [KIND_NAMES.get(kind, summary.format), count(summary.count, "memory", "memories"), size(summary.bytes)]
    if summary.modified:
        facts.append(f"changed {moment(summary.modified)}")
    if summary.in_use:
        facts.append(f"in use by {summary.in_use[0].name}")
    return StoreCard(summary.address, Path(place).name, place, " · ".join(facts), origin)
