"""Taking in backups from elsewhere: our own exports, and what other programs put aside.

Known by their content, never by their names:

- an export of ours (`archive`), or the folder of a backup;
- Memory Defragmenter: ``.db.gz`` (raw DEFLATE without the header that gz promises), ``_backup_<time>`` folders;
- Enhanced Memory System: a zip archive with the database, whose name lacks its ending, and a ``.json`` beside it;
- Memory Service: ``.db`` files (also beside their ``-wal``), its two JSON forms;
- any other store that memdefrag can read, in a zip, tar or gz archive.

What is taken in becomes a backup with both layers: the file as it is, and its memories one by one.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memdefrag.base.archives import BLOCK, HARMLESS_BYTES, MOST_EXPANDED, extract
from memdefrag.base.errors import BackupDamaged, NoSpace, NotAStore, NotPermitted, UnsupportedFormat
from memdefrag.base.fsops import PRIVATE_FILE, fault_point, file_sha256, free_bytes
from memdefrag.base.progress import Progress
from memdefrag.engine import catalogue
from memdefrag.engine.backups.archive import files_below, put_on_shelf, scratch_folder
from memdefrag.engine.backups.create import create
from memdefrag.engine.backups.shelf import Backup
from memdefrag.engine.steady import State
from memdefrag.model.address import Address
from memdefrag.stores.backup_folder import MANIFEST_SUM, RESTORE, SUMS
from memdefrag.stores.registry import open_store, resolve
from memdefrag.stores.sqlite_safe import MAGIC, is_database

_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_TAR_SIGN = slice(257, 262)
_RAW_DEFLATE = -15


@dataclass(frozen=True, slots=True)
class TakenIn:
    """A backup that was taken in, and what is wrong or amiss with what was found."""

    backup: Backup
    problems: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {"backup": self.backup.as_dict(), "problems": list(self.problems)}


def take_in(path: Path, progress: Progress) -> TakenIn:
    """Put somebody's backup on the shelf; the file or folder itself is only read.

    Raises:
        NotAStore: nothing is there, or nothing we know.
        BackupDamaged: it is an archive or backup that is damaged, or holds what it must not; nothing was taken in.
        UsageError: the shelf has that backup already.
        NoSpace: the disk cannot take it.
    """
    path = path.expanduser().absolute()
    with scratch_folder("import") as scratch:
        found = _unpacked(path, scratch)
        own = _own_backup(found)
        if own:
            return TakenIn(put_on_shelf(_copied(own, scratch), path, progress))
        address = _store_in(found, path)
        packed = found != path
        named = address.at(path.parent / address.path.name) if packed else address
        with open_store(address) as store:
            problems = [*store.problems()]
            made = create(store, None, f"taken in from {path.name}", progress,
                          state=State(named, path.stat().st_mtime))  # fmt: skip
    catalogue.record("imported", id=made.id, folder=str(made.folder), store=made.address, origin=str(path))
    return TakenIn(made, (*problems, *_contradictions(path, found, made.records)))


def _unpacked(path: Path, scratch: Path) -> Path:
    """What is to be taken in: the path itself, or the file or folder that it was unpacked into."""
    if path.is_dir():
        return path
    try:
        with path.open("rb") as handle:
            head = handle.read(BLOCK)
    except FileNotFoundError:
        raise NotAStore(f"There is nothing at {path}.") from None
    except PermissionError as error:
        raise NotPermitted(f"{path} may not be read: {error.strerror}.") from error
    inside = scratch / "content"
    if head.startswith(_ARCHIVES) or head[_TAR_SIGN] == b"ustar":
        extract(path, inside, max_bytes=free_bytes(scratch))
        return inside
    if not head.startswith(MAGIC) and _inflates_to_database(head):
        inside.mkdir()
        return _inflated(path, inside / path.name.removesuffix(".gz"))
    return path


def _inflates_to_database(head: bytes) -> bool:
    try:
        return zlib.decompressobj(_RAW_DEFLATE).decompress(head, len(MAGIC)) == MAGIC
    except zlib.error:
        return False


def _inflated(path: Path, target: Path) -> Path:
    """Unpack a raw DEFLATE stream (RFC 1951), which has neither a length nor a sum."""
    limit = min(free_bytes(target.parent), max(HARMLESS_BYTES, MOST_EXPANDED * path.stat().st_size))
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    fault_point(f"unpack {target.name}")
    target.touch(PRIVATE_FILE)
    with path.open("rb") as packed, target.open("wb") as plain:
        try:
            while not inflater.eof and (block := inflater.unconsumed_tail or packed.read(BLOCK)):
                plain.write(inflater.decompress(block, BLOCK))
                if plain.tell() > limit:
                    raise NoSpace(f"{path} unpacks to more than {limit} bytes: no room, or no honest backup.")
            plain.write(inflater.flush())
        except zlib.error as error:
            raise BackupDamaged(f"{path} is damaged: {error}.") from error
    if not inflater.eof:
        raise BackupDamaged(f"{path} is damaged: its end is missing.")
    return target


def _own_backup(found: Path) -> Path | None:
    """The folder of a backup of ours, even if a part of it is missing: what was found, or a folder in it."""
    inside = [found, *(path for path in found.iterdir() if path.is_dir())] if found.is_dir() else []
    signs = ({MANIFEST_SUM}, {SUMS, RESTORE})
    return next((folder for folder in inside if any(_holds(folder, names) for names in signs)), None)


def _holds(folder: Path, names: set[str]) -> bool:
    return all((folder / name).is_file() for name in names)


def _copied(folder: Path, scratch: Path) -> Path:
    """A backup that was not unpacked here is copied: the person's own stays where it is."""
    if folder.is_relative_to(scratch):
        return folder
    link = next((path for path in folder.rglob("*") if path.is_symlink()), None)
    if link:
        raise BackupDamaged(f"{link} is a link; a backup holds none.")
    if free_bytes(scratch) < sum(path.stat().st_size for path in files_below(folder)):
        raise NoSpace(f"There is no room for a copy of {folder}.")
    return Path(shutil.copytree(folder, scratch / "copy"))


