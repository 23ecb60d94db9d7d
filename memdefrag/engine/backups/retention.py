"""Which backups stay when room is needed, and how much room all of them take.

Nothing is ever pruned unasked. The rules count backups in the order of the catalogue and days by their dates, never
the distance to the present: a clock that was set wrong, then or now, must not make backups look old.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from memdefrag.base.errors import BackupNotFound
from memdefrag.base.fsops import free_bytes, remove, rename
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BACKUP_LIMIT_VARIABLE, backup_limit, data_dir
from memdefrag.base.wording import size
from memdefrag.engine import catalogue, history, step_files
from memdefrag.engine.backups import acceptance
from memdefrag.engine.backups.create import ABANDONED_SECONDS
from memdefrag.engine.backups.shelf import Backup, all_backups
from memdefrag.engine.failures import disk_errors_told
from memdefrag.model.address import Address, parse

LAST, DAYS, WEEKS = 10, 14, 8
MOST_BYTES, MOST_OF_FREE = 10_000_000_000, 0.20
AUTOMATIC = "before "
"""How the reasons of backups begin that memdefrag makes by itself before it writes."""

_TRASH = ".trash-"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the rules look at in a backup.

    Attributes:
        store: the name of the store's folder on the shelf.
        automatic: made by memdefrag before a write; others were made or taken in by the person.
    """

    id: str
    store: str
    made: date
    automatic: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What else counts.

    Attributes:
        order: where the catalogue first names each id.
        verified: ids whose last check found them whole.
        imported: ids that were taken in from elsewhere.
        busy: stores with an unfinished write.
        needed: ids without which a step can no longer be undone.
        questions: of each store that has one, the place in `order` of the first step the person has not yet
            accepted.
    """

    order: dict[str, int]
    verified: Collection[str] = ()
    imported: Collection[str] = ()
    busy: Collection[str] = ()
    needed: Collection[str] = ()
    questions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pruned:
    """One backup that was (or, in a dry run, would be) removed; `size` in bytes."""

    id: str
    store: str
    created: str
    size: int


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What a pruning did: the backups removed, and why each of the others stays."""

    dry_run: bool
    removed: tuple[Pruned, ...]
    kept: dict[str, str]

    @property
    def freed(self) -> int:
        """Bytes."""
        return sum(each.size for each in self.removed)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "freed": self.freed}


@dataclass(frozen=True, slots=True)
class Budget:
    """The room of all backups, in bytes: taken, left on the disk, and allowed."""

    total: int
    folder: Path
    free: int
    limit: int

    @property
    def over(self) -> bool:
        return self.total > self.limit

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "folder": str(self.folder), "over": self.over}


def keep(entries: Iterable[Entry], facts: Facts, named: Collection[str] = ()) -> dict[str, str]:
    """The ids of the backups that stay, each with the reason. Pure.

    Of each store stay: the first and the newest verified one, the last 10, the newest of each of the last 14 days
    and last 8 weeks that have any, all that were made by hand or taken in, and all that an unfinished write, an
    undo, or an open question may need.

    Args:
        named: backups that the person wants to go: only safety keeps these, not their being wanted once.
    """
    kept: dict[str, str] = {}
    shelves: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.id in facts.order:
            shelves.setdefault(entry.store, []).append(entry)
        else:
            kept[entry.id] = "the catalogue does not know it"
    for store, shelf in shelves.items():
        shelf.sort(key=lambda entry: facts.order[entry.id])
        kept |= _wanted([entry for entry in shelf if entry.id not in named], facts)
        kept |= _safety(store, shelf, facts)
    return kept


@disk_errors_told("Backups that were to stay are where they were.")
def prune(
    dry_run: bool = False, named: Collection[str] = (), progress: Progress | None = None
) -> PruneReport:
    """Remove what the rules do not keep, after what an interrupted pruning, export or import left.

    The catalogue is told first, then the folder gets a name that nothing takes for a backup, then it is removed.

    Args:
        named: ids (or unambiguous beginnings) of backups to remove although the rules would keep them; safety
            still keeps some, and the report says why.

    Raises:
        BackupNotFound: none, or several, of a name.
        NotPermitted, WriteError: the disk failed; what was told in the catalogue goes the next time.
    """
    progress = progress or Progress()
    shelf = data_dir() / "backups"
    backups = all_backups()
    kept = keep(map(entry_of, backups), gather(backups), {_one(backups, name).id for name in named})
    leaving = [backup for backup in backups if backup.id not in kept]
    report = PruneReport(
        dry_run,
        tuple(Pruned(each.id, each.address, str(each.manifest["created"]), each.size) for each in leaving),
        {backup.id: kept[backup.id] for backup in backups if backup.id in kept},
    )
    if dry_run:
        return report
    for left in shelf.glob(".*"):
        # A younger one may be another memdefrag's, which is just packing or unpacking there.
        if left.name.startswith(_TRASH) or time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
            remove(left)
    progress.phase("Pruning", len(leaving))
    for backup in leaving:
        _remove(backup)
        progress.step()
    return report


@disk_errors_told("The backup is where it was.")
def discard(id: str) -> None:
    """Remove one backup whatever the rules say: that of a write whose own history undoes it, in a row of many.

    Raises:
        BackupNotFound: there is none of that id.
    """
    _remove(_one(all_backups(), id))


