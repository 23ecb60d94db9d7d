"""Where backups stand, and what each says of itself (the layout: `stores.backup_folder`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memdefrag.base.errors import BackupDamaged
from memdefrag.base.packed import Packed
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue
from memdefrag.model.address import Address
from memdefrag.stores.backup_folder import (
    DAMAGED,
    PARTIAL,
    Manifest,
    find_folder,
    neutral_layer,
    raw_layer,
    read_manifest,
)


@dataclass(frozen=True)
class Backup:
    """One backup on disk."""

    folder: Path
    manifest: Manifest

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
        """The raw layer's entries in the manifest."""
        return list(self.manifest["files"])

    @property
    def raw(self) -> list[Packed]:
        """The store's own files; empty for servers."""
        return raw_layer(self.manifest)

    @property
    def neutral(self) -> list[Packed]:
        """The memories in a form of ours; empty in backups of format 1 and of what could not be read."""
        return neutral_layer(self.manifest)

    @property
    def is_readable(self) -> bool:
        """Whether its store could be read when it was made; else it holds files, whatever they are."""
        return bool(self.neutral or self.records)

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


@dataclass(frozen=True, slots=True)
class Damaged:
    """A backup that cannot be relied upon, and why."""

    id: str
    folder: Path
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.id, "folder": str(self.folder), "damage": self.reason}


def load(folder: Path) -> Backup:
    """Open a backup folder and check its manifest.

    Raises:
        BackupDamaged: the manifest is missing, changed, or names files outside of the backup.
    """
    backup = Backup(folder, read_manifest(folder))
    try:
        backup.as_dict()
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BackupDamaged(f"The manifest of backup {folder.name} cannot be read: {error!r}.") from error
    return backup


def all_backups(store: Address | None = None) -> list[Backup]:
    """Readable backups, newest first; only those of one store when it is given."""
    found = []
    for folder in _folders(store):
        if folder.suffix != DAMAGED:
            try:
                found.append(load(folder))
            except BackupDamaged:
                continue
    return sorted(found, key=lambda backup: backup.id, reverse=True)


def damaged_backups(store: Address | None = None) -> list[Damaged]:
    """Backups whose manifest does not hold, that were set aside, or that failed their last verification."""
    last = {event["id"]: event for event in catalogue.events() if event["event"] in ("verified", "damaged")}
    found = []
    for folder in _folders(store):
        event = last.get(folder.stem, {})
        reason = str(event["reason"]) if event.get("event") == "damaged" else ""
        if folder.suffix == DAMAGED:
            reason = reason or "It did not read back when it was made."
        elif not reason:
            try:
                load(folder)
            except BackupDamaged as error:
                reason = error.message
        if reason:
            found.append(Damaged(folder.stem, folder, reason))
    return sorted(found, key=lambda each: each.id, reverse=True)


def find(name: str) -> Backup:
    """The backup of that id (or of an unambiguous beginning of it), or in the folder of that path.

    Raises:
        BackupNotFound: none or several.
        BackupDamaged: its manifest does not hold.
    """
    return load(find_folder(name))


def folder_of(store: Address) -> Path:
    """Where all backups of a store stand (not created here)."""
    return data_dir() / "backups" / catalogue.store_id(store)


def _folders(store: Address | None) -> list[Path]:
    """The folders of all backups but those that are being made; with or without a manifest."""
    shelves = [folder_of(store)] if store else (data_dir() / "backups").glob("[!.]*")
    found = [folder for shelf in shelves for folder in shelf.glob("[!.]*")]
    return [folder for folder in found if folder.is_dir() and folder.suffix != PARTIAL]
