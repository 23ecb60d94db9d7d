"""Which pairs of nodes are worth a closer look."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from memdefrag.analysis.embedding import long_texts
from memdefrag.analysis.groups import Flags
from memdefrag.analysis.nodes import Nodes
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.similarity import fuzzy, pairs
from memdefrag.analysis.similarity.collect import Crowd
from memdefrag.analysis.similarity.pairs import Floats, Ints, Pairs
from memdefrag.base.progress import Progress

FAMILY = 300
"""Texts that differ only in what is wrapped around them are compared with each other, up to so many at once."""
SAME_SPELLING = 95.0
"""Texts are looked at from this `fuzz.ratio` (0-100) up even where their vectors are not alike: a slip of the pen can
move a vector far."""


class Candidates(NamedTuple):
    """Pairs of nodes ``i < j`` worth scoring, sorted by (i, j), each once.

    Attributes:
        cosine: NaN where no vectors can be compared, or need be.
        nearest: whether only the nearest were kept (`Pairs.nearest`), and `crowd`: because of which nodes.
        whole: whether none was left out because there are so many.
        counts: by the name of each search how many pairs it found, with those that were known before.
    """

    i: Ints
    j: Ints
    cosine: Floats
    nearest: int | None
    crowd: Crowd | None
    whole: bool
    counts: dict[str, int]


class _Found(NamedTuple):
    """What one search found; `kept`: how many pairs it had to keep for that; `whole`: see `Candidates`."""

    pairs: Pairs
    search: str = ""
    kept: int = 0
    whole: bool = True


def candidates(
    nodes: Nodes,
    options: AnalysisOptions,
    progress: Progress,
    fresh: Flags | None = None,
    before: Mapping[str, int] | None = None,
) -> Candidates:
    """Find what is worth scoring.

    Args:
        fresh: per node; where given, only pairs with at least one fresh node are found. Apart from that, whether a
            pair is found must depend on its two nodes alone: other pairs are known from earlier (see `incremental`).
        before: the counts of the searches that found those. Where they and what is new are more than one search for
            all would keep, the result is not whole.

    Raises:
        Cancelled: at any time.
    """
    fresh = np.ones(len(nodes.texts), np.bool_) if fresh is None else fresh
    before = before or {}
    found = [_equal_but_for_wrapping(nodes)]
    if not options.equal_only:
        with_vector = np.zeros(len(nodes.texts), np.bool_)
        found += _by_vectors(nodes, options, progress, fresh, before, with_vector)
        found += _by_text(nodes, progress, fresh, before, with_vector)
        found += _across_spaces(nodes, progress, fresh, before)
    nearest = min((each.pairs.nearest for each in found if each.pairs.nearest is not None), default=None)
    crowds = [each.pairs.crowd for each in found if each.pairs.crowd is not None]
    counts = Counter(before)
    for each in found:
        counts[each.search] += each.kept
    i, j, cosine = _once([each.pairs for each in found])
    _fill_in(nodes, i, j, cosine)
    new = fresh[i] | fresh[j]
    crowd = max(crowds, key=lambda crowd: crowd.alike, default=None)
    whole = nearest is None and all(each.whole for each in found)
    return Candidates(i[new], j[new], cosine[new], nearest, crowd, whole, dict(counts))


def _by_vectors(
    nodes: Nodes,
    options: AnalysisOptions,
    progress: Progress,
    fresh: Flags,
    before: Mapping[str, int],
    with_vector: Flags,
) -> Iterator[_Found]:
    """Pairs of similar vectors; marks the nodes that have a vector with a direction."""
    for space, vectors in nodes.vectors.items():
        for each in nodes.parts(list(vectors)):
            unit, valid = pairs.unit_rows(np.vstack([vectors[node] for node in each]))
            part = np.repeat(np.array(each, np.int32), [np.atleast_2d(vectors[node]).shape[0] for node in each])
            if not valid.all():
                unit, part = unit[valid], part[valid]
            with_vector[part] = True
            search = _name(space, nodes.part[each[0]])
            room = pairs.PAIRS_PER_ROW * len(unit) - before.get(search, 0)
            if room <= 0 and search in before:
                # Where nodes went, what is left may be too much for so few.
                yield _Found(_pairs([]), whole=False)
            elif fresh[part].any():
                new = None if fresh[part].all() else fresh[part]
                near = pairs.similar_pairs(unit, options.floor, progress, fresh=new, limit=room)
                several = (part[1:] == part[:-1]).any()
                by_text = long_texts.by_text(near, unit, part, options.floor) if several else near.renamed(part)
                yield _Found(by_text, search, len(near))


def _by_text(
    nodes: Nodes, progress: Progress, fresh: Flags, before: Mapping[str, int], with_vector: Flags
) -> Iterator[_Found]:
    """Pairs of similar texts of which one at least has no vector, and of texts that are spelled all but alike, whatever
    their vectors say."""
    spoken = np.array([bool(text) for text in nodes.texts], np.bool_)
    for each in nodes.parts(np.flatnonzero(spoken).tolist()):
        part = np.array(each, np.int32)
        new, bare = fresh[part], ~with_vector[part]
        search = _name("text", nodes.part[each[0]])
        room = max(1, pairs.PAIR_LIMIT - before.get(search, 0))
        near = _similar(nodes, part[new & bare], part[~(new & bare)], progress, room)
        yield _Found(near, search, len(near))
        # Of those with a vector, what is new has still to be compared with what was without one before.
        near = _similar(nodes, part[new & ~bare], part[~new & bare], progress, room, within=False)
        yield _Found(near, search, len(near))
        search = _name("spelling", nodes.part[each[0]])
        room = max(1, pairs.PAIR_LIMIT - before.get(search, 0))
        near = _similar(nodes, part[new & ~bare], part[~new & ~bare], progress, room, cutoff=SAME_SPELLING)
        yield _Found(near, search, len(near))


def _across_spaces(
    nodes: Nodes, progress: Progress, fresh: Flags, before: Mapping[str, int]
) -> Iterator[_Found]:
    """Pairs of similar texts whose vectors cannot be compared, because other models made them."""
    spaces = sorted(nodes.vectors.items(), key=lambda each: repr(each[0]))
    for (space, ours), (other_space, theirs) in combinations(spaces, 2):
        of_part: dict[object, list[int]] = {}
        for node in theirs.keys() - ours.keys():
            of_part.setdefault(nodes.part[node], []).append(node)
        for each in nodes.parts([node for node in ours if node not in theirs and nodes.texts[node]]):
            part, others = np.array(each, np.int32), np.array(sorted(of_part.get(nodes.part[each[0]], ())), np.int32)
            search = _name(space, other_space, nodes.part[each[0]])
            room = max(1, pairs.PAIR_LIMIT - before.get(search, 0))
            for some, rest in ((part[fresh[part]], others), (part[~fresh[part]], others[fresh[others]])):
                # The first are compared with each other, too: the fewer, the better.
                few, many = sorted((some, rest), key=len)
                near = _similar(nodes, few, many, progress, room, within=False)
                yield _Found(near, search, len(near))


def _name(*search: object) -> str:
    return hashlib.blake2b(repr(search).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _similar(
    nodes: Nodes,
    texts: Ints,
    others: Ints,
    progress: Progress,
    room: int,
    *,
    within: bool = True,
    cutoff: float = fuzzy.SAME_TEXT,
) -> Pairs:
    """The similar texts between two sets of nodes, and (if wanted) within the first."""
    if not len(texts) or not (within or len(others)):
        return _pairs([])
    ours, theirs = ([nodes.plain[node] for node in some.tolist()] for some in (texts, others))
    near = fuzzy.similar_texts(ours, theirs, progress, limit=room, cutoff=cutoff)
    kept = slice(None) if within else near.j >= len(texts)
    unknown = np.full_like(near.cosine[kept], np.nan)
    named = replace(near, i=near.i[kept], j=near.j[kept], cosine=unknown)
    return named.renamed(np.concatenate((texts, others)))


def _equal_but_for_wrapping(nodes: Nodes) -> _Found:
    """Texts that differ only in stamps and wrappers.

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
    return _Found(_pairs(linked), whole=all(len(family) <= FAMILY for family in alike.values()))


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


def _fill_in(nodes: Nodes, i: Ints, j: Ints, cosine: Floats) -> None:
    """Give pairs that their texts brought together the cosine of their vectors, where these can be compared; but not
    where the texts are the same, whatever their vectors say."""
    for at in np.flatnonzero(np.isnan(cosine)).tolist():
        if nodes.plain[i[at]] == nodes.plain[j[at]]:
            continue
        for vectors in nodes.vectors.values():
            one, other = vectors.get(int(i[at])), vectors.get(int(j[at]))
            if one is not None and other is not None and one.ndim == other.ndim == 1:
                unit, valid = pairs.unit_rows(np.stack((one, other)))
                if valid.all():
                    cosine[at] = unit[0] @ unit[1]
