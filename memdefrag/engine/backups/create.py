"""Making a backup of a store: both layers, pushed to the disk and read back before it counts.

The order is that of docs/safety.md: everything into ``<id>.partial``, fsync, manifest, fsync, rename, fsync of the
folder above; then every sum is read back from the disk and the memories are read and compared.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import memdefrag
from memdefrag.base.errors import BackupDamaged, StoreChanged
from memdefrag.base.fsops import forget_cached, fsync_dir, fsync_tree, make_private_dir, remove, rename, write_durable
from memdefrag.base.packed import Packed
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.engine import catalogue
from memdefrag.engine.backups.files import Packing
from memdefrag.engine.backups.restore_text import restore_text
from memdefrag.engine.backups.shelf import Backup, folder_of, load
from memdefrag.engine.backups.verify import verify
from memdefrag.engine.failures import disk_errors_told
from memdefrag.engine.steady import State
from memdefrag.model.capabilities import Commit
from memdefrag.model.records import CollectionInfo, FileStamp, MemoryRecord, Snapshot
from memdefrag.stores import neutral
from memdefrag.stores.backup_folder import (
    DAMAGED,
    FILES,
    FORMAT_VERSION,
    MANIFEST,
    MANIFEST_SUM,
    PARTIAL,
    RESTORE,
    SUMS,
    Manifest,
    sums,
)
from memdefrag.stores.base import Store, file_stats
from memdefrag.stores.sqlite_safe import copy_by_backup
from memdefrag.stores.unreadable import Unreadable

ABANDONED_SECONDS = 86_400.0


@disk_errors_told("The store was only read.")
def create(
    store: Store,
    snapshot: Snapshot | None,
    reason: str,
    progress: Progress,
    *,
    state: State | None = None,
    job: str | None = None,
) -> Backup:
    """Back up a whole store, and read the backup back.

    Args:
        snapshot: the store's content where it was just read; None: it is read here, with bounded memory.
        state: where `store` is a private copy, what it is a copy of.
        job: id of the job that wants the backup.

    Raises:
        StoreChanged: somebody wrote to the store meanwhile; no backup is left behind.
        BackupDamaged: what was written does not read back; it was set aside and does not count.
        NoSpace, NotPermitted, WriteError: the disk failed; no backup is left behind.
    """
    if store.address.collection:
        store.address, snapshot = store.address.select(None), None
    state = state or State.at_rest(store.address)
    name = catalogue.new_id()
    shelf = make_private_dir(folder_of(state.address))
    partial, final = shelf / f"{name}{PARTIAL}", shelf / name
    for left in shelf.glob(f"*{PARTIAL}"):
        # A younger one may be the backup that another memdefrag is making right now.
        if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
            remove(left)
    try:
        with store.frozen():
            _Filling(partial, final, store, snapshot, progress).fill(reason, state, job)
        rename(partial, final)
        forget_cached(final)
        backup = load(final)
        verify(backup, progress)
        catalogue.record("backup", id=name, folder=str(final), reason=reason, store=str(state.address.select(None)))
    except BackupDamaged:
        rename(final, final.with_name(name + DAMAGED))
        raise
    except BaseException:
        remove(partial)
        remove(final)
        raise
    return backup


class _Filling:
    """Writes the files of one backup."""

    def __init__(self, partial: Path, final: Path, store: Store, snapshot: Snapshot | None, progress: Progress) -> None:
        self.partial, self.final = partial, final
        self.store, self.snapshot, self.progress = store, snapshot, progress
        self.stats = file_stats(store)

    def fill(self, reason: str, state: State, job: str | None) -> None:
        """Everything, from the first file to the last fsync."""
        infos = self.snapshot.collections if self.snapshot else self.store.collections()
        raw, layer, tally = self._layers(infos)
        self._require_unchanged(raw)
        facts = {
            "format_version": FORMAT_VERSION,
            "id": self.final.name,
            "created": catalogue.utc_now(),
            "reason": reason,
            "job": job,
            **_versions(self.store.kind),
            "source": _source(self.store, state, infos),
            "records": tally.records,
            "counts": tally.as_dict(),
            "collections": {info.name: info.count for info in infos},
            "selected": None,
            "content": tally.content,
            "layers": {"raw": "complete" if raw else "none", "neutral": "complete" if layer else "none"},
            "consistent": _consistency(self.store, state),
            "moment": state.moment,
            "in_use": [{"pid": holder.pid, "name": holder.name} for holder in state.holders],
            "files": [each.as_dict() for each in raw],
            "neutral": [each.as_dict() for each in layer],
        }
        fsync_tree(self.partial)
        self._describe(facts)

    def _layers(self, infos: Sequence[CollectionInfo]) -> tuple[list[Packed], list[Packed], neutral.Tally]:
        """Both layers at once: the raw one in threads, the neutral one here."""
        make_private_dir(self.partial / FILES)
        sources = list(_sources(self.store, self.partial))
        total = sum(path.stat().st_size for _, path in sources) + sum(info.count for info in infos)
        self.progress.phase("Backing up", total)
        with Packing(sources, self.partial / FILES, self.progress) as packing:
            layer: list[Packed] = []
            tally = neutral.Tally()
            if not isinstance(self.store, Unreadable):
                relations = self.snapshot.relations if self.snapshot else self.store.relations()
                layer, tally = neutral.write(self.partial, infos, self._batches(infos), relations, self.progress)
            raw = packing.packed(self.progress)
        remove(self.partial / "sqlite-copy")
        return raw, layer, tally

    def _batches(self, infos: Sequence[CollectionInfo]) -> Iterator[list[MemoryRecord]]:
        if self.snapshot is None:
            for info in infos:
                yield from self.store.scan(info.name)
            return
        records = self.snapshot.records
        for start in range(0, len(records), BATCH_RECORDS):
            yield list(records[start : start + BATCH_RECORDS])

    def _require_unchanged(self, raw: Iterable[Packed]) -> None:
        """What was backed up is what was read, byte for byte."""
        same = file_stats(self.store) == self.stats
        read = self.snapshot.fingerprint if self.snapshot else None
        if read is not None and read.files:
            stamps = tuple(FileStamp(each.path, each.size, each.sha256) for each in raw)
            if self.store.capabilities.commit is Commit.SQLITE:
                stamps = self.store.file_stamps()
            same = same and stamps == read.files
        if not same:
            raise StoreChanged("Somebody wrote to the store while it was backed up.", todo="Try again.")

    def _describe(self, facts: Manifest) -> None:
        """Write what tells of the files, once these are on the disk."""
        guide = restore_text(self.final, facts).encode("utf-8", "surrogateescape")
        facts["guide_sha256"] = hashlib.sha256(guide).hexdigest()
        data = json.dumps(facts, indent=2).encode()
        write_durable(self.partial / RESTORE, guide)
        write_durable(self.partial / SUMS, sums(facts, data))
        write_durable(self.partial / MANIFEST, data)
        write_durable(self.partial / MANIFEST_SUM, hashlib.sha256(data).hexdigest().encode())
        fsync_dir(self.partial)


def _sources(store: Store, partial: Path) -> Iterator[tuple[str, Path]]:
    """Each raw file's path inside the store, and a file that holds its bytes consistently."""
    root = store.address.path
    if store.capabilities.commit is Commit.SQLITE:
        copy = partial / "sqlite-copy"
        copy_by_backup(root, copy)
        yield root.name, copy
        return
    for path in store.raw_files():
        yield (path.relative_to(root).as_posix() if root.is_dir() else path.name), path


def _source(store: Store, state: State, infos: Iterable[CollectionInfo]) -> dict[str, Any]:
    """What was backed up; credentials are no part of an address."""
    described = ("name", "count", "with_embedding", "dimension", "metric", "model")
    return {
        "address": str(state.address.select(None)),
        "kind": store.kind,
        "format": store.format,
        "is_folder": store.address.is_local and store.address.path.is_dir(),
        "collections": [{name: getattr(info, name) for name in described} for info in infos],
    }


def _versions(kind: str) -> dict[str, str]:
    found = {
        "tool": f"memdefrag {memdefrag.__version__}",
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "host": platform.node(),
        # platform.platform() would start a program for the name of the processor.
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    if kind.startswith("chroma"):
        with suppress(metadata.PackageNotFoundError):
            found["chromadb"] = metadata.version("chromadb")
    return found


def _consistency(store: Store, state: State) -> str:
    if store.capabilities.commit is Commit.SQLITE:
        return "sqlite-backup-api"
    if not store.raw_files():
        return "api-export"
    return "unlocked-copy" if state.was_copied else "closed"
