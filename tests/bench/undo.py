"""How fast a step is taken back and carried out again, beside carrying it out the first time, on the same store.

    python -m tests.bench.undo [--n 100000] [--touched 10000] [--profile]

The plan merges pairs, so that half of the touched memories disappear. The Chroma folder is made once by the real
library (minutes) and kept in the cache folder; all work is done on copies, with a data folder of its own.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from memdefrag.base.progress import Progress
from memdefrag.base.settings import DATA_DIR_VARIABLE
from memdefrag.engine import history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Merge, Plan, Put, Ref, Result, VectorRule
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.bench import chroma_store

WILLING = ApplyOptions(confirm_shrink=True)


def export_file(folder: Path, n: int) -> Address:
    """An export of so many records with vectors of 384 dimensions."""
    address = Address("memory-export", str(folder / "memory_export.db"))
    vectors = np.random.default_rng(1).standard_normal((n, chroma_store.DIMENSION), dtype=np.float32)
    with open_store(address, must_exist=False) as store:
        puts = [
            Put(store.fit(MemoryRecord(Key("memories", f"{number:064x}"), f"Memory {number}", {}, vector))[0], None)
            for number, vector in enumerate(vectors)
        ]
        store.write(Changes(put=tuple(puts)), Progress())
    return address


def chroma_folder(folder: Path, n: int) -> Address:
    """A copy of the folder that the real library made."""
    return Address("chroma", str(shutil.copytree(chroma_store.build(n), folder / "chroma_db")))


def merge_plan(address: Address, touched: int) -> Plan:
    """Merge so many records two by two."""
    with open_store(address) as store:
        records = read_snapshot(store).records[:touched]
    steps = []
    for one, other in zip(records[::2], records[1::2], strict=True):
        result = Result(f"{one.text} {other.text}", one.tags, one.created, None, None, one.metadata, VectorRule.MEAN)
        steps.append(Merge(Ref.of(one), (Ref.of(other),), result))
    return Plan(source=str(address), target=str(address), steps=tuple(steps))


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds on the clock, and of all processors together (children, too)."""

    clock: float
    work: float

    def __str__(self) -> str:
        return f"{self.clock:.1f} s ({self.work:.1f} s of work)"


def took(work: Callable[[], object], profile: bool = False) -> Took:
    profiler = cProfile.Profile()
    started, spent = time.perf_counter(), sum(os.times()[:4])
    if profile:
        profiler.runcall(work)
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)
    else:
        work()
    return Took(time.perf_counter() - started, sum(os.times()[:4]) - spent)


def measure(address: Address, touched: int, profile: bool) -> tuple[Took, Took, Took]:
    """What the apply, its undo and its redo took."""
    plan = merge_plan(address, touched)
    applied = took(lambda: apply(plan, WILLING))
    step = history.latest(address)
    undone = took(lambda: apply(history.undo_plan(step), WILLING), profile)
    redone = took(lambda: apply(history.redo_plan(step), WILLING))
    return applied, undone, redone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000, help="records of the store")
    parser.add_argument("--touched", type=int, default=10_000, help="records that the plan names")
    parser.add_argument("--only", choices=("export", "chroma"))
    parser.add_argument("--profile", action="store_true", help="say where the undo spends its time")
    given = parser.parse_args()
    table = Table("Store", "Apply", "Undo", "Redo", "Undo / apply (wanted: 1)")
    makers = {"export": export_file, "chroma": chroma_folder}
    for name, make in makers.items():
        if given.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory(prefix="memdefrag-bench-") as scratch, pytest.MonkeyPatch.context() as patch:
            address = make(Path(scratch), given.n)
            patch.setenv(DATA_DIR_VARIABLE, f"{scratch}/data")
            applied, undone, redone = measure(address, given.touched, given.profile)
        ratio = f"{undone.clock / applied.clock:.2f} ({undone.work / applied.work:.2f})"
        told = map(str, (applied, undone, redone))
        table.add_row(f"{name}, {given.n:,} records, {given.touched:,} touched", *told, ratio)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
