"""The work behind the page of backups, to be run away from the window, and its outcome in words."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memdefrag.base.errors import BackupDamaged, MemdefragError
from memdefrag.base.progress import Progress
from memdefrag.base.wording import count, size
from memdefrag.presenters.wording import begun, place_of, thousands, utc_moment

if TYPE_CHECKING:
    from memdefrag.engine.backups.retention import Budget, Pruned
    from memdefrag.engine.backups.shelf import Backup, Damaged


@dataclass(frozen=True, slots=True)
class BackupRow:
    """A backup in the list.

    Attributes:
        store: where its store stands, `address` what opens that; empty where the backup cannot tell any more.
        holds: which of the two layers there are.
        checked: when it was last found whole; empty: never since it was made.
        damage: why it cannot be relied upon; empty: nothing is known against it.
    """

    id: str
    created: str
    reason: str
    store: str
    address: str
    memories: str
    size: str
    holds: str
    folder: str
    checked: str = ""
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """All backups, newest first; the room they take, and a warning if that is too much; and what else to do."""

    rows: tuple[BackupRow, ...] = ()
    room: str = ""
    warning: str = ""
    hint: str = ""


def look() -> Shelf:
    """Good and damaged backups of all stores, newest first."""
    from memdefrag.engine import catalogue
    from memdefrag.engine.backups.drill import drill_due
    from memdefrag.engine.backups.shelf import all_backups, damaged_backups

    checked = {event["id"]: event["time"] for event in catalogue.events() if event["event"] == "verified"}
    damaged = {found.id: found for found in damaged_backups()}
    readable = {found.id: _row(found, checked.get(found.id, ""), damaged.get(found.id)) for found in all_backups()}
    rows = readable | {id: _unreadable(found) for id, found in damaged.items() if id not in readable}
    hint = ""
    if drill_due(time.time()):
        hint = "No backup was restored on trial for a month: Verify by Restoring a Copy, in the menu More, does it."
    room, warning = room_of_backups()
    return Shelf(tuple(rows[id] for id in sorted(rows, reverse=True)), room, warning, hint)


def room_of_backups() -> tuple[str, str]:
    """How much room all backups take and where; and a warning, empty while that is not too much."""
    from memdefrag.engine.backups.retention import budget

    try:
        taken = budget()
    except MemdefragError as error:
        return "", f"{error.message} {error.todo}"
    return f"{size(taken.total)} in {taken.folder} ({size(taken.free)} free)", too_much(taken)


def too_much(budget: Budget) -> str:
    """What to tell a person whose backups take too much room; empty while they do not."""
    if not budget.over:
        return ""
    return (
        f"The backups take {size(budget.total)}, more than the {size(budget.limit)} meant for them. "
        "Clean Up, on the page of backups, shows which ones are no longer needed."
    )


def line(pruned: Pruned) -> str:
    """A backup that may go, in a list."""
    return f"{utc_moment(pruned.created)} · {place_of(pruned.store)} · {size(pruned.size)}"


def back_up(address: str, progress: Progress) -> str:
    """Back up a whole store, from a private copy of one moment while a program holds it."""
    from memdefrag.engine.backups.create import create
    from memdefrag.engine.steady import State, steadily
    from memdefrag.model.address import parse
    from memdefrag.stores.base import Store

    def work(store: Store, state: State) -> tuple[Backup, State]:
        return create(store, None, "by hand", progress, state=state), state

    made, state = steadily(parse(address).whole(), progress, work)
    memories = count(made.records, "memory", "memories")
    return f"Backed up {memories} of {place_of(address)} ({state}). Every byte was read back."


def verify(id: str, deep: bool, progress: Progress) -> str:
    """Check a backup.

    Raises:
        BackupDamaged: it is.
    """
    from memdefrag.engine.backups.drill import drill
    from memdefrag.engine.backups.shelf import find
    from memdefrag.engine.backups.verify import verify as read_back

    if not deep:
        read_back(find(id), progress)
        return f"Backup {id} is whole: every byte is as it was written."
    backup = find(id)
    [done] = drill(progress, backup)
    if done.restored is None:
        raise BackupDamaged(done.damage, safe="Neither the store nor the backup was touched.")
    found = done.restored
    if not backup.raw:
        return f"All {thousands(found.records)} memories in the backup are what they were. {found.note}"
    search = found.note or (
        f"Its search finds {found.asked - found.lost} of {count(found.asked, 'memory', 'memories')} it was asked for."
    )
    return f"The restored copy holds the same memories, {thousands(found.records)} of them. {search}"


def restore_to(id: str, folder: Path, progress: Progress) -> str:
    """Unpack a backup beside everything else."""
    from memdefrag.engine.backups.beside import restore_to as unpack
    from memdefrag.engine.backups.shelf import find

    done = unpack(find(id), folder, progress)
    lost = "".join(f" Not held there: {what} ({thousands(number)})." for what, number in done.losses.items())
    return f"{count(done.records, 'memory', 'memories')} are in {done.address.location}; they were read back.{lost}"


def export(id: str, file: Path, progress: Progress) -> str:
    """Put a backup into one file."""
    from memdefrag.engine.backups.archive import export as pack
    from memdefrag.engine.backups.shelf import find

    written = pack(find(id), file, progress)
    return (
        f"The backup is in {written} ({size(written.stat().st_size)}), which was read back. "
        "It holds the memories in plain: keep it where nobody else reads it."
    )


def take_in(file: Path, progress: Progress) -> str:
    """Put a backup from elsewhere onto the shelf."""
    from memdefrag.engine.backups.foreign import take_in as read_in

    done = read_in(file, progress)
    memories = count(done.backup.records, "memory", "memories")
    return " ".join([f"Taken in: a backup of {done.backup.address}, {memories}.", *done.problems])


def _row(backup: Backup, checked: str, damage: Damaged | None) -> BackupRow:
    layers = [name for name, layer in (("files", backup.raw), ("memories", backup.neutral)) if layer]
    return BackupRow(
        id=backup.id,
        created=utc_moment(str(backup.manifest["created"])),
        reason=str(backup.manifest["reason"]),
        store=place_of(backup.address),
        address=backup.address,
        memories=thousands(backup.records),
        size=size(backup.size),
        holds=" and ".join(layers),
        folder=str(backup.folder),
        checked=utc_moment(checked) if checked else "",
        damage=damage.reason if damage else "",
    )


def _unreadable(found: Damaged) -> BackupRow:
    """What its folder alone tells."""
    taken = sum(path.stat().st_size for path in found.folder.rglob("*") if path.is_file())
    return BackupRow(
        found.id, begun(found.id), "", found.folder.parent.name, "", "", size(taken), "", str(found.folder), "",
        found.reason,
    )
