"""From snapshots to an `Analysis`: which memories say the same thing, how surely, and which contradict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memdefrag.analysis.candidates import candidates
from memdefrag.analysis.groups import merge_sequence
from memdefrag.analysis.nodes import Nodes, taking_part
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.result import Analysis
from memdefrag.analysis.scored import scored_pairs
from memdefrag.base.progress import Progress
from memdefrag.model.records import Snapshot


def analyze(
    snapshots: Sequence[Snapshot], options: AnalysisOptions | None = None, progress: Progress | None = None
) -> Analysis:
    """Find what says the same thing in one or several stores.

    Live records with a text or a vector take part. Texts that normalise to the same are one from the start.
    Vectors are compared within one dimension and model; records without one take part by their text. Records of
    different owners are never compared.

    Raises:
        Cancelled: at any time; nothing is left behind.
    """
    options, progress = options or AnalysisOptions(), progress or Progress()
    participants = taking_part(snapshots)
    records = tuple(record for record, _, _ in participants)
    nodes = Nodes(participants, options, progress)
    i, j, cosine, nearest = candidates(nodes, options, progress)
    scored = scored_pairs(nodes, i, j, cosine, progress)
    progress.phase("Grouping")
    usable = ~scored.barred
    sequence = merge_sequence(len(nodes.texts), scored.i[usable], scored.j[usable], scored.score[usable])
    return Analysis(
        records=records,
        stores=tuple(snapshot.address for snapshot in snapshots),
        store=np.array([store for _, store, _ in participants], np.int32),
        node=nodes.of_record,
        pairs=scored,
        sequence=sequence,
        options=options,
        nearest=nearest,
    )
