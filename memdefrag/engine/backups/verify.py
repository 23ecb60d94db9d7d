"""Whether a backup still is what was written, and still can be restored."""

from __future__ import annotations

import tempfile
from pathlib import Path

from memdefrag.base.errors import BackupDamaged
from memdefrag.base.progress import Progress
from memdefrag.engine import catalogue
from memdefrag.engine.backups.files import extract, verified_blocks
from memdefrag.engine.backups.shelf import Backup
from memdefrag.model.address import parse
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store


def verify(backup: Backup, progress: Progress, *, deep: bool = False) -> None:
    """Read every byte back from disk and compare it with the manifest.

    Args:
        deep: also restore into a scratch folder, open the store there and compare all records' hash.

    Raises:
        BackupDamaged: naming the first file that does not match.
    """
    progress.phase("Verifying the backup", sum(entry["size"] for entry in backup.files))
    for entry in backup.files:
        for block in verified_blocks(backup, entry):
            progress.step(len(block))
    if deep:
        _verify_deep(backup, progress)
    catalogue.record("verified", id=backup.id, deep=deep)


def _verify_deep(backup: Backup, progress: Progress) -> None:
    address = parse(backup.address).select(backup.manifest["selected"])
    with tempfile.TemporaryDirectory(prefix="memdefrag-drill-") as scratch:
        target = Path(scratch) / address.path.name
        extract(backup, target, progress)
        with open_store(address.at(target)) as store:
            snapshot = read_snapshot(store, progress)
    if snapshot.fingerprint is None or snapshot.fingerprint.content != backup.manifest["content"]:
        raise BackupDamaged(f"Backup {backup.id} opens, but its records are not those that were backed up.")
