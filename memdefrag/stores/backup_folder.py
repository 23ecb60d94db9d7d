"""A backup's folder, and the manifest that says what must be in it.

Layout: ``<data dir>/backups/<store-id>/<backup-id>/`` with ``manifest.json``, ``manifest.sha256``, ``SHA256SUMS``,
``RESTORE.txt``, the neutral layer (`stores.neutral`) and ``files/<path>.zst``; folders 0700, files 0600. Format 1 had
neither neutral layer, ``SHA256SUMS`` nor ``RESTORE.txt``.
"""

from __future__ import annotations

import glob
import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any

from memdefrag.base.errors import BackupDamaged, BackupNotFound
from memdefrag.base.packed import SUFFIX, Packed
from memdefrag.base.settings import data_dir
from memdefrag.stores.neutral import RECORDS, VECTORS

FORMAT_VERSION = 2
FIRST_VERSION = 1
MANIFEST, MANIFEST_SUM, SUMS, RESTORE, FILES = (
    "manifest.json",
    "manifest.sha256",
    "SHA256SUMS",
    "RESTORE.txt",
    "files",
)
PARTIAL, DAMAGED = ".partial", ".damaged"
"""What the folder of an unfinished backup, and of one that did not read back, ends in."""

_NUMBERS = ("size", "zsize", "mode")

Manifest = dict[str, Any]


def find_folder(name: str) -> Path:
    """The folder of the backup of that id (or of an unambiguous beginning of it), or of that path.

    Raises:
        BackupNotFound: none or several.
    """
    path = Path(name).expanduser()
    if len(path.parts) > 1:
        if not (path / MANIFEST).is_file():
            raise BackupNotFound(f"There is no backup at {path}.")
        return path.absolute()
    found = [
        folder
        for folder in (data_dir() / "backups").glob(f"*/{glob.escape(name)}*")
        if folder.suffix not in (PARTIAL, DAMAGED)
    ]
    exact = [folder for folder in found if folder.name == name]
    folders = exact or found
    if len(folders) != 1 or not name.strip("."):
        raise BackupNotFound(f"{len(folders) if name else 'No'} backups are named {name!r}.")
    return folders[0]


def read_manifest(folder: Path) -> Manifest:
    """What the backup says of itself, checked against its own sums; its files are not looked at.

    Raises:
        BackupDamaged: the manifest, the list of sums or the guide is missing or changed, or the manifest names files
            outside of the backup.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
        if hashlib.sha256(data).hexdigest().encode() != (folder / MANIFEST_SUM).read_bytes().strip():
            raise BackupDamaged(f"The manifest of backup {folder.name} was changed.")
        manifest: Manifest = json.loads(data)
        if manifest["format_version"] not in (FIRST_VERSION, FORMAT_VERSION):
            raise BackupDamaged(f"Backup {folder.name} has the unknown format {manifest['format_version']}.")
        for entry in (*manifest["files"], *manifest.get("neutral", ())):
            _require_inside(folder, entry)
        if manifest["format_version"] != FIRST_VERSION:
            _require_guides(folder, manifest)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BackupDamaged(f"The manifest of backup {folder.name} cannot be read: {error!r}.") from error
    return manifest


def raw_layer(manifest: Manifest) -> list[Packed]:
    """The store's own files, in the folder `FILES`."""
    return [Packed.of(entry) for entry in manifest["files"]]


def neutral_layer(manifest: Manifest) -> list[Packed]:
    """The files of `stores.neutral`; none in a backup of format 1 or of a store that could not be read."""
    return [Packed.of(entry) for entry in manifest.get("neutral", ())]


def sums(manifest: Manifest, data: bytes) -> bytes:
    """The content of ``SHA256SUMS``, as ``sha256sum -c`` reads it; `data` are the manifest's bytes."""
    digest = hashlib.sha256(data).hexdigest()
    lines = [(digest, MANIFEST), (hashlib.sha256(digest.encode()).hexdigest(), MANIFEST_SUM)]
    lines.append((manifest["guide_sha256"], RESTORE))
    lines += [(each.zsha256, each.path + SUFFIX) for each in neutral_layer(manifest)]
    lines += [(each.zsha256, f"{FILES}/{each.path}{SUFFIX}") for each in raw_layer(manifest)]
    return b"".join([_sum_line(digest, path) for digest, path in lines])


def _sum_line(digest: str, path: str) -> bytes:
    """A line of ``sha256sum``, which marks names that hold a line break by a backslash before the sum."""
    escaped = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != path else ""
    return f"{mark}{digest}  {escaped}\n".encode("utf-8", "surrogateescape")


def _require_inside(folder: Path, entry: dict[str, Any]) -> None:
    """Refuse an entry that is none, or that leads out of the backup."""
    if not all(isinstance(entry[name], int) for name in _NUMBERS):
        raise BackupDamaged(f"The manifest of backup {folder.name} holds words where numbers belong.")
    if not all(isinstance(entry[name], str) for name in ("sha256", "zsha256")):
        raise BackupDamaged(f"The manifest of backup {folder.name} lacks a checksum.")
    path = PurePosixPath(entry["path"])
    if path.is_absolute() or ".." in path.parts or "\\" in entry["path"] or Path(path).drive:
        raise BackupDamaged(f"Backup {folder.name} names a file outside of itself: {entry['path']}.")


def _require_guides(folder: Path, manifest: Manifest) -> None:
    names = [entry["path"] for entry in manifest["neutral"]]
    if names not in ([], [RECORDS, VECTORS]):
        raise BackupDamaged(f"Backup {folder.name} has a neutral layer of unknown files.")
    if (folder / SUMS).read_bytes() != sums(manifest, (folder / MANIFEST).read_bytes()):
        raise BackupDamaged(f"{SUMS} of backup {folder.name} was changed.")
    if hashlib.sha256((folder / RESTORE).read_bytes()).hexdigest() != manifest["guide_sha256"]:
        raise BackupDamaged(f"{RESTORE} of backup {folder.name} was changed.")
