"""What the proof that searches lose nothing costs: time, and memory beyond the store's own.

    python -m tests.bench.search_proof [--n 30000] [--merges 1500] [--members 2] [--vectors FILE.npy]

Without a file the vectors are made: 384 numbers, alike in clusters. Members of a merge are noisy copies of its survivor
(cosine about .93), so that none is spared the search. Wanted: seconds at 30,000 memories and 1,500 merges; 100,000
memories and 10,000 queries (--n 100000 --merges 2500 --members 4) in a few hundred megabytes.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.merge import mean_vector
from memdefrag.base.progress import Progress
from memdefrag.engine.search_proof import ProofOptions, prove
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot

Floats = npt.NDArray[np.float32]
NOISE = 0.02


def made(n: int, rng: np.random.Generator, dimension: int = 384) -> Floats:
    """Unit vectors around one direction for every twenty of them."""
    centres = rng.normal(size=(max(1, n // 20), dimension))
    found = centres[rng.integers(len(centres), size=n)] + rng.normal(size=(n, dimension))
    return np.asarray(found / np.linalg.norm(found, axis=1)[:, None], np.float32)


def with_copies(vectors: Floats, groups: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """The vectors, those of a group being noisy copies of its first."""
    copies = vectors[groups[:, :1]] + rng.normal(scale=NOISE, size=(*groups[:, 1:].shape, vectors.shape[1]))
    vectors[groups[:, 1:]] = copies / np.linalg.norm(copies, axis=2, keepdims=True)
    return vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=30_000)
    parser.add_argument("--merges", type=int, default=1_500)
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--vectors", type=Path)
    asked = parser.parse_args()
    rng = np.random.default_rng(1)
    vectors = np.load(asked.vectors)[: asked.n].astype(np.float32) if asked.vectors else made(asked.n, rng)
    groups = rng.permutation(len(vectors))[: asked.merges * asked.members].reshape(asked.merges, asked.members)
    vectors = with_copies(vectors, groups, rng)
    records = [MemoryRecord(Key("c", f"{n:06}"), f"Note {n}", {}, vector) for n, vector in enumerate(vectors)]
    before = Snapshot("bench", (CollectionInfo("c", 0, 0, 0),), tuple(records))
    puts = (
        Put(replace(records[group[0]], embedding=mean_vector([vectors[n] for n in group], "cosine")), "")
        for group in groups
    )
    changes = Changes(tuple(puts), tuple(Ref(records[n].key, "") for n in groups[:, 1:].ravel()))
    units = [tuple(records[n].key for n in group) for group in groups]
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, used = time.perf_counter(), time.process_time()
    found = prove(before, changes, units, ProofOptions(), Progress())
    wall, cpu = time.perf_counter() - started, time.process_time() - used
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held) / 1024
    assert found
    print(
        f"{len(vectors):,} memories, {found.queries:,} queries: {wall:.1f} s, {cpu:.1f} s of CPU, {more:.0f} MB more; "
        f"recall@1 {found.at_1:.4f}, @{found.k} {found.at_k:.4f}"
    )


if __name__ == "__main__":
    main()
