"""The page of what was told apart: the pairs of texts in this store that are no duplicates, and taking that back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from memdefrag.base.errors import MemdefragError
from memdefrag.base.progress import Progress
from memdefrag.base.wording import count
from memdefrag.presenters.compare import Span, word_diff
from memdefrag.presenters.tasks import Runner, Task
from memdefrag.presenters.wording import one_line, place_of, utc_moment

if TYPE_CHECKING:
    from memdefrag.analysis.apart import Pair
    from memdefrag.model.address import Address

_LINE = 160
EXPLANATION = (
    "What you said is no duplicate stays so, in every store and for good. What you forget here may be suggested again "
    "by the next analysis."
)


@dataclass(frozen=True, slots=True)
class ApartRow:
    """A pair: when it was told apart, and its texts."""

    pair: Pair
    since: str
    one: str
    other: str

    @property
    def lines(self) -> tuple[str, str]:
        """The beginnings of the texts."""
        return one_line(self.one, _LINE), one_line(self.other, _LINE)


@dataclass(frozen=True, slots=True)
class ApartState:
    """The page's content.

    Attributes:
        selected: the marked rows; `one` and `other` are the texts of the first, with what only each says marked.
        message: what was done last.
    """

    title: str = ""
    looking: bool = True
    rows: tuple[ApartRow, ...] = ()
    selected: tuple[int, ...] = ()
    one: tuple[Span, ...] = ()
    other: tuple[Span, ...] = ()
    message: str = ""


class ApartView(Protocol):
    def update_state(self, state: ApartState) -> None: ...


class ApartPresenter:
    """Lists the pairs of one store; the list itself is one for all stores.

    Args:
        leave: called to go back.
    """

    def __init__(
        self,
        make_view: Callable[[ApartPresenter], ApartView],
        runner: Runner,
        leave: Callable[[], None],
        failed: Callable[[MemdefragError], None],
    ) -> None:
        self._runner, self.leave, self._failed = runner, leave, failed
        self._address: Address | None = None
        self.state = ApartState()
        self._view = make_view(self)

    def show(self, address: Address) -> None:
        """Read a store and list what of it was told apart."""
        self._address = address
        self._show(ApartState(f"Reading {place_of(str(address))} …"))
        self._run(lambda _: "")

    def select(self, rows: tuple[int, ...]) -> None:
        """The person marked rows."""
        if rows != self.state.selected:
            first = self.state.rows[rows[0]] if rows else None
            one, other = word_diff(first.one, first.other) if first else ((), ())
            self._show(replace(self.state, selected=rows, one=one, other=other))

    def forget(self) -> None:
        """The marked pairs may be duplicates again."""
        pairs = [self.state.rows[number].pair for number in self.state.selected]
        if pairs and not self.state.looking:
            self._run(lambda _: _forget(pairs, str(self._address)))

    def export(self, file: str) -> None:
        """Write the pairs of all stores to a file; nothing happens without a name."""
        if file and not self.state.looking:
            self._run(lambda _: _export(Path(file)))

    def import_(self, file: str) -> None:
        """Add the pairs of such a file; nothing happens without a name."""
        if file and not self.state.looking:
            self._run(lambda _: _import(Path(file)))

    def _run(self, task: Task[str]) -> None:
        """Do something to the list, and list it anew."""
        address = self._address
        assert address is not None

        def work(progress: Progress) -> tuple[str, tuple[ApartRow, ...]]:
            return task(progress), _listed(address, progress)

        def done(outcome: tuple[str, tuple[ApartRow, ...]]) -> None:
            message, rows = outcome
            self._show(ApartState(_title(rows), looking=False, rows=rows, message=message))
            self.select((0,) if rows else ())

        self._show(replace(self.state, looking=True))
        self._runner.run(work, done, self._could_not, lane="apart")

    def _could_not(self, error: MemdefragError) -> None:
        self._show(replace(self.state, looking=False))
        self._failed(error)

    def _show(self, state: ApartState) -> None:
        self.state = state
        self._view.update_state(state)


def _listed(address: Address, progress: Progress) -> tuple[ApartRow, ...]:
    """The pairs of a store, the newest first."""
    from memdefrag.engine.apart import in_store
    from memdefrag.engine.steady import read_steadily

    snapshot, _ = read_steadily(address, progress)
    return tuple(
        ApartRow(each.pair, utc_moment(each.time), one.text or "", other.text or "")
        for each, one, other in reversed(in_store(snapshot))
    )


def _forget(pairs: Sequence[Pair], store: str) -> str:
    from memdefrag.engine import apart

    return f"Forgotten: {count(len(apart.forget(pairs, store)), 'pair')}."


def _export(file: Path) -> str:
    from memdefrag.engine import apart

    return f"{count(apart.write_file(file), 'pair')} of all stores, as hashes without texts: {file}"


def _import(file: Path) -> str:
    from memdefrag.engine import apart

    return f"{count(len(apart.read_file(file)), 'pair')} more told apart; those in this store are listed."


def _title(rows: Sequence[ApartRow]) -> str:
    if not rows:
        return "Nothing in this store was told apart. On the results, N says so of a group."
    return f"{count(len(rows), 'pair')} of texts in this store."
