"""All pairs against the bare matrix products of the same blocks, and the slider: `python -m tests.bench.pairs_floor`.

Uses the real vectors in ../shared/bench beside the repository where present, else random ones.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from memdefrag.analysis.groups import merge_sequence
from memdefrag.analysis.pairs import BLOCK, Floats, similar_pairs, unit_rows
from memdefrag.base.progress import Progress

VECTORS = Path(__file__).resolve().parents[2] / "../shared/bench/real_vectors_50k.f16.npy"
SLIDER_RECORDS = 100_000
SLIDER_PAIRS = 300_000


def vectors(n: int) -> Floats:
    if VECTORS.exists():
        return unit_rows(np.load(VECTORS)[:n].astype(np.float32))[0]
    return unit_rows(np.random.default_rng(0).normal(size=(n, 384)).astype(np.float32))[0]


def bare_products(unit: Floats) -> None:
    for top in range(0, len(unit), BLOCK):
        for left in range(top, len(unit), BLOCK):
            unit[top : top + BLOCK] @ unit[left : left + BLOCK].T


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class Compared:
    """Median seconds of the bare products and of the whole search, the median of their ratios, and the pairs."""

    bare: float
    full: float
    ratio: float
    pairs: int


def compare(unit: Floats, floor: float, threads: int, repeat: int) -> Compared:
    """Measure both in turn, so that other work on the machine slows both."""
    bare, full = [], []
    with threadpool_limits(threads):
        for _ in range(repeat):
            bare.append(timed(lambda: bare_products(unit)))
            full.append(timed(lambda: similar_pairs(unit, floor, Progress())))
        found = len(similar_pairs(unit, floor, Progress()))
    ratios = [ours / products for ours, products in zip(full, bare, strict=True)]
    return Compared(statistics.median(bare), statistics.median(full), statistics.median(ratios), found)


def slider(records: int = SLIDER_RECORDS, count: int = SLIDER_PAIRS) -> tuple[float, float]:
    """Seconds to build the merge sequence, and the slowest of 20 threshold changes, in seconds."""
    random = np.random.default_rng(0)
    i = random.integers(0, records - 30, count)
    ends = np.unique(np.stack([i, i + random.integers(1, 30, count)]), axis=1).astype(np.int32)
    score = random.uniform(0.7, 1, ends.shape[1]).astype(np.float32)
    start = time.perf_counter()
    sequence = merge_sequence(records, ends[0], ends[1], score)
    built = time.perf_counter() - start
    return built, max(timed(lambda t=t: sequence.at(t).labels) for t in np.linspace(0.7, 1, 20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--floor", type=float, default=0.85)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    found = compare(vectors(given.records), given.floor, given.threads, given.repeat)
    print(f"{given.records} records, {given.threads} thread(s), floor {given.floor}: {found.pairs} pairs")
    print(f"bare products {found.bare:.2f} s, all pairs {found.full:.2f} s, ratio {found.ratio:.2f}")
    built, slowest = slider()
    print(f"{SLIDER_RECORDS} records: sequence {built:.2f} s, threshold at most {1000 * slowest:.1f} ms")


if __name__ == "__main__":
    main()
