"""What a backup costs, beside copying the folder and summing the copy, and beside reading it once, in the same run.

    python -m tests.bench.backup [--n 100000] [--repeat 3]

Wanted: the raw layer, with its sums read back from the disk, in at most 4 times the copy with its sums; the whole
backup (both layers, fsync, every sum and every memory read back) in at most that and 3 times one reading.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from memdefrag.base.fsops import file_sha256
from memdefrag.base.packed import check_sum
from memdefrag.base.progress import Progress
from memdefrag.base.settings import DATA_DIR_VARIABLE
from memdefrag.engine.backups.create import create
from memdefrag.engine.backups.files import Packing
from memdefrag.stores.base import Store
from memdefrag.stores.registry import open_store
from tests.bench import chroma_store

RAW_LIMIT, READINGS = 4.0, 3.0


def copied(store: Store, folder: Path) -> None:
    """The peer: copy the folder, and sum what was copied."""
    shutil.copytree(store.address.path, folder / "copy")
    for path in sorted((folder / "copy").rglob("*")):
        if path.is_file():
            file_sha256(path)


def raw_layer(store: Store, folder: Path) -> None:
    """Compress all files and read the sums of the compressed ones back."""
    root = store.address.path
    sources = [(path.relative_to(root).as_posix(), path) for path in store.raw_files()]
    with Packing(sources, folder / "files", Progress()) as packing:
        packed = packing.packed(Progress())
    for each in packed:
        check_sum(folder / "files", each)


def read_once(store: Store, folder: Path) -> None:
    for info in store.collections():
        for _ in store.scan(info.name):
            pass


def whole(store: Store, folder: Path) -> None:
    os.environ[DATA_DIR_VARIABLE] = str(folder)
    create(store, None, "bench", Progress())


def best(work: Callable[[Store, Path], None], path: Path, repeat: int) -> float:
    """Seconds of the quickest of some runs, each in an empty folder on the store's own disk."""
    times = []
    for _ in range(repeat):
        with open_store(str(path)) as store, tempfile.TemporaryDirectory(dir=path.parent) as folder:
            started = time.perf_counter()
            work(store, Path(folder))
            times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000, help="records of the Chroma folder")
    parser.add_argument("--repeat", type=int, default=3)
    chosen = parser.parse_args()
    path = chroma_store.build(chosen.n)
    copy, raw, read, all_of_it = (best(work, path, chosen.repeat) for work in (copied, raw_layer, read_once, whole))
    print(f"copy and sums:      {copy:.2f} s")
    print(f"raw layer:          {raw:.2f} s = {raw / copy:.1f} x (wanted: {RAW_LIMIT:.0f} x)")
    print(f"one reading:        {read:.2f} s")
    wanted = RAW_LIMIT * copy + READINGS * read
    print(f"the whole backup:   {all_of_it:.2f} s (wanted: {wanted:.2f} s)")


if __name__ == "__main__":
    main()
