"""Where backups stand, and what each says of itself.

Layout: ``<data dir>/backups/<store-id>/<backup-id>/`` with ``manifest.json``, ``manifest.sha256`` and
``files/<path>.zst``; folders 0700, files 0600.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from memdefrag.base.errors import BackupDamaged, BackupNotFound
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue
from memdefrag.model.address import Address

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Backup:
    """One backup on disk."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.manifest["id"])

    @property
    def address(self) -> str:
        """The store it was made of."""
        return str(self.manifest["source"]["address"])

    @property
    def records(self) -> int:
        return int(self.manifest["records"])

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def files(self) -> list[dict[str, Any]]:
        return list(self.manifest["files"])

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "created": self.manifest["created"],
            "reason": self.manifest["reason"],
            "store": self.address,
            "records": self.records,
            "bytes": self.size,
            "folder": str(self.folder),
        }


def load(folder: Path) -> Backup:
    """Open a backup folder and check its manifest.

    Raises:
        BackupDamaged: the manifest is missing, changed, or names files outside of the backup.
    """
    try:
        data = (folder / "manifest.json").read_bytes()
        if hashlib.sha256(data).hexdigest() != (folder / "manifest.sha256").read_text().strip():
            raise BackupDamaged(f"The manifest of backup {folder.name} was changed.")
        manifest = json.loads(data)
        if manifest["format_version"] != FORMAT_VERSION:
            raise BackupDamaged(f"Backup {folder.name} has the unknown format {manifest['format_version']}.")
        backup = Backup(folder, manifest)
        backup.as_dict()
        for entry in backup.files:
            if not all(isinstance(entry[name], int) for name in ("size", "zsize", "mode")):
                raise BackupDamaged(f"The manifest of backup {folder.name} holds words where numbers belong.")
            path = PurePosixPath(entry["path"])
            if path.is_absolute() or ".." in path.parts or "\\" in entry["path"] or Path(path).drive:
                raise BackupDamaged(f"Backup {folder.name} names a file outside of itself: {entry['path']}.")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BackupDamaged(f"The manifest of backup {folder.name} cannot be read: {error!r}.") from error
    return backup


def all_backups(store: Address | None = None) -> list[Backup]:
    """Readable backups, newest first; only those of one store when it is given."""
    shelf = data_dir() / "backups"
    pattern = f"{catalogue.store_id(store)}/*" if store else "*/*"
    found = []
    for folder in shelf.glob(pattern):
        if folder.suffix != ".partial" and (folder / "manifest.json").exists():
            try:
                found.append(load(folder))
            except BackupDamaged:
                continue
    return sorted(found, key=lambda backup: backup.id, reverse=True)


def find(name: str) -> Backup:
    """The backup of that id (or of an unambiguous beginning of it).

    Raises:
        BackupNotFound: none or several.
        BackupDamaged: its manifest does not hold.
    """
    folders = [folder for folder in (data_dir() / "backups").glob(f"*/{name}*") if folder.suffix != ".partial"]
    if len(folders) != 1 or not name:
        raise BackupNotFound(f"{len(folders)} backups are named {name!r}.")
    return load(folders[0])


def folder_of(store: Address) -> Path:
    """Where all backups of a store stand (not created here)."""
    return data_dir() / "backups" / catalogue.store_id(store)
