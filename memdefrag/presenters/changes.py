"""The page of changes: what was done to which store, taking it back, doing it again, and seeing it in full."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from memdefrag.base.errors import MemdefragError
from memdefrag.base.settings import PREVIEW_CHARACTERS
from memdefrag.base.wording import count, moment
from memdefrag.presenters.tasks import Runner
from memdefrag.presenters.wording import begun, elided, one_line, place_of, utc_moment

if TYPE_CHECKING:
    from memdefrag.engine.history import HistoryStep
    from memdefrag.engine.step_details import FieldChange, RecordChange, StepDetails

DAMAGED = "DAMAGED"
MOST_SHOWN = 1_000
_LINE = 160


@dataclass(frozen=True, slots=True)
class StepRow:
    """A change that was made.

    Attributes:
        state: "applied", "partly undone", "undone", "undo of …", "redo of …" or "DAMAGED".
        undoable, redoable: whether that may be asked for.
        added: how many memories it took away that had come since the state it put back.
    """

    id: str
    time: str
    store: str
    what: str
    state: str
    undoable: bool = False
    redoable: bool = False
    added: int = 0

    @property
    def damaged(self) -> bool:
        """What it saved of itself cannot be relied upon."""
        return self.state == DAMAGED


@dataclass(frozen=True, slots=True)
class TouchedRow:
    """A memory that a change touched: "added", "removed" or "changed"; its texts, cut to what a view can show."""

    what: str
    name: str
    line: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ChangesState:
    """The page's content.

    Attributes:
        shown: id of the step whose memories are listed in `touched`; empty: none.
        note: what else there is to say of that.
    """

    steps: tuple[StepRow, ...] = ()
    selected: int = -1
    shown: str = ""
    touched: tuple[TouchedRow, ...] = ()
    memory: int = -1
    note: str = ""

    @property
    def chosen(self) -> StepRow | None:
        return self.steps[self.selected] if 0 <= self.selected < len(self.steps) else None

    @property
    def chosen_memory(self) -> TouchedRow | None:
        return self.touched[self.memory] if 0 <= self.memory < len(self.touched) else None


class ChangesView(Protocol):
    def update_state(self, state: ChangesState) -> None: ...


class ChangesPresenter:
    """Lists changes and shows one; hands the writing on.

    Args:
        undo, redo, bring_back: called with a step's id.
    """

    def __init__(
        self,
        make_view: Callable[[ChangesPresenter], ChangesView],
        runner: Runner,
        undo: Callable[[str], None],
        redo: Callable[[str], None],
        bring_back: Callable[[str], None],
        failed: Callable[[MemdefragError], None],
    ) -> None:
        self._runner, self._failed = runner, failed
        self._undo, self._redo, self._bring_back = undo, redo, bring_back
        self.state = ChangesState()
        self._view = make_view(self)

    def refresh(self) -> None:
        """List what there is."""
        self._runner.run(lambda _: listing(), self._listed, self._failed)

    def select(self, number: int) -> None:
        if number != self.state.selected:
            self._show(replace(self.state, selected=number, shown="", touched=(), memory=-1, note=""))

    def select_memory(self, number: int) -> None:
        if number != self.state.memory:
            self._show(replace(self.state, memory=number))

    def undo(self) -> None:
        """Take the selected change back."""
        if (step := self.state.chosen) and step.undoable:
            self._undo(step.id)

    def redo(self) -> None:
        """Carry the selected change, which was undone, out again."""
        if (step := self.state.chosen) and step.redoable:
            self._redo(step.id)

    def bring_back(self) -> None:
        """Write back the memories that had come since the state that the selected change put in place."""
        if (step := self.state.chosen) and step.added:
            self._bring_back(step.id)

    def show(self) -> None:
        """List the memories that the selected change touched, before and after."""
        if not (step := self.state.chosen):
            return
        wanted = step.id

        def found(details: StepDetails) -> None:
            if (now := self.state.chosen) and now.id == wanted:
                touched = tuple(touched_row(each) for each in details.records[:MOST_SHOWN])
                first = 0 if touched else -1
                self._show(replace(self.state, shown=wanted, touched=touched, memory=first, note=_note(details)))

        self._runner.run(lambda _: details_of(wanted), found, self._failed)

    def _listed(self, steps: tuple[StepRow, ...]) -> None:
        self._show(ChangesState(steps, 0 if steps else -1))

    def _show(self, state: ChangesState) -> None:
        self.state = state
        self._view.update_state(state)


def listing() -> tuple[StepRow, ...]:
    """All applied steps, newest first, and those whose own description is damaged."""
    from memdefrag.engine import history
    from memdefrag.model.address import parse

    made, states = history.steps(), history.states()
    redoable = {each.id for store in {step.store for step in made} for each in history.redoable(parse(store))}
    rows = [_row(step, states[step.id], step.id in redoable) for step in made]
    lost = "Cannot be read any more; the backup from before it brings everything back."
    return (*rows, *(StepRow(id, begun(id), "", lost, DAMAGED) for id in history.damaged()))


def details_of(id: str) -> StepDetails:
    """All that a step did.

    Raises:
        BackupDamaged: what it saved is damaged.
    """
    from memdefrag.engine import history
    from memdefrag.engine.step_details import show

    return show(history.find(id))


def touched_row(change: RecordChange) -> TouchedRow:
    """A touched memory: its text, and below it every value that differs, before and after."""
    before, after = (record.text or "" if record else "" for record in (change.before, change.after))
    return TouchedRow(
        change.what,
        str(change.key),
        one_line(after or before, _LINE),
        _in_full(before, change.fields, "before") if change.before else "",
        _in_full(after, change.fields, "after") if change.after else "",
    )


def _in_full(text: str, fields: list[FieldChange], side: str) -> str:
    values = [(field.name, getattr(field, side)) for field in fields]
    lines = [f"{name}: {_value(name, value)}" for name, value in values if value is not None]
    return "\n\n".join(part for part in (elided(text, PREVIEW_CHARACTERS), "\n".join(lines)) if part)


def _value(name: str, value: object) -> str:
    if name in ("created", "updated") and isinstance(value, int | float):
        return moment(value) or str(value)
    return elided(str(value), PREVIEW_CHARACTERS)


def _note(details: StepDetails) -> str:
    notes = []
    if len(details.records) > MOST_SHOWN:
        notes.append(f"The first {MOST_SHOWN:,} of {len(details.records):,} memories are listed.")
    if details.left:
        notes.append(f"{count(len(details.left), 'memory is', 'memories are')} not undone yet.")
    if details.linked or details.unlinked:
        notes.append(f"Links: {len(details.linked):,} made, {len(details.unlinked):,} removed.")
    if not (details.records or details.linked or details.unlinked):
        notes.append("This change put other files in the store's place; its memories are in the backup from before it.")
    return " ".join(notes)


def _row(step: HistoryStep, state: str, redoable: bool) -> StepRow:
    from memdefrag.engine.history import StepState

    said = DAMAGED if state == StepState.DAMAGED else str(state)
    if state == StepState.APPLIED and (step.undoes or step.redoes):
        said = "undo" if step.undoes else "redo"
    return StepRow(
        id=step.id,
        time=utc_moment(step.time),
        store=place_of(step.store),
        what=_what(step),
        state=said + (", redo possible" if redoable else ""),
        undoable=state in (StepState.APPLIED, StepState.PARTLY),
        redoable=redoable,
        added=step.added,
    )


def _what(step: HistoryStep) -> str:
    done = [
        count(step.merged, "merge") if step.merged else "",
        f"{count(step.removed, 'memory', 'memories')} removed" if step.removed else "",
        f"{count(step.written, 'memory', 'memories')} written" if step.written > step.merged else "",
    ]
    return f"{step.reason}: " + (", ".join(part for part in done if part) or "files replaced")
