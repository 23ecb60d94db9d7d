"""From snapshots to an `Analysis`: which memories say the same thing, how surely, and which contradict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memdefrag.analysis.bars import allowed
from memdefrag.analysis.groups import merge_sequence
from memdefrag.analysis.incremental import all_pairs
from memdefrag.analysis.methods import by_method
from memdefrag.analysis.nodes import Nodes, taking_part
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.pair_cache import PairCache
from memdefrag.analysis.result import Analysis
from memdefrag.base.progress import Progress
from memdefrag.model.records import Snapshot


def analyze(
    snapshots: Sequence[Snapshot],
    options: AnalysisOptions | None = None,
    progress: Progress | None = None,
    cache: PairCache | None = None,
) -> Analysis:
    """Find what says the same thing in one or several stores.

    Live records in scope with a text or a vector take part. Texts that normalise to the same are one from the start.
    Vectors are compared within one dimension and model; records without one, and those of different models with each
    other, take part by their text. Records of different owners are never compared.

    Args:
        cache: where scored pairs are kept from one time to the next: what is known is not looked for again. The result
            is the same without.

    Raises:
        Cancelled: at any time; nothing is left behind.
    """
    options, progress = options or AnalysisOptions(), progress or Progress()
    participants = taking_part(snapshots, options)
    records = tuple(record for record, _, _ in participants)
    stores = tuple(snapshot.address for snapshot in snapshots)
    nodes = Nodes(participants, options, progress)
    found = all_pairs(nodes, stores, options, progress, cache)
    pairs = allowed(nodes, found.pairs, options)
    progress.phase("Grouping")
    sequence = merge_sequence(len(nodes.texts), pairs.i, pairs.j, pairs.score, pairs.barred)
    combined = Analysis(
        records=records,
        stores=stores,
        store=np.array([store for _, store, _ in participants], np.int32),
        node=nodes.of_record,
        pairs=pairs,
        sequence=sequence,
        options=options,
        nearest=found.nearest,
        crowd=found.crowd,
        capabilities=tuple(snapshot.capabilities for snapshot in snapshots),
    )
    return by_method(combined, options.method, progress)
