"""Groups of many memories, and a move of the threshold: `python -m tests.bench.groups [--n 50000]`.

Uses the real vectors in ../shared/bench beside the repository where present, else random ones, and a noisy copy of
each (cosine about .93), so that most have exactly one partner. The cosine stands for the score.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

from memdefrag.analysis.groups import Grouping, MergeSequence, merge_sequence
from memdefrag.analysis.similarity.pairs import Floats, Ints, Pairs, similar_pairs, unit_rows
from memdefrag.base.progress import Progress
from memdefrag.base.settings import CANDIDATE_COSINE
from tests.bench.pairs import vectors
from tests.bench.slider import timed

NOISE = 0.395
"""Length of what is added to a unit vector; the cosine is then 1 / √(1 + NOISE²)."""
STEPS = 20


def with_copies(unit: Floats) -> Floats:
    added = np.random.default_rng(0).normal(0, NOISE / np.sqrt(unit.shape[1]), unit.shape)
    return np.concatenate((unit, unit_rows(unit + added.astype(np.float32))[0]))


def least_to_survivor(pairs: Pairs, grouping: Grouping) -> float:
    """The lowest cosine of a removed thing with the first of its group; 0 where the two are no pair."""
    cosines = dict(zip(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True), pairs.cosine.tolist(), strict=True))
    kept_and_gone = (
        (group[0], other) for group in grouping if len(group) > 1 for other in group[1:].tolist()
    )
    return min((cosines.get((min(pair), max(pair)), 0.0) for pair in kept_and_gone), default=1.0)


def labels(sequence: MergeSequence, threshold: float) -> Ints:
    return sequence.at(threshold).labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000, help="memories that get one copy each")
    unit = with_copies(vectors(parser.parse_args().n))
    n, pairs = len(unit), similar_pairs(unit, CANDIDATE_COSINE, Progress())
    del unit
    built = min(timed(lambda: merge_sequence(n, pairs.i, pairs.j, pairs.cosine)) for _ in range(3))
    sequence = merge_sequence(n, pairs.i, pairs.j, pairs.cosine)
    moves = [timed(partial(labels, sequence, t)) for t in np.linspace(CANDIDATE_COSINE, 1, STEPS).tolist()]
    table = Table("What", "Measured", "Wanted")
    table.add_row(f"Groups of {n:,} memories, {len(pairs):,} pairs >= {CANDIDATE_COSINE}", f"{built:.2f} s", "1 s")
    table.add_row(f"Move of the threshold, slowest of {STEPS}", f"{1000 * max(moves):.1f} ms", "50 ms")
    for threshold in (CANDIDATE_COSINE, 0.85, 0.9):
        least = least_to_survivor(pairs, sequence.at(threshold))
        table.add_row(f"Least cosine with the one that stays, at {threshold}", f"{least:.4f}", f">= {threshold}")
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
