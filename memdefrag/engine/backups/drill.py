"""The drill: restoring the newest backup of each store on trial, so that the day it is needed is not the first time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from memdefrag.base.errors import BackupDamaged
from memdefrag.base.progress import Progress
from memdefrag.engine import catalogue
from memdefrag.engine.backups.shelf import Backup, all_backups
from memdefrag.engine.backups.verify import Restored, verify

INTERVAL_SECONDS = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Drilled:
    """How the drill of one backup went; `damage` says why it failed, and is empty where it did not."""

    id: str
    store: str
    seconds: float
    restored: Restored | None = None
    damage: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def drill(progress: Progress, backup: Backup | None = None) -> list[Drilled]:
    """Verify and restore on trial: this backup, or the newest of each store. Damage is reported, not raised."""
    return [_one(each, progress) for each in ([backup] if backup else newest())]


def newest() -> list[Backup]:
    """The newest backup of each store; what is left of a damaged store is none that could be restored."""
    found: dict[str, Backup] = {}
    for backup in all_backups():
        if backup.is_readable:
            found.setdefault(backup.folder.parent.name, backup)
    return list(found.values())


def drill_due(now: float) -> bool:
    """Whether a month has gone since a backup was last restored on trial (or since the first was made)."""
    done = max(_times("verified", deep=True), default=None)
    since = min(_times("backup"), default=None) if done is None else done
    return since is not None and now - since > INTERVAL_SECONDS and bool(newest())


def _one(backup: Backup, progress: Progress) -> Drilled:
    started = time.monotonic()
    try:
        restored = verify(backup, progress, deep=True)
    except BackupDamaged as error:
        return Drilled(backup.id, backup.address, time.monotonic() - started, damage=error.message)
    return Drilled(backup.id, backup.address, time.monotonic() - started, restored)


def _times(event: str, **fields: Any) -> Iterator[float]:
    """When such things happened, in seconds since 1970."""
    for each in catalogue.events():
        if each["event"] == event and fields.items() <= each.items():
            yield datetime.fromisoformat(each["time"]).timestamp()
