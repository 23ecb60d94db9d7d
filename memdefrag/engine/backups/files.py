"""The raw layer of a backup: each file of the store compressed, and read back against its SHA-256 sum."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import zstandard

from memdefrag.base.errors import BackupDamaged
from memdefrag.base.fsops import PRIVATE_FILE, fault_point, file_sha256, fsync_file
from memdefrag.base.progress import Progress
from memdefrag.engine.backups.shelf import Backup

COMPRESSION_LEVEL = 3
BLOCK = 1 << 20
_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY


def compress(source: Path, folder: Path, relative: str, progress: Progress) -> dict[str, Any]:
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
            for block in verified_blocks(backup, entry):
                handle.write(block)
                progress.step(len(block))


def verified_blocks(backup: Backup, entry: dict[str, Any]) -> Iterator[bytes]:
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
