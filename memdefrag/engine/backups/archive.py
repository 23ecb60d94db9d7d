"""A whole backup as one file, to be carried to another disk or computer, and back onto the shelf.

The file is a tar (compressed with zstd) or zip archive of the backup's folder, under the backup's id. Nothing is
added to what the folder holds: neither this machine's settings nor anybody's keys.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import zstandard

from memdefrag.base.archives import extract
from memdefrag.base.errors import BackupDamaged, MemdefragError, UsageError
from memdefrag.base.fsops import (
    PRIVATE_FILE,
    fault_point,
    file_sha256,
    fsync_tree,
    make_private_dir,
    remove,
    rename,
    replacing,
)
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue
from memdefrag.engine.backups.shelf import Backup, folder_of, load
from memdefrag.engine.backups.verify import verify
from memdefrag.model.address import parse
from memdefrag.stores.backup_folder import FILES, MANIFEST, MANIFEST_SUM, RESTORE, SUMS

SUFFIXES = (".tar.zst", ".zip")
PACKED_LEVEL = 1
"""Of zstd; the backup's own files are compressed already."""

_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,99}")


def export(backup: Backup, file: Path, progress: Progress) -> Path:
    """Write the whole backup into the new file `file` and return its absolute path.

    The backup is verified first; the file is unpacked again and compared before it gets its name.

    Raises:
        UsageError: the file's name ends in neither ``.tar.zst`` nor ``.zip``, or is taken.
        BackupDamaged: the backup is not whole, or the file does not read back.
    """
    file = file.expanduser().absolute()
    if not file.name.endswith(SUFFIXES):
        raise UsageError(f"{file.name} does not say what to write.", todo=f"Let it end in {' or '.join(SUFFIXES)}.")
    if file.exists():
        raise UsageError(f"{file} exists already.", todo="Name another file.")
    if not file.parent.is_dir():
        raise UsageError(f"There is no folder {file.parent}.")
    verify(backup, progress)
    members = {f"{backup.id}/{path.relative_to(backup.folder).as_posix()}": path for path in files_below(backup.folder)}
    with replacing(file) as scratch:
        scratch.touch(PRIVATE_FILE)
        fault_point(f"export {file.name}")
        progress.phase("Exporting", sum(path.stat().st_size for path in members.values()))
        (_pack_zip if file.suffix == ".zip" else _pack_tar)(members, scratch, progress)
        _compare(members, scratch, progress)
    return file


def put_on_shelf(folder: Path, origin: Path, progress: Progress) -> Backup:
    """Verify the backup that was unpacked into `folder` and move it onto the shelf; its address stays its own.

    Args:
        origin: where it came from, for the catalogue.

    Raises:
        BackupDamaged: it is not what was backed up.
        UsageError: the shelf has a backup of that id.
    """
    backup = load(folder)
    final = _place(backup)
    _refuse_strangers(backup)
    verify(backup, progress)
    fsync_tree(folder)
    make_private_dir(final.parent)
    # First the catalogue: a backup that stands on the shelf without this would be pruned like one made here.
    catalogue.record("imported", id=backup.id, folder=str(final), store=backup.address, origin=str(origin))
    rename(folder, final)
    return load(final)


@contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """A private folder on the shelf's disk, removed at the end, that nothing takes for a backup."""
    folder = make_private_dir(data_dir() / "backups" / f".{purpose}-{catalogue.new_id()}")
    try:
        yield folder
    finally:
        remove(folder)


def files_below(folder: Path) -> list[Path]:
    """All files in a folder and the folders in it, in a stable order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _place(backup: Backup) -> Path:
    """Where the backup belongs; what its manifest says is a stranger's word."""
    if not _ID.fullmatch(backup.id):
        raise BackupDamaged(f"{backup.id[:100]!r} is no name of a backup.")
    try:
        date.fromisoformat(str(backup.manifest["created"])[:10])
        final = folder_of(parse(backup.address)) / backup.id
    except (ValueError, LookupError, OSError, MemdefragError) as error:
        raise BackupDamaged(f"The manifest of backup {backup.id} names no store or no time.") from error
    if final.exists():
        raise UsageError(f"The shelf has backup {backup.id} already.", safe=f"It was not touched: {final}")
    return final


def _refuse_strangers(backup: Backup) -> None:
    """Files that the manifest does not name are not the backup's."""
    known = {backup.folder / name for name in (MANIFEST, MANIFEST_SUM, SUMS, RESTORE)}
    known |= {each.within(backup.folder) for each in backup.neutral}
    known |= {each.within(backup.folder / FILES) for each in backup.raw}
    strange = next((path for path in files_below(backup.folder) if path not in known), None)
    if strange:
        raise BackupDamaged(f"Backup {backup.id} holds a file that its manifest does not name: {strange.name}.")


def _pack_tar(members: dict[str, Path], target: Path, progress: Progress) -> None:
    with (
        target.open("wb") as raw,
        zstandard.ZstdCompressor(level=PACKED_LEVEL).stream_writer(raw, closefd=False) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, path in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = path.stat().st_size, PRIVATE_FILE, int(path.stat().st_mtime)
            with path.open("rb") as content:
                tar.addfile(info, content)
            progress.step(info.size)


def _pack_zip(members: dict[str, Path], target: Path, progress: Progress) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as packed:
        for name, path in members.items():
            packed.write(path, name)
            progress.step(path.stat().st_size)


def _compare(members: dict[str, Path], written: Path, progress: Progress) -> None:
    """Unpack what was written, as an import would, and compare every file with the backup's."""
    size = sum(path.stat().st_size for path in members.values())
    progress.phase("Reading the file back", size)
    with scratch_folder("export") as folder:
        found = extract(written, folder, max_bytes=size, max_members=len(members))
        for path in found:
            original = members.get(path.relative_to(folder).as_posix())
            if original is None or file_sha256(path) != file_sha256(original):
                raise BackupDamaged(f"The export does not hold what the backup holds: {path.name}.")
            progress.step(path.stat().st_size)
    if len(found) != len(members):
        raise BackupDamaged("The export does not hold all that the backup holds.")
