"""All pairs of near vectors, ours beside all peers in one run: `python -m tests.bench.pairs --n 50000 --t 0.9`.

Uses the real vectors in ../shared/bench beside the repository, else random ones (which have neither near pairs nor a
spread that a screen can use: their figures say nothing). Peers come with the extra `bench`. Each works in a process
of its own, the processes take turns, and all but reading the vectors and importing is timed. Other work on the
machine slows both clocks: compare the ratios, and those of the seconds of CPU first. With --threads 1 these hold on a
busy machine too; with more, the threads of a maths library that wait for each other burn CPU, the blocked product's
above all.

With --check our pairs are compared with those of a float64 product instead, at several thresholds.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from memdefrag.analysis.similarity.pairs import similar_pairs, unit_rows
from memdefrag.base.progress import Progress
from tests.bench.pair_peers import BLOCKED, IVF, METHODS, OURS, Floats, Keys

VECTORS = Path(__file__).resolve().parents[2] / "../shared/bench/real_vectors_50k.f16.npy"
NOISY_COSINE = 0.93
CHECKED_AT = (0.75, 0.80, 0.85, 0.90, 0.95)
UNSURE = 1e-5
"""So near to the threshold a pair may be found or not: it depends on the order of float32 sums."""
PATIENCE_SECONDS = 40.0
"""What takes more CPU is measured once, however often the others are."""


def vectors(n: int) -> Floats:
    """The first n; beyond what there is, a noisy copy of each follows (its cosine with it about `NOISY_COSINE`)."""
    random = np.random.default_rng(0)
    if VECTORS.exists():
        unit = unit_rows(np.load(VECTORS)[:n].astype(np.float32))[0]
    else:
        unit = unit_rows(random.normal(size=(min(n, 50_000), 384)).astype(np.float32))[0]
    if n > len(unit):
        spread = np.sqrt((1 / NOISY_COSINE**2 - 1) / unit.shape[1])
        noisy = unit[: n - len(unit)] + spread * random.standard_normal((n - len(unit), unit.shape[1]), np.float32)
        unit = np.concatenate((unit, unit_rows(noisy)[0]))
    return unit


@dataclass(slots=True)
class Measured:
    """Runs of one method: seconds by the clock and of CPU, peak of extra memory in bytes, and the last one's pairs."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    keys: Keys | None = None


def measure(names: Sequence[str], n: int, t: float, threads: int, repeat: int) -> tuple[dict[str, Measured], list[str]]:
    """Let the methods take turns, `repeat` times; also says which could not run, and why."""
    done: dict[str, Measured] = {}
    failed: list[str] = []
    for turn in range(repeat):
        for name in names:
            if turn and (name not in done or done[name].cpu[0] > PATIENCE_SECONDS):
                continue
            if sys.stderr.isatty():
                print(f"\r{turn + 1}/{repeat} {name:<40}", end="", file=sys.stderr, flush=True)
            error = _run(name, n, t, threads, done)
            if error:
                failed.append(f"{name}: {error}")
    return done, failed


def _run(name: str, n: int, t: float, threads: int, done: dict[str, Measured]) -> str | None:
    missing = [module for module in METHODS[name].modules if not _installed(module)]
    if missing:
        return f"{', '.join(missing)} not installed (extra bench)"
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder, "keys.npy")
        command = [sys.executable, "-m", __spec__.name if __spec__ else "tests.bench.pairs", "--child", name]
        command += ["--n", str(n), "--t", str(t), "--threads", str(threads), "--keys", str(keys)]
        limits = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "OPENBLAS", "MKL")}
        ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **limits})
        if ran.returncode:
            last = (ran.stderr.strip().splitlines() or [""])[-1]
            return f"ended with {ran.returncode}: {last}"
        figures = json.loads(ran.stdout.splitlines()[-1])
        measured = done.setdefault(name, Measured())
        measured.wall.append(figures["wall"])
        measured.cpu.append(figures["cpu"])
        measured.memory.append(figures["memory"])
        measured.keys = np.load(keys) if keys.exists() else None
    return None


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module.partition(".")[0]) is not None


def child(name: str, n: int, t: float, threads: int, keys: Path) -> None:
    """Run one method and print its figures."""
    for module in METHODS[name].modules:
        importlib.import_module(module)
    unit = vectors(n)
    before = _forget_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    found = METHODS[name].find(unit, t, threads)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"wall": wall, "cpu": cpu, "memory": _peak() - before}))
    if found is not None:
        np.save(keys, np.unique(found))


