"""The page of one backup's memories: look for one, compare it with what the store holds now, bring it back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from memdefrag.base.errors import MemdefragError
from memdefrag.base.progress import Progress
from memdefrag.base.settings import PREVIEW_CHARACTERS
from memdefrag.base.wording import count, day
from memdefrag.presenters.tasks import Runner
from memdefrag.presenters.wording import elided, one_line, place_of, thousands, utc_moment

if TYPE_CHECKING:
    from memdefrag.model.records import Key, MemoryRecord

MOST_SHOWN = 5_000
GONE, CHANGED, SAME, UNKNOWN = "gone", "changed", "as it was", ""
_LINE = 200
_ORDER = (GONE, CHANGED, UNKNOWN, SAME)


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A memory of the backup; `now` says what became of it in the store: gone, changed, as it was, or unknown."""

    key: Key
    now: str
    created: str
    line: str
    searched: str


@dataclass(frozen=True, slots=True)
class Held:
    """A backup's memories: those that are gone first, then those that changed.

    Attributes:
        texts: by row, the whole text.
        address: what opens the backup as a store.
    """

    id: str
    address: str
    title: str
    rows: tuple[HeldRow, ...]
    texts: dict[Key, str]


@dataclass(frozen=True, slots=True)
class InsideState:
    """The page's content.

    Attributes:
        rows: those that fit the filter, as far as they are shown; `notice` says if there are more.
        selected: the marked rows; `text` is that of the first.
    """

    title: str = ""
    looking: bool = True
    filter: str = ""
    rows: tuple[HeldRow, ...] = ()
    selected: tuple[int, ...] = ()
    text: str = ""
    notice: str = ""

    @property
    def restorable(self) -> int:
        """How many of the marked memories are not as they were."""
        return sum(self.rows[number].now != SAME for number in self.selected)


class InsideView(Protocol):
    def update_state(self, state: InsideState) -> None: ...


class InsidePresenter:
    """Shows what a backup holds; hands restoring and opening on.

    Args:
        restore: called with the backup's id and the keys of the memories to bring back.
        open_store: called with the backup's address, to look at it as at any store.
    """

    def __init__(
        self,
        make_view: Callable[[InsidePresenter], InsideView],
        runner: Runner,
        restore: Callable[[str, Collection[Key]], None],
        open_store: Callable[[str], None],
        failed: Callable[[MemdefragError], None],
    ) -> None:
        self._runner, self._restore, self._open, self._failed = runner, restore, open_store, failed
        self._held: Held | None = None
        self.state = InsideState()
        self._view = make_view(self)

    def show(self, backup_id: str) -> None:
        """Read a backup and the store it was made of, and list what it holds."""
        self._held = None
        self._show(InsideState())
        self._runner.run(lambda progress: read(backup_id, progress), self._read, self._could_not)

    def set_filter(self, text: str) -> None:
        """Only memories whose text, id or tags say this."""
        self._list(text)

    def select(self, rows: tuple[int, ...]) -> None:
        if rows != self.state.selected and self._held:
            first = self._held.texts[self.state.rows[rows[0]].key] if rows else ""
            self._show(replace(self.state, selected=rows, text=elided(first, PREVIEW_CHARACTERS)))

    def restore(self) -> None:
        """Bring the marked memories back into the store."""
        keys = {self.state.rows[number].key for number in self.state.selected}
        if self._held and keys:
            self._restore(self._held.id, keys)

    def open_as_store(self) -> None:
        """Summary and analysis of the backup, as of any store that can only be read."""
        if self._held:
            self._open(self._held.address)

    def _read(self, held: Held) -> None:
        self._held = held
        self._list("")

    def _list(self, filter: str) -> None:
        if self._held is None:
            return
        wanted = filter.casefold()
        fitting = [row for row in self._held.rows if wanted in row.searched]
        shown = tuple(fitting[:MOST_SHOWN])
        notice = f"The first {MOST_SHOWN:,} of {len(fitting):,} are shown." if len(fitting) > MOST_SHOWN else ""
        self._show(InsideState(self._held.title, False, filter, shown, notice=notice))
        self.select((0,) if shown else ())

    def _could_not(self, error: MemdefragError) -> None:
        self._show(replace(self.state, looking=False))
        self._failed(error)

    def _show(self, state: InsideState) -> None:
        self.state = state
        self._view.update_state(state)


def read(backup_id: str, progress: Progress) -> Held:
    """Read a backup, and compare it with what its store holds now.

    Raises:
        UnsupportedFormat: it holds files only.
        BackupDamaged, BackupNotFound: it cannot be read.
    """
    from memdefrag.engine.backups.shelf import find
    from memdefrag.engine.restore import content
    from memdefrag.model.hashing import record_hash
    from memdefrag.presenters.foresight import present_in

    backup = find(backup_id)
    held = content(backup, progress)
    present = present_in(backup.address, progress)

    def now(record: MemoryRecord) -> str:
        if present is None:
            return UNKNOWN
        there = present.by_key.get(record.key)
        if there is None:
            return GONE
        return SAME if record_hash(there) == record_hash(record) else CHANGED

    rows = sorted((_row(record, now(record)) for record in held.records), key=lambda row: _ORDER.index(row.now))
    counts = [
        f"{thousands(number)} {what}" for what in (GONE, CHANGED) if (number := sum(row.now == what for row in rows))
    ]
    title = (
        f"{place_of(backup.address)} on {utc_moment(str(backup.manifest['created']))}: "
        f"{count(len(rows), 'memory', 'memories')}" + (f", {', '.join(counts)} in the store now" if counts else "")
    )
    texts = {record.key: record.text or "" for record in held.records}
    return Held(backup.id, f"backup:{backup.id}", title, tuple(rows), texts)


def _row(record: MemoryRecord, now: str) -> HeldRow:
    text = record.text or ""
    searched = "\n".join((text, str(record.key), *record.tags)).casefold()
    return HeldRow(record.key, now, day(record.created), one_line(text, _LINE) or "(no text)", searched)
