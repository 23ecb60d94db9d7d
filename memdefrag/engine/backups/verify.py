"""Whether a backup still is what was written, and still can be restored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from memdefrag.base.errors import BackupDamaged, StoreError, WriterFailed, WriterNeeded
from memdefrag.base.packed import Packed, unpack
from memdefrag.base.progress import Progress
from memdefrag.base.scratch import scratch_folder
from memdefrag.engine import catalogue
from memdefrag.engine.backups.files import WORKERS, check_sums, extract
from memdefrag.engine.backups.shelf import Backup, load
from memdefrag.model.address import parse
from memdefrag.model.records import MemoryRecord, Snapshot
from memdefrag.stores import neutral
from memdefrag.stores.backup_folder import FILES
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store
from memdefrag.stores.sqlite_safe import MAGIC

QUERIES = 20
_PAGE_SIZE = slice(16, 18)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a trial restore found.

    Attributes:
        records: how many memories the restored store holds; all are what they were.
        asked: how many of them the store's own search was asked for.
        lost: how many of these it did not find; the index was so when it was backed up.
        note: why the search was not asked, if so.
    """

    records: int
    asked: int = 0
    lost: int = 0
    note: str = ""


def verify(backup: Backup, progress: Progress, *, deep: bool = False) -> Restored | None:
    """Read every byte back from disk, compare it with the sums, and read and compare all memories.

    Args:
        deep: also restore into a scratch folder, open the store there, compare all memories and ask its search
            for some of them.

    Raises:
        BackupDamaged: naming the first file that does not match; the catalogue remembers it.
    """
    with _remembered(backup):
        load(backup.folder)
        check_sums(backup, progress)
        _verify_content(backup, progress)
        restored = try_restore(backup, progress) if deep else None
    catalogue.record("verified", id=backup.id, deep=deep)
    return restored


def last_verified(backup: Backup) -> str | None:
    """When the backup was found whole the last time, as ISO text; None where it never was or no longer is."""
    found = None
    for event in catalogue.events():
        if event.get("id") == backup.id and event["event"] in ("verified", "damaged"):
            found = str(event["time"]) if event["event"] == "verified" else None
    return found


def try_restore(backup: Backup, progress: Progress) -> Restored:
    """Restore into a scratch folder, open what is there, and compare it with the manifest.

    Raises:
        BackupDamaged: it does not open, or holds something else.
    """
    if not backup.raw:
        return Restored(backup.records, note="There is no copy of the store's own files to try.")
    address = parse(backup.address).select(backup.manifest["selected"])
    with scratch_folder() as scratch:
        target = scratch / address.path.name
        extract(backup, target, progress)
        try:
            with open_store(address.at(target)) as store:
                snapshot = read_snapshot(store, progress)
                require_same(backup, snapshot)
                return _ask(store, snapshot, progress)
        except StoreError as error:
            raise BackupDamaged(f"Backup {backup.id} does not open: {error.message}") from error


def require_same(backup: Backup, snapshot: Snapshot) -> None:
    """Compare a restored store with what the manifest says of it.

    Raises:
        BackupDamaged: it holds something else.
    """
    content = snapshot.fingerprint.content if snapshot.fingerprint else ""
    if content != backup.manifest["content"]:
        raise BackupDamaged(f"Backup {backup.id} opens, but its records are not those that were backed up.")


@contextmanager
def _remembered(backup: Backup) -> Iterator[None]:
    """Note damage in the catalogue, so that a list can tell of it."""
    try:
        yield
    except BackupDamaged as error:
        catalogue.record("damaged", id=backup.id, reason=error.message)
        raise


def _verify_content(backup: Backup, progress: Progress) -> None:
    """Unpack the raw files in threads, without keeping them, while the memories are read here."""
    units = sum(each.size for each in backup.raw) + (backup.records if backup.neutral else 0)
    progress.phase("Verifying the backup", units)
    with ThreadPoolExecutor(WORKERS, "memdefrag-verify") as pool:
        work = [pool.submit(_unpacked, backup, each, progress) for each in backup.raw]
        work += [pool.submit(_drained, backup.folder, each, progress) for each in backup.neutral]
        try:
            if backup.neutral:
                _verify_neutral(backup, progress)
            for done in work:
                progress.step(done.result())
        finally:
            pool.shutdown(cancel_futures=True)


def _unpacked(backup: Backup, packed: Packed, progress: Progress) -> int:
    """Read a file to its end. The databases of a store that could be read are of whole pages."""
    head = b""
    for block in unpack(backup.folder / FILES, packed):
        progress.check()
        head = head or block[:100]
    if backup.neutral and head.startswith(MAGIC):
        page = int.from_bytes(head[_PAGE_SIZE], "big")
        if packed.size % (65_536 if page == 1 else page or 1):
            raise BackupDamaged(f"{packed.path} is cut within a page of its database.")
    return packed.size


def _drained(folder: Path, packed: Packed, progress: Progress) -> int:
    """Read a file to its end; its units are counted by who reads what it says."""
    for _ in unpack(folder, packed):
        progress.check()
    return 0


def _verify_neutral(backup: Backup, progress: Progress) -> None:
    found = neutral.tally(backup.folder, progress)
    if (found.records, found.content) != (backup.records, backup.manifest["content"]):
        raise BackupDamaged(f"The memories in backup {backup.id} are not those that were backed up.")


def _ask(store: Store, snapshot: Snapshot, progress: Progress) -> Restored:
    """Ask the restored store's own search for some memories by their vectors."""
    if type(store).lost_in_search is Store.lost_in_search:
        return Restored(len(snapshot), note="Stores of this kind have no search of their own to ask.")
    chosen = _spread([record for record in snapshot.records if record.embedding is not None and record.embedding.any()])
    try:
        lost = store.lost_in_search(chosen, progress)
    except (WriterNeeded, WriterFailed) as error:
        return Restored(len(snapshot), note=f"Its search was not asked: {error.message}")
    return Restored(len(snapshot), len(chosen), len(lost))


def _spread(records: Sequence[MemoryRecord]) -> list[MemoryRecord]:
    """At most `QUERIES` of them, from all over."""
    return list(records[:: max(1, len(records) // QUERIES)][:QUERIES])