def _store_in(found: Path, path: Path) -> Address:
    """The one store that was found, whatever it is called."""
    try:
        return resolve(str(found))
    except NotAStore:
        stores = [address for file in files_below(found) if (address := _known(file))] if found.is_dir() else []
    if len(stores) != 1:
        what = f"holds {len(stores)} memory stores, one is wanted" if stores else "holds no memory store we know"
        raise NotAStore(f"{path} {what}.", todo="Name the file or folder of the store itself.")
    return stores[0]


def _known(file: Path) -> Address | None:
    try:
        return resolve(str(file)) if is_database(file) or file.suffix in (".json", ".jsonl") else None
    except (NotAStore, UnsupportedFormat):
        return None


def _contradictions(path: Path, found: Path, records: int) -> Iterator[str]:
    """Where the notes that the other program made of its backup say something else than what was found."""
    for said in _notes(path, found):
        count = said.get("memories_count", said.get("memoryCount"))
        if isinstance(count, int) and count != records:
            yield f"The program that made the backup noted {count:,} memories; it holds {records:,}."
        checksum = said.get("checksum")
        if isinstance(checksum, str) and checksum.lower() != file_sha256(path):
            yield "The backup does not match the checksum that the program that made it noted."


def _notes(path: Path, found: Path) -> Iterator[dict[str, Any]]:
    """What Enhanced Memory (the same name, .json) and Memory Defragmenter (backups.json) noted of a backup."""
    inside = [file for file in files_below(found) if file.suffix == ".json"] if found.is_dir() else []
    for file in [path.with_suffix(".json"), *inside] if path.suffix != ".json" else []:
        note = _loaded(file)
        if isinstance(note, dict) and isinstance(note.get("database_info"), dict):
            yield note["database_info"]
    index = _loaded(path.with_name("backups.json"))
    for entry in index if isinstance(index, list) else []:
        if isinstance(entry, dict) and str(entry.get("backupPath", "")).rpartition("/")[2] == path.name:
            yield entry


def _loaded(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
