"""Backups of whole stores: each raw file compressed, with a manifest of SHA-256 sums, read back before it
counts.

Layout: ``<data dir>/backups/<store-id>/<backup-id>/`` with ``manifest.json``, ``manifest.sha256`` and
``files/<path>.zst``; folders 0700, files 0600.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import zstandard

import memdefrag
from memdefrag.base.errors import BackupDamaged, BackupNotFound, StoreChanged
from memdefrag.base.fsops import (
    PRIVATE_FILE,
    fault_point,
    file_sha256,
    fsync_file,
    fsync_tree,
    make_private_dir,
    remove,
    rename,
    write_durable,
)
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue
from memdefrag.model.capabilities import Commit
from memdefrag.model.records import Snapshot
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store
from memdefrag.stores.sqlite_safe import open_readonly

FORMAT_VERSION = 1
COMPRESSION_LEVEL = 3
BLOCK = 1 << 20
ABANDONED_SECONDS = 86_400.0
_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY


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


def create(store: Store, snapshot: Snapshot, reason: str, progress: Progress) -> Backup:
    """Back up a store whose content was just read into `snapshot`, and read the backup back.

    Raises:
        StoreChanged: somebody wrote to the store meanwhile; no backup is left behind.
        BackupDamaged: what was written does not read back.
    """
    name = catalogue.new_id()
    shelf = make_private_dir(data_dir() / "backups" / catalogue.store_id(store.address.path))
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
    files = [_compress(path, partial / "files", relative, progress) for relative, path in sources]
    remove(partial / "sqlite-copy")
    if store.file_stamps() != (snapshot.fingerprint and snapshot.fingerprint.files):
        raise StoreChanged("Somebody wrote to the store while it was backed up.", todo="Try again.")
    manifest = _manifest(name, store, snapshot, reason, files)
    data = json.dumps(manifest, indent=2).encode()
    write_durable(partial / "manifest.json", data)
    write_durable(partial / "manifest.sha256", hashlib.sha256(data).hexdigest().encode())
    fsync_tree(partial)


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


def all_backups(store_path: Path | None = None) -> list[Backup]:
    """Readable backups, newest first; only those of one store when its path is given."""
    shelf = data_dir() / "backups"
    pattern = f"{catalogue.store_id(store_path)}/*" if store_path else "*/*"
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


def verify(backup: Backup, progress: Progress, *, deep: bool = False) -> None:
    """Read every byte back from disk and compare it with the manifest.

    Args:
        deep: also restore into a scratch folder, open the store there and compare all records' hash.

    Raises:
        BackupDamaged: naming the first file that does not match.
    """
    progress.phase("Verifying the backup", sum(entry["size"] for entry in backup.files))
    for entry in backup.files:
        for block in _verified_blocks(backup, entry):
            progress.step(len(block))
    if deep:
        _verify_deep(backup, progress)
    catalogue.record("verified", id=backup.id, deep=deep)


def extract(backup: Backup, target: Path, progress: Progress) -> None:
    """Put the raw files where a store of this kind expects them; `target` must not exist.

    Raises:
        BackupDamaged: a file does not match the manifest.
    """
    single = not backup.manifest["source"]["is_folder"]
    progress.phase("Copying from the backup", sum(entry["size"] for entry in backup.files))
    for entry in backup.files:
        path = target if single else target / PurePosixPath(entry["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        fault_point(f"extract {entry['path']}")
        with os.fdopen(os.open(path, _NEW_FILE, entry["mode"] | 0o200), "wb") as handle:
            for block in _verified_blocks(backup, entry):
                handle.write(block)
                progress.step(len(block))


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


def _compress(source: Path, folder: Path, relative: str, progress: Progress) -> dict[str, Any]:
    """Write ``folder/relative.zst`` and return its manifest entry."""
    path = folder / (relative + ".zst")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fault_point(f"compress {relative}")
    digest, size = hashlib.sha256(), 0
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
    with (
        source.open("rb") as reader,
        os.fdopen(os.open(path, _NEW_FILE, PRIVATE_FILE), "wb") as raw,
        compressor.stream_writer(raw, closefd=False) as writer,
    ):
        while block := reader.read(BLOCK):
            digest.update(block)
            size += len(block)
            writer.write(block)
            progress.step(len(block))
    fsync_file(path)
    return {
        "path": relative,
        "size": size,
        "sha256": digest.hexdigest(),
        "mode": source.stat().st_mode & 0o777,
        "zsize": path.stat().st_size,
        "zsha256": file_sha256(path),
    }


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


def _verified_blocks(backup: Backup, entry: dict[str, Any]) -> Iterator[bytes]:
    """The file's bytes; raises at the end when they are not those of the manifest."""
    path = backup.folder / "files" / (entry["path"] + ".zst")
    damaged = BackupDamaged(f"{entry['path']} in backup {backup.id} does not match its checksum.")
    try:
        if path.stat().st_size != entry["zsize"] or file_sha256(path) != entry["zsha256"]:
            raise damaged
        digest = hashlib.sha256()
        with path.open("rb") as raw:
            for block in _decompressed(raw):
                digest.update(block)
                yield block
    except (OSError, zstandard.ZstdError) as error:
        raise BackupDamaged(f"{entry['path']} in backup {backup.id} cannot be read: {error}.") from error
    if digest.hexdigest() != entry["sha256"]:
        raise damaged


def _decompressed(raw: BinaryIO) -> Iterator[bytes]:
    with zstandard.ZstdDecompressor().stream_reader(raw, closefd=False) as reader:
        while block := reader.read(BLOCK):
            yield block


def _verify_deep(backup: Backup, progress: Progress) -> None:
    from memdefrag.model.address import parse

    address = parse(backup.address).select(backup.manifest["selected"])
    with tempfile.TemporaryDirectory(prefix="memdefrag-drill-") as scratch:
        target = Path(scratch) / address.path.name
        extract(backup, target, progress)
        with open_store(address.at(target)) as store:
            snapshot = read_snapshot(store, progress)
    if snapshot.fingerprint is None or snapshot.fingerprint.content != backup.manifest["content"]:
        raise BackupDamaged(f"Backup {backup.id} opens, but its records are not those that were backed up.")
