"""The scored pairs of all nodes, of which only those of new nodes are looked for where the others are known.

What makes this exact: whether a pair is a candidate, and how it is scored, depends on its two nodes alone
(`pair_cache.identities`), unless there are so many pairs that some are left out (`KnownPairs.whole`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.candidates import candidates
from memdefrag.analysis.nodes import Nodes
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.pair_cache import KnownPairs, PairCache, identities, name_of
from memdefrag.analysis.pairs import PAIR_LIMIT
from memdefrag.analysis.scored import ScoredPairs, scored_pairs
from memdefrag.base.progress import Progress


def all_pairs(
    nodes: Nodes, stores: Sequence[str], options: AnalysisOptions, progress: Progress, cache: PairCache | None
) -> KnownPairs:
    """What a search for all pairs finds, from the cache as far as it goes; what is new is kept there.

    Raises:
        Cancelled: at any time; what was found so far is not kept.
    """
    if cache is None:
        return _of_all(nodes, options, progress, [])
    name, names = name_of(stores, options), identities(nodes)
    before = cache.find(name)
    if before and before.nodes == names:
        return before
    found = _with_known(before, nodes, names, options, progress) if before and before.whole else None
    found = found or _of_all(nodes, options, progress, names)
    if not (before and before.whole and set(names) <= set(before.nodes)):
        cache.keep(name, found)
    return found


def _of_all(nodes: Nodes, options: AnalysisOptions, progress: Progress, names: Sequence[bytes]) -> KnownPairs:
    found = candidates(nodes, options, progress)
    scored = scored_pairs(nodes, found.i, found.j, found.cosine, progress)
    return KnownPairs(names, scored, len(found.i), found.nearest, found.whole)


def _with_known(
    before: KnownPairs, nodes: Nodes, names: Sequence[bytes], options: AnalysisOptions, progress: Progress
) -> KnownPairs | None:
    """The known pairs of nodes that are still there, and those of the others; None where these are too many."""
    place = {name: node for node, name in enumerate(names)}
    now = np.array([place.get(name, -1) for name in before.nodes], np.int32)
    fresh = np.ones(len(names), np.bool_)
    fresh[now[now >= 0]] = False
    found = candidates(nodes, options, progress, fresh)
    count = before.candidates + len(found.i)
    if not found.whole or count > PAIR_LIMIT:
        return None
    scored = scored_pairs(nodes, found.i, found.j, found.cosine, progress)
    return KnownPairs(names, _joined(_renamed(before.pairs, now), scored), count, None, True)


def _renamed(pairs: ScoredPairs, now: npt.NDArray[np.int32]) -> ScoredPairs:
    """The pairs whose nodes still are there, by their present numbers."""
    one, other = now[pairs.i], now[pairs.j]
    kept = (one >= 0) & (other >= 0)
    columns = {column.name: getattr(pairs, column.name)[kept] for column in fields(ScoredPairs)}
    one, other = one[kept], other[kept]
    return ScoredPairs(**columns | {"i": np.minimum(one, other), "j": np.maximum(one, other)})


def _joined(known: ScoredPairs, new: ScoredPairs) -> ScoredPairs:
    i, j = np.concatenate((known.i, new.i)), np.concatenate((known.j, new.j))
    order = np.lexsort((j, i))
    columns = (column.name for column in fields(ScoredPairs))
    return ScoredPairs(**{name: np.concatenate((getattr(known, name), getattr(new, name)))[order] for name in columns})