def _forget_peak() -> int:
    """The memory in use, in bytes; peaks from before do not count any more, where the system can forget them."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _peak()
    return int(psutil.Process().memory_info().rss)


def _peak() -> int:
    memory = psutil.Process().memory_info()
    if hasattr(memory, "peak_wset"):
        return int(memory.peak_wset)
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def table(done: dict[str, Measured], title: str) -> Table:
    """One row per method, the quickest first; the blocked product's pairs are the reference."""
    reference = done[BLOCKED].keys if BLOCKED in done else None
    shown = Table("method", title=title)
    for heading in ("runs", "wall s", "CPU s", "extra MB", "pairs", "recall", "wall/blocked", "CPU/blocked"):
        shown.add_column(heading, justify="right")
    for name in sorted(done, key=lambda name: statistics.median(done[name].wall)):
        one = done[name]
        ratios = [_ratio(one.wall, done[BLOCKED].wall), _ratio(one.cpu, done[BLOCKED].cpu)] if BLOCKED in done else []
        shown.add_row(
            name,
            str(len(one.wall)),
            f"{statistics.median(one.wall):.2f}",
            f"{statistics.median(one.cpu):.2f}",
            f"{statistics.median(one.memory) / 1e6:.0f}",
            "groups only" if one.keys is None else f"{len(one.keys):,}",
            "-" if (share := _recall(one, reference)) is None else f"{share:.5f}",
            *(f"{ratio:.3f}" for ratio in ratios),
        )
    return shown


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(ours) / statistics.median(theirs)


def _recall(one: Measured, reference: Keys | None) -> float | None:
    if one.keys is None or reference is None:
        return None
    return len(np.intersect1d(one.keys, reference)) / max(1, len(reference))


def verdicts(done: dict[str, Measured]) -> list[str]:
    """How many times as long as ours others take."""
    if OURS not in done or BLOCKED not in done:
        return []
    said = [_compared(done, name) for name in (BLOCKED, "faiss Flat", "semhash") if name in done]
    for least in (0.998, 0.9998, 1.0):
        able = [name for name in IVF if name in done and (_recall(done[name], done[BLOCKED].keys) or 0) >= least]
        if able:
            best = min(able, key=lambda name: statistics.median(done[name].wall))
            said.append(f"{_compared(done, best)} (the fastest IVF here with recall >= {least})")
    return said


def _compared(done: dict[str, Measured], name: str) -> str:
    wall, cpu = _ratio(done[name].wall, done[OURS].wall), _ratio(done[name].cpu, done[OURS].cpu)
    return f"{name}: {wall:.2f}x our time, {cpu:.2f}x our CPU"


def check(n: int, thresholds: Sequence[float] = CHECKED_AT, threads: int | None = None) -> list[str]:
    """What is wrong with our pairs at these thresholds, compared with float64 products of all rows."""
    unit = vectors(n)
    exact, cosine = _float64_pairs(unit, min(thresholds) - UNSURE)
    wrong = []
    for t in thresholds:
        found = similar_pairs(unit, t, Progress(), threads=threads)
        keys = found.i.astype(np.int64) * n + found.j
        missed = np.setdiff1d(exact[cosine >= t + UNSURE], keys)
        added = np.setdiff1d(keys, exact[cosine >= t - UNSURE])
        print(f"{n:,} at {t:.2f}: {len(keys):,} pairs; {len(missed)} missed, {len(added)} too many")
        wrong += [f"{n} at {t}"] if len(missed) or len(added) or found.nearest is not None else []
    return wrong


def _float64_pairs(unit: Floats, floor: float, block: int = 512) -> tuple[Keys, np.ndarray]:
    """All pairs, by sorted key, with their cosine."""
    wide, n = unit.astype(np.float64), len(unit)
    keys, cosines = [], []
    for top in range(0, n, block):
        product = wide[top : top + block] @ wide[top:].T
        i, j = np.nonzero(np.triu(product >= floor, 1))
        keys.append((i + top) * n + j + top)
        cosines.append(product[i, j])
    return np.concatenate(keys), np.concatenate(cosines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--t", type=float, default=0.9)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", help=f"some of: {', '.join(METHODS)}; 'faiss IVF' stands for all of its settings")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--keys", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.n, given.t, given.threads, given.keys)
        return 0
    if given.check:
        wrong = check(given.n, threads=given.threads)
        print(f"WRONG: {'; '.join(wrong)}" if wrong else "Exactly the pairs of the float64 product.")
        return 1 if wrong else 0
    wanted = [name.strip() for name in given.only.split(",")] if given.only else list(METHODS)
    names = [name for name in METHODS if any(name == one or (one == "faiss IVF" and name in IVF) for one in wanted)]
    done, failed = measure(names, given.n, given.t, given.threads, given.repeat)
    source = "real vectors" if VECTORS.exists() else "RANDOM vectors"
    title = f"{given.n:,} {source}, t = {given.t}, {given.threads} threads"
    console = Console(width=150)
    console.print(table(done, title))
    for line in (*verdicts(done), *(f"NOT RUN - {reason}" for reason in failed)):
        console.print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
