"""Unpacking a backup to another place, beside the live store, which is left alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memdefrag.base.errors import UsageError
from memdefrag.base.fsops import fsync_file, fsync_tree, remove, rename
from memdefrag.base.progress import Progress
from memdefrag.engine.backups.files import check_sums, extract
from memdefrag.engine.backups.shelf import Backup
from memdefrag.engine.backups.verify import require_same
from memdefrag.model.address import Address, parse
from memdefrag.model.plan import Changes, Put
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What stands at the new place: `records` as counted after opening it; `losses` by what could not be written."""

    address: Address
    records: int
    losses: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        return {"store": str(self.address), "records": self.records, "losses": self.losses}


def restore_to(backup: Backup, target: Path, progress: Progress) -> Unpacked:
    """Make a new store of a backup: of its raw files, or, where it has none, a JSON lines file.

    Raises:
        UsageError: something is at `target` already.
        BackupDamaged: the backup does not match its sums, or what came out of it is not what went in; nothing is
            left at `target`.
    """
    target = target.expanduser().absolute()
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} exists already.", todo="Name a new folder or file.")
    scratch = target.with_name(f".{target.name}.partial")
    remove(scratch)
    target.parent.mkdir(parents=True, exist_ok=True)
    address = parse(backup.address) if backup.raw else Address("jsonl", "")
    try:
        losses: dict[str, int] = {}
        if backup.raw:
            extract(backup, scratch, progress)
        else:
            losses = _write_lines(backup, scratch, progress)
        # The new store takes its place only when its content is proved.
        with open_store(address.at(scratch).select(backup.manifest["selected"])) as store:
            count = _proved(backup, store, progress, exact=not losses)
        fsync_tree(scratch) if scratch.is_dir() else fsync_file(scratch)
        rename(scratch, target)
    finally:
        remove(scratch)
    return Unpacked(address.at(target), count, losses)


def _write_lines(backup: Backup, path: Path, progress: Progress) -> dict[str, int]:
    """Write all memories of the neutral layer as JSON lines, and count what the lines cannot hold."""
    check_sums(backup, progress)
    losses: dict[str, int] = {}
    with open_store(Address("backup", str(backup.folder))) as held:
        snapshot = read_snapshot(held, progress)
    with open_store(Address("jsonl", str(path)), must_exist=False) as lines:
        puts = []
        for record in snapshot.records:
            fitted, lost = lines.fit(record)
            puts.append(Put(fitted, None))
            for what in lost:
                losses[what] = losses.get(what, 0) + 1
        if snapshot.relations:
            losses["the relations"] = len(snapshot.relations)
        lines.write(Changes(put=tuple(puts), collections=snapshot.collections), progress)
    return losses


def _proved(backup: Backup, store: Store, progress: Progress, *, exact: bool) -> int:
    """Read the new store and compare it with the manifest; how many memories it holds."""
    snapshot = read_snapshot(store, progress)
    if exact:
        require_same(backup, snapshot)
    return len(snapshot)
