"""Which pairs of nodes are worth a closer look."""

from __future__ import annotations

import numpy as np

from memdefrag.analysis import fuzzy, pairs
from memdefrag.analysis.nodes import Nodes
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.pairs import Floats, Ints
from memdefrag.base.progress import Progress

_FAMILY = 30


def candidates(
    nodes: Nodes, options: AnalysisOptions, progress: Progress
) -> tuple[Ints, Ints, Floats, int | None]:
    """Every pair worth scoring, sorted, each once; the cosine is NaN where vectors did not find it. And whether only
    the nearest were kept (`Pairs.nearest`).
    """
    found = [_equal_but_for_wrapping(nodes)]
    nearest: list[int] = []
    with_vector: set[int] = set()
    for vectors in nodes.vectors.values():
        for part in nodes.parts(list(vectors)):
            unit, valid = pairs.unit_rows(np.stack([vectors[node] for node in part]))
            if not valid.all():
                unit, part = unit[valid], [node for node, usable in zip(part, valid.tolist(), strict=True) if usable]
            with_vector.update(part)
            near = pairs.similar_pairs(unit, options.floor, progress)
            found.append((*_as_nodes(part, near.i, near.j), near.cosine))
            nearest += [] if near.nearest is None else [near.nearest]
    for part in nodes.parts(range(len(nodes.texts))):
        bare = [node for node in part if node not in with_vector and nodes.texts[node]]
        others = [node for node in part if node in with_vector and nodes.texts[node]]
        if bare:
            near = fuzzy.similar_texts([nodes.plain[k] for k in bare], [nodes.plain[k] for k in others], progress)
            found.append((*_as_nodes(bare + others, near.i, near.j), np.full(len(near), np.nan, np.float32)))
            nearest += [] if near.nearest is None else [near.nearest]
    return *_once(found), min(nearest, default=None)


def _as_nodes(numbers: list[int], i: Ints, j: Ints) -> tuple[Ints, Ints]:
    table = np.array(numbers, np.int32)
    one, other = table[i], table[j]
    return np.minimum(one, other), np.maximum(one, other)


def _equal_but_for_wrapping(nodes: Nodes) -> tuple[Ints, Ints, Floats]:
    """Texts that differ only in stamps and wrappers: all pairs of few, each of many with the first."""
    alike: dict[object, list[int]] = {}
    for node, (part, plain) in enumerate(zip(nodes.part, nodes.plain, strict=True)):
        if plain:
            alike.setdefault((part, plain), []).append(node)
    linked = []
    for family in alike.values():
        few = len(family) <= _FAMILY
        linked += [(one, other) for k, one in enumerate(family if few else family[:1]) for other in family[k + 1 :]]
    i, j = np.array(linked, np.int32).reshape(-1, 2).T
    return i, j, np.full(len(i), np.nan, np.float32)


def _once(found: list[tuple[Ints, Ints, Floats]]) -> tuple[Ints, Ints, Floats]:
    """All pairs sorted by (i, j), each once, with its highest cosine."""
    i, j, cosine = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((np.nan_to_num(-cosine, nan=np.inf), j, i))
    i, j, cosine = i[order], j[order], cosine[order]
    new = np.ones(len(i), np.bool_)
    new[1:] = (i[1:] != i[:-1]) | (j[1:] != j[:-1])
    return i[new], j[new], cosine[new]
