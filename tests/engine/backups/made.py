"""Backups for tests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from memdefrag.base.fsops import remove
from memdefrag.base.progress import Progress
from memdefrag.engine.backups.create import create
from memdefrag.engine.backups.shelf import Backup, load
from memdefrag.model.address import Address
from memdefrag.stores.backup_folder import sums
from memdefrag.stores.registry import open_store
from tests.engine.stores import make_store


def back_up(address: Address | str, reason: str = "by hand") -> Backup:
    """A backup, made as the command line makes one."""
    with open_store(address) as store:
        return create(store, None, reason, Progress())


def backup_of(kind: str, folder: Path) -> Backup:
    """A backup of a new small store in `folder`."""
    folder.mkdir(exist_ok=True)
    return back_up(make_store(kind, folder))


def sign(backup: Backup, **changed: Any) -> Backup:
    """Change the manifest and make its sums right again, as a forger would."""
    manifest = {**backup.manifest, **changed}
    data = json.dumps(manifest).encode()
    (backup.folder / "manifest.json").write_bytes(data)
    (backup.folder / "manifest.sha256").write_text(hashlib.sha256(data).hexdigest())
    if manifest["format_version"] == 2:
        (backup.folder / "SHA256SUMS").write_bytes(sums(manifest, data))
    return load(backup.folder)


def as_version_1(backup: Backup) -> Backup:
    """The same backup as the first version of the program made it: raw files only."""
    for name in ("SHA256SUMS", "RESTORE.txt", "records.jsonl.zst", "vectors.f32.zst"):
        remove(backup.folder / name)
    names = ("id", "created", "tool", "python", "sqlite", "reason", "source", "records", "collections", "selected")
    kept = {name: backup.manifest[name] for name in (*names, "content", "consistent", "files")}
    source = {name: kept["source"][name] for name in ("address", "format", "is_folder")}
    return sign(Backup(backup.folder, {**kept, "source": source}), format_version=1)


def as_of_a_server(backup: Backup) -> Backup:
    """The same backup as that of a store without files of its own."""
    remove(backup.folder / "files")
    return sign(backup, files=[], consistent="api-export", layers={"raw": "none", "neutral": "complete"})


def bytes_below(folder: Path) -> dict[str, bytes]:
    """The content of every file in a folder and the folders in it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