def budget() -> Budget:
    """The room all backups take, and may take: what the person said, else 10 GB or a fifth of the free room.

    Raises:
        UsageError: what the person said is no size.
    """
    folder = data_dir() / "backups"
    total = sum(_size(Path(place, name)) for place, _, names in os.walk(folder) for name in names)
    free = free_bytes(folder)
    said = backup_limit()
    # Room that the backups take was free once: else the limit would sink as they grow.
    limit = min(MOST_BYTES, int(MOST_OF_FREE * (free + total))) if said is None else said
    return Budget(total, folder, free, limit)


def warning(budget: Budget) -> str | None:
    """What to tell a person whose backups take too much room; None while they do not."""
    if not budget.over:
        return None
    return (
        f"The backups take {size(budget.total)}, more than the {size(budget.limit)} meant for them "
        f"({size(budget.free)} are free on that disk). `memdefrag backup prune --dry-run` shows which ones could go; "
        f"{BACKUP_LIMIT_VARIABLE} sets another limit."
    )


def entry_of(backup: Backup) -> Entry:
    """What the rules look at in this backup."""
    made = date.fromisoformat(str(backup.manifest["created"])[:10])
    return Entry(backup.id, backup.folder.parent.name, made, str(backup.manifest["reason"]).startswith(AUTOMATIC))


def gather(backups: Collection[Backup]) -> Facts:
    """What the catalogue and the history say at this moment that concerns these backups."""
    order = catalogue.order()
    verified, imported = set(), set()
    for event in catalogue.events():
        if event["event"] == "verified":
            verified.add(event["id"])
        elif event["event"] == "damaged":
            verified.discard(event["id"])
        elif event["event"] == "imported":
            imported.add(event["id"])
    questions: dict[str, int] = {}
    for question in acceptance.pending():
        questions.setdefault(catalogue.store_id(parse(question.store)), order[question.step])
    busy = {_store_of(job) for job in catalogue.unfinished_jobs().values()}
    # That a damaged store's files are what they were makes them no state to go back to.
    verified -= {backup.id for backup in backups if not backup.is_readable}
    return Facts(order, verified, imported, busy, _only_way_back(backups), questions)


def _only_way_back(backups: Iterable[Backup]) -> set[str]:
    """The backups without which a step can no longer be undone: it replaced files, or its own images are damaged."""
    gone, unreadable = history.undone(), set(history.damaged())
    needed = {
        step.backup
        for step in history.steps()
        if step.backup and step.id not in gone and (step.whole_store or not step_files.is_whole(step.folder))
    }
    return needed | {backup.id for backup in backups if backup.manifest.get("job") in unreadable}


def _wanted(shelf: list[Entry], facts: Facts) -> dict[str, str]:
    """What stays because somebody may want to go back to it. The shelf is in order."""
    kept: dict[str, str] = {}
    own = [entry for entry in shelf if entry.automatic and entry.id not in facts.imported]
    for period, label, number in (("week", "%G-%V", WEEKS), ("day", "%Y-%m-%d", DAYS)):
        newest: dict[str, str] = {}
        for entry in reversed(own):
            newest.setdefault(entry.made.strftime(label), entry.id)
        kept |= dict.fromkeys(list(newest.values())[:number], f"the newest of its {period}")
    kept |= {entry.id: f"one of the last {LAST}" for entry in own[-LAST:]}
    for entry in shelf:
        if entry.id in facts.imported:
            kept[entry.id] = "taken in from elsewhere"
        elif not entry.automatic:
            kept[entry.id] = "made by hand"
    return kept


def _safety(store: str, shelf: list[Entry], facts: Facts) -> dict[str, str]:
    """What stays whatever the person asks for. The shelf is in order."""
    own = [entry for entry in shelf if entry.id not in facts.imported] or shelf
    verified = [entry for entry in own if entry.id in facts.verified]
    kept = {own[0].id: "the first of its store"} | {entry.id: "the newest verified one" for entry in verified[-1:]}
    for entry in shelf:
        if entry.id in facts.needed:
            kept[entry.id] = "a step can only be undone with it"
        elif store in facts.questions and facts.order[entry.id] >= facts.questions[store]:
            kept[entry.id] = "you have not yet said whether your assistant works with what was changed"
        elif store in facts.busy:
            kept[entry.id] = "a write to its store is unfinished"
    return kept


def _remove(backup: Backup) -> None:
    """Take a backup off the shelf; the catalogue is told first."""
    catalogue.record("pruned", id=backup.id, store=backup.address)
    trash = data_dir() / "backups" / f"{_TRASH}{backup.id}"
    rename(backup.folder, trash)
    remove(trash)


def _one(backups: list[Backup], name: str) -> Backup:
    found = [backup for backup in backups if backup.id.startswith(name)]
    if len(found) != 1 or not name:
        raise BackupNotFound(f"{len(found) or 'No'} backups are named {name!r}.")
    return found[0]


def _store_of(job: catalogue.Event) -> str:
    """The shelf of a job's store; of a job whose store was not noted, that of the path it writes."""
    return catalogue.store_id(parse(job["store"]) if "store" in job else Address("", job["path"]))


def _size(path: Path) -> int:
    """Bytes of a file; 0 when another memdefrag has just removed it."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
