"""The scored pairs of all nodes, of which only those of new nodes are looked for where the others are known.

What makes this exact: whether a pair is a candidate, and how it is scored, depends on its two nodes alone
(`pair_cache.identities`), unless there are so many pairs that some are left out (`KnownPairs.whole`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from memdefrag.analysis.bars import selected
from memdefrag.analysis.candidates import candidates
from memdefrag.analysis.nodes import Nodes
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.pair_cache import KnownPairs, PairCache, identities, name_of
from memdefrag.analysis.scored import ScoredPairs, scored_pairs
from memdefrag.analysis.similarity.pairs import Ints
from memdefrag.base.progress import Progress

FEWEST = 500
"""Fewer nodes are compared in less than a tenth of a second; nothing is kept of them."""


def all_pairs(
    nodes: Nodes, stores: Sequence[str], options: AnalysisOptions, progress: Progress, cache: PairCache | None
) -> KnownPairs:
    """What a search for all pairs finds, from the cache as far as it goes; what is new is kept there.

    Raises:
        Cancelled: at any time; what was found so far is not kept.
    """
    if cache is None or len(nodes.texts) < FEWEST or options.against is not None:
        # Of stores that are compared with one not all pairs are looked for; what is left out must not count as known.
        return _of_all(nodes, options, progress, [])
    name, names = name_of(stores, options), identities(nodes)
    before = cache.find(name)
    if before and before.nodes == names:
        return before
    found = _with_known(before, nodes, names, options, progress) if before and before.whole else None
    if found is None:
        found = _of_all(nodes, options, progress, names)
    elif before and set(names) <= set(before.nodes):
        # What is kept knows all of this and more, of which the next analysis may be.
        return found
    cache.keep(name, found)
    return found


def _of_all(nodes: Nodes, options: AnalysisOptions, progress: Progress, names: Sequence[bytes]) -> KnownPairs:
    outside = np.array([marks.store != options.against for marks in nodes.marks], np.bool_)
    found = candidates(nodes, options, progress, None if options.against is None else outside)
    scored = scored_pairs(nodes, found.i, found.j, found.cosine, progress)
    return KnownPairs(names, scored, found.nearest, found.crowd, found.whole, found.counts)


def _with_known(
    before: KnownPairs, nodes: Nodes, names: Sequence[bytes], options: AnalysisOptions, progress: Progress
) -> KnownPairs | None:
    """The known pairs of nodes that are still there, and all others; None where these are too many to be told alone."""
    now = _places(before.nodes, names)
    fresh = np.ones(len(names), np.bool_)
    fresh[now[now >= 0]] = False
    found = candidates(nodes, options, progress, fresh, before.counts)
    if not found.whole:
        return None
    scored = scored_pairs(nodes, found.i, found.j, found.cosine, progress)
    return KnownPairs(names, _joined(_renamed(before.pairs, now), scored), None, None, True, found.counts)


def _places(before: Sequence[bytes], names: Sequence[bytes]) -> Ints:
    """Where each of the nodes of before stands now; -1: nowhere."""
    place = {name: node for node, name in enumerate(names)}
    return np.array([place.get(name, -1) for name in before], np.int32)


def _renamed(pairs: ScoredPairs, now: Ints) -> ScoredPairs:
    """The pairs whose nodes still are there, by their present numbers."""
    kept = selected(pairs, (now[pairs.i] >= 0) & (now[pairs.j] >= 0))
    one, other = now[kept.i], now[kept.j]
    return replace(kept, i=np.minimum(one, other), j=np.maximum(one, other))


def _joined(known: ScoredPairs, new: ScoredPairs) -> ScoredPairs:
    names = [column.name for column in fields(ScoredPairs)]
    both = ScoredPairs(**{name: np.concatenate((getattr(known, name), getattr(new, name))) for name in names})
    return selected(both, np.lexsort((both.j, both.i)).astype(np.int32))
