"""What a move of the threshold costs among so many records and pairs, without presenter or window."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from memdefrag.analysis.groups import merge_sequence


def measure(records: int, count: int) -> tuple[float, float]:
    """Seconds to build the merge sequence, and the slowest of 20 threshold changes, in seconds."""
    random = np.random.default_rng(0)
    i = random.integers(0, records - 30, count)
    ends = np.unique(np.stack([i, i + random.integers(1, 30, count)]), axis=1).astype(np.int32)
    score = random.uniform(0.7, 1, ends.shape[1]).astype(np.float32)
    start = time.perf_counter()
    sequence = merge_sequence(records, ends[0], ends[1], score)
    built = time.perf_counter() - start
    return built, max(timed(lambda t=t: sequence.at(t).labels) for t in np.linspace(0.7, 1, 20))


def timed(work: Callable[[], object]) -> float:
    """Seconds by the clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
