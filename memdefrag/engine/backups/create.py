"""Making a backup of a store that was just read."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import memdefrag
from memdefrag.base.errors import StoreChanged
from memdefrag.base.fsops import fsync_tree, make_private_dir, remove, rename, write_durable
from memdefrag.base.progress import Progress
from memdefrag.engine import catalogue
from memdefrag.engine.backups.files import compress
from memdefrag.engine.backups.shelf import FORMAT_VERSION, Backup, folder_of, load
from memdefrag.engine.backups.verify import verify
from memdefrag.model.capabilities import Commit
from memdefrag.model.records import Snapshot
from memdefrag.stores.base import Store
from memdefrag.stores.sqlite_safe import open_readonly

ABANDONED_SECONDS = 86_400.0


def create(store: Store, snapshot: Snapshot, reason: str, progress: Progress) -> Backup:
    """Back up a store whose content was just read into `snapshot`, and read the backup back.

    Raises:
        StoreChanged: somebody wrote to the store meanwhile; no backup is left behind.
        BackupDamaged: what was written does not read back.
    """
    name = catalogue.new_id()
    shelf = make_private_dir(folder_of(store.address))
    partial, final = shelf / f"{name}.partial", shelf / name
    for left in shelf.glob("*.partial"):
        # A younger one may be the backup that another memdefrag is making right now.
        if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
            remove(left)
    try:
        _fill(partial, name, store, snapshot, reason, progress)
    except BaseException:
        remove(partial)
        raise
    rename(partial, final)
    backup = load(final)
    verify(backup, progress)
    catalogue.record("backup", id=name, folder=str(final), reason=reason, store=str(store.address))
    return backup


def _fill(partial: Path, name: str, store: Store, snapshot: Snapshot, reason: str, progress: Progress) -> None:
    """Write a backup's files and manifest, and push them to the disk."""
    make_private_dir(partial / "files")
    sources = list(_sources(store, partial))
    progress.phase("Backing up", sum(path.stat().st_size for _, path in sources))
    files = [compress(path, partial / "files", relative, progress) for relative, path in sources]
    remove(partial / "sqlite-copy")
    if store.file_stamps() != (snapshot.fingerprint and snapshot.fingerprint.files):
        raise StoreChanged("Somebody wrote to the store while it was backed up.", todo="Try again.")
    manifest = _manifest(name, store, snapshot, reason, files)
    data = json.dumps(manifest, indent=2).encode()
    write_durable(partial / "manifest.json", data)
    write_durable(partial / "manifest.sha256", hashlib.sha256(data).hexdigest().encode())
    fsync_tree(partial)


def _sources(store: Store, partial: Path) -> Iterator[tuple[str, Path]]:
    """Each raw file's path inside the store, and a file that holds its bytes consistently."""
    root = store.address.path
    if store.capabilities.commit is Commit.SQLITE:
        copy = partial / "sqlite-copy"
        with open_readonly(root) as source:
            _sqlite_copy(source, copy)
        yield root.name, copy
        return
    for path in store.raw_files():
        yield (path.relative_to(root).as_posix() if root.is_dir() else path.name), path


def _sqlite_copy(source: sqlite3.Connection, copy: Path) -> None:
    target = sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        target.close()


def _manifest(name: str, store: Store, snapshot: Snapshot, reason: str, files: list[dict[str, Any]]) -> dict[str, Any]:
    sqlite = store.capabilities.commit is Commit.SQLITE
    return {
        "format_version": FORMAT_VERSION,
        "id": name,
        "created": catalogue.utc_now(),
        "tool": f"memdefrag {memdefrag.__version__}",
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "reason": reason,
        "source": {
            "address": str(store.address.select(None)),
            "format": store.format,
            "is_folder": store.address.path.is_dir(),
        },
        "records": sum(info.count for info in snapshot.collections),
        "collections": {info.name: info.count for info in snapshot.collections},
        "selected": store.address.collection,
        "content": snapshot.fingerprint.content if snapshot.fingerprint else "",
        "consistent": "sqlite-backup-api" if sqlite else "closed",
        "files": files,
    }
