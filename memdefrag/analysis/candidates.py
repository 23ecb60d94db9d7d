"""Which pairs of nodes are worth a closer look."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from memdefrag.analysis import fuzzy, pairs
from memdefrag.analysis.groups import Flags
from memdefrag.analysis.nodes import Nodes
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.pairs import Floats, Ints, Pairs
from memdefrag.base.progress import Progress

FAMILY = 300
"""Texts that differ only in what is wrapped around them are compared with each other, up to so many at once."""


class Candidates(NamedTuple):
    """Pairs of nodes ``i < j`` worth scoring, sorted by (i, j), each once.

    Attributes:
        cosine: NaN where vectors did not find the pair.
        nearest: whether only the nearest were kept (`Pairs.nearest`).
        whole: whether none was left out because there are so many.
    """

    i: Ints
    j: Ints
    cosine: Floats
    nearest: int | None
    whole: bool


def candidates(nodes: Nodes, options: AnalysisOptions, progress: Progress, fresh: Flags | None = None) -> Candidates:
    """Find what is worth scoring.

    Args:
        fresh: per node; where given, only pairs with at least one fresh node are found. Apart from that, whether a
            pair is found must depend on its two nodes alone: other pairs are known from earlier (see `incremental`).

    Raises:
        Cancelled: at any time.
    """
    fresh = np.ones(len(nodes.texts), np.bool_) if fresh is None else fresh
    if not fresh.any():
        return Candidates(*_once([_pairs([])]), None, True)
    alike, whole = _equal_but_for_wrapping(nodes)
    found = [alike]
    if not options.equal_only:
        with_vector = np.zeros(len(nodes.texts), np.bool_)
        found += _by_vectors(nodes, options, progress, fresh, with_vector)
        found += _by_text(nodes, progress, fresh, with_vector)
    nearest = min((near.nearest for near in found if near.nearest is not None), default=None)
    i, j, cosine = _once(found)
    new = fresh[i] | fresh[j]
    return Candidates(i[new], j[new], cosine[new], nearest, whole and nearest is None)


def _by_vectors(
    nodes: Nodes, options: AnalysisOptions, progress: Progress, fresh: Flags, with_vector: Flags
) -> Iterator[Pairs]:
    """Pairs of similar vectors; marks the nodes that have a vector with a direction."""
    for vectors in nodes.vectors.values():
        for each in nodes.parts(list(vectors)):
            unit, valid = pairs.unit_rows(np.stack([vectors[node] for node in each]))
            part = np.array(each, np.int32)
            if not valid.all():
                unit, part = unit[valid], part[valid]
            with_vector[part] = True
            if fresh[part].all():
                yield pairs.similar_pairs(unit, options.floor, progress).renamed(part)
            elif fresh[part].any():
                yield pairs.similar_pairs(unit, options.floor, progress, fresh=fresh[part]).renamed(part)


def _by_text(nodes: Nodes, progress: Progress, fresh: Flags, with_vector: Flags) -> Iterator[Pairs]:
    """Pairs of similar texts of which one at least has no vector; their cosine is not known."""
    spoken = np.array([bool(text) for text in nodes.texts], np.bool_)
    for each in nodes.parts(np.flatnonzero(spoken).tolist()):
        part = np.array(each, np.int32)
        new, bare = fresh[part], ~with_vector[part]
        yield _similar(nodes, part[new & bare], part[~(new & bare)], progress)
        # Of those with a vector, what is new has still to be compared with what was without one before.
        yield _similar(nodes, part[~new & bare], part[new & ~bare], progress, within=False)


def _similar(nodes: Nodes, texts: Ints, others: Ints, progress: Progress, *, within: bool = True) -> Pairs:
    """The similar texts between two sets of nodes, and (if wanted) within the first."""
    if not len(texts) or not (within or len(others)):
        return _pairs([])
    ours, theirs = ([nodes.plain[node] for node in some.tolist()] for some in (texts, others))
    near = fuzzy.similar_texts(ours, theirs, progress)
    kept = slice(None) if within else near.j >= len(texts)
    named = Pairs(near.i[kept], near.j[kept], np.full_like(near.cosine[kept], np.nan), near.nearest)
    return named.renamed(np.concatenate((texts, others)))


def _equal_but_for_wrapping(nodes: Nodes) -> tuple[Pairs, bool]:
    """Texts that differ only in stamps and wrappers, and whether these are all pairs of them.

    All pairs, so that the texts can be one group; of a very large family the first, the next and so on `FAMILY` each
    among themselves: such groups become one when they have become few enough.
    """
    alike: dict[object, list[int]] = {}
    for node, (part, plain) in enumerate(zip(nodes.part, nodes.plain, strict=True)):
        if plain:
            alike.setdefault((part, plain), []).append(node)
    linked: list[tuple[int, int]] = []
    for family in alike.values():
        for start in range(0, len(family), FAMILY):
            linked += combinations(family[start : start + FAMILY], 2)
    return _pairs(linked), all(len(family) <= FAMILY for family in alike.values())


def _pairs(linked: list[tuple[int, int]]) -> Pairs:
    i, j = np.array(linked, np.int32).reshape(-1, 2).T
    return Pairs(i, j, np.full(len(i), np.nan, np.float32))


def _once(found: list[Pairs]) -> tuple[Ints, Ints, Floats]:
    """All pairs sorted by (i, j), each once, with its highest cosine."""
    i, j, cosine = (np.concatenate([getattr(near, name) for near in found]) for name in ("i", "j", "cosine"))
    order = np.lexsort((np.nan_to_num(-cosine, nan=np.inf), j, i))
    i, j, cosine = i[order], j[order], cosine[order]
    new = np.ones(len(i), np.bool_)
    new[1:] = (i[1:] != i[:-1]) | (j[1:] != j[:-1])
    return i[new], j[new], cosine[new]
