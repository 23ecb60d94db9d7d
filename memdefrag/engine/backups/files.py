"""The raw layer of a backup: each file of the store compressed, and put back only from a backup that is whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from memdefrag.base.fsops import fault_point
from memdefrag.base.packed import Packed, check_sum, pack, unpack
from memdefrag.base.progress import Progress
from memdefrag.engine.backups.shelf import Backup
from memdefrag.stores.backup_folder import FILES

WORKERS = 2
"""Threads that compress and sum; both let go of Python's lock. More would take the whole machine."""

_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY


class Packing:
    """Compresses files in threads of their own while the caller does something else.

    Leaving the `with` block waits for the threads; `packed` then has the entries, in the order of the sources.
    """

    def __init__(self, sources: Iterable[tuple[str, Path]], folder: Path, progress: Progress) -> None:
        self._pool = ThreadPoolExecutor(WORKERS, "memdefrag-pack")
        self._work = []
        for relative, path in sources:
            fault_point(f"compress {relative}")
            self._work.append(self._pool.submit(pack, path, folder, relative, progress))

    def __enter__(self) -> Packing:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def packed(self, progress: Progress) -> list[Packed]:
        """Wait for the files and count their bytes."""
        found = []
        for work in self._work:
            found.append(work.result())
            progress.step(found[-1].size)
        return found


def check_sums(backup: Backup, progress: Progress) -> None:
    """Compare every file of the backup on the disk with its sum.

    Raises:
        BackupDamaged: naming the first that does not match.
    """
    layers = [(backup.folder, each) for each in backup.neutral]
    layers += [(backup.folder / FILES, each) for each in backup.raw]
    progress.phase("Checking the backup", sum(each.zsize for _, each in layers))
    with ThreadPoolExecutor(WORKERS, "memdefrag-sum") as pool:
        for (_, each), _ in zip(layers, pool.map(lambda layer: check_sum(*layer), layers), strict=True):
            progress.step(each.zsize)


def extract(backup: Backup, target: Path, progress: Progress) -> None:
    """Put the raw files where a store of this kind expects them; `target` must not exist.

    Raises:
        BackupDamaged: a file of the backup, whichever, does not match the manifest.
    """
    check_sums(backup, progress)
    single = not backup.manifest["source"]["is_folder"]
    progress.phase("Copying from the backup", sum(each.size for each in backup.raw))
    for each in backup.raw:
        path = target if single else target / PurePosixPath(each.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        fault_point(f"extract {each.path}")
        with os.fdopen(os.open(path, _NEW_FILE, each.mode | 0o200), "wb") as handle:
            for block in unpack(backup.folder / FILES, each):
                handle.write(block)
                progress.step(len(block))
