"""The page of memories that hardly are any: look at the lists, tick what may go, see the plan."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from memdefrag.base.errors import MemdefragError
from memdefrag.base.progress import Progress
from memdefrag.base.settings import PREVIEW_CHARACTERS
from memdefrag.base.wording import count
from memdefrag.presenters.tasks import Runner
from memdefrag.presenters.wording import elided, one_line, place_of

if TYPE_CHECKING:
    from memdefrag.analysis.junk import Junk
    from memdefrag.model.address import Address
    from memdefrag.model.plan import Plan
    from memdefrag.model.records import Snapshot

_LINE = 200
_TITLES = {
    "empty": "empty",
    "nearly-empty": "nearly empty",
    "test": "left over from a test",
    "oversized": "oversized",
    "bad-vector": "no usable vector",
}


@dataclass(frozen=True, slots=True)
class JunkRow:
    """One finding: what kind it is, why, and the beginning of the text."""

    kind: str
    why: str
    line: str


@dataclass(frozen=True, slots=True)
class JunkState:
    """The page's content. `selected` are the marked rows, which Remove is about; `text` is that of the first."""

    title: str = ""
    looking: bool = True
    rows: tuple[JunkRow, ...] = ()
    selected: tuple[int, ...] = ()
    text: str = ""
    removable: int = 0


class JunkView(Protocol):
    def update_state(self, state: JunkState) -> None: ...


class JunkPresenter:
    """Lists a store's junk; what is marked can be planned to go.

    Args:
        show_plan: called with the plan that drops the marked memories.
        leave: called to go back.
    """

    def __init__(
        self,
        make_view: Callable[[JunkPresenter], JunkView],
        runner: Runner,
        show_plan: Callable[[Plan], None],
        leave: Callable[[], None],
        failed: Callable[[MemdefragError], None],
    ) -> None:
        self._runner, self._show_plan, self.leave, self._failed = runner, show_plan, leave, failed
        self._snapshot: Snapshot | None = None
        self._found: list[Junk] = []
        self.state = JunkState()
        self._view = make_view(self)

    def show(self, address: Address) -> None:
        """Read a store and list its junk."""
        self._snapshot, self._found = None, []
        self._show(JunkState(f"Reading {place_of(str(address))} …"))
        self._runner.run(lambda progress: find(address, progress), self._listed, self._could_not)

    def select(self, rows: tuple[int, ...]) -> None:
        """The person marked rows."""
        if rows != self.state.selected:
            first = self._found[rows[0]].record.text or "" if rows else ""
            keys = {self._found[number].record.key for number in rows}
            shown = elided(first, PREVIEW_CHARACTERS)
            self._show(replace(self.state, selected=rows, text=shown, removable=len(keys)))

    def plan_removal(self) -> None:
        """See what removing the marked memories would do."""
        from memdefrag.engine.planning import drop_plan

        marked = [self._found[number] for number in self.state.selected]
        if self._snapshot and marked:
            self._show_plan(drop_plan(self._snapshot, marked))

    def _listed(self, outcome: tuple[Snapshot, list[Junk]]) -> None:
        self._snapshot, self._found = outcome
        rows = tuple(
            JunkRow(_TITLES[each.kind.value], each.why, one_line(each.record.text or "", _LINE) or "(no text)")
            for each in self._found
        )
        self._show(JunkState(_title(self._found), looking=False, rows=rows))
        self.select((0,) if rows else ())

    def _could_not(self, error: MemdefragError) -> None:
        self._show(replace(self.state, looking=False))
        self._failed(error)

    def _show(self, state: JunkState) -> None:
        self.state = state
        self._view.update_state(state)


def find(address: Address, progress: Progress) -> tuple[Snapshot, list[Junk]]:
    """Read a store and look for junk."""
    from memdefrag.analysis.junk import junk
    from memdefrag.engine.steady import read_steadily

    snapshot, _ = read_steadily(address, progress)
    return snapshot, junk(snapshot)


def _title(found: Collection[Junk]) -> str:
    if not found:
        return "Nothing here is empty, left over from a test, oversized or without a usable vector."
    number = count(len({each.record.key for each in found}), "memory", "memories")
    return f"{number} to look at. Nothing is removed by itself."
