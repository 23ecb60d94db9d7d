"""All pairs against the bare matrix products of the same blocks, and the slider: `python -m tests.bench.pairs_floor`.

Uses the real vectors in ../shared/bench beside the repository where present, else random ones.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--floor", type=float, default=0.85)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    unit = vectors(arguments.records)
    bare, full = [], []
    with threadpool_limits(arguments.threads):
        # Interleaved, so that other work on the machine slows both.
        for _ in range(arguments.repeat):
            bare.append(timed(lambda: bare_products(unit)))
            full.append(timed(lambda: similar_pairs(unit, arguments.floor, Progress())))
        ratios = [ours / products for ours, products in zip(full, bare, strict=True)]
        found = similar_pairs(unit, arguments.floor, Progress())
    print(f"{len(unit)} x {unit.shape[1]}, {arguments.threads} thread(s), floor {arguments.floor}: {len(found)} pairs")
    print(f"bare products {statistics.median(bare):.2f} s, all pairs {statistics.median(full):.2f} s")
    print(f"ratio {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")
    slider()


def slider() -> None:
    random = np.random.default_rng(0)
    i = random.integers(0, SLIDER_RECORDS - 30, SLIDER_PAIRS)
    ends = np.unique(np.stack([i, i + random.integers(1, 30, SLIDER_PAIRS)]), axis=1).astype(np.int32)
    score = random.uniform(0.7, 1, ends.shape[1]).astype(np.float32)
    start = time.perf_counter()
    sequence = merge_sequence(SLIDER_RECORDS, ends[0], ends[1], score)
    built = time.perf_counter() - start
    times = [timed(lambda t=t: sequence.at(t).labels) for t in np.linspace(0.7, 1, 20)]
    print(f"{SLIDER_RECORDS} records, {ends.shape[1]} pairs: sequence {built:.2f} s, "
          f"threshold {1000 * statistics.median(times):.1f} ms (at most {1000 * max(times):.1f})")


if __name__ == "__main__":
    main()
