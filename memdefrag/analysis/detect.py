"""From snapshots to an `Analysis`: which memories say the same thing, how surely, and which contradict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from memdefrag.analysis import fuzzy, guard, pairs
from memdefrag.analysis.groups import merge_sequence
from memdefrag.analysis.pairs import Floats, Ints
from memdefrag.analysis.result import Analysis, AnalysisOptions, ScoredPairs
from memdefrag.analysis.score import LOWEST, SURE_SCORE, score
from memdefrag.analysis.words import Words, normalise, unwrap
from memdefrag.base.progress import Progress
from memdefrag.model.records import MemoryRecord, Snapshot, State, Vector

Space = tuple[int, str | None]
"""Dimension and model: only vectors of one space can be compared."""

_FAMILY = 30


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
    taking_part = _taking_part(snapshots)
    records = tuple(record for record, _, _ in taking_part)
    nodes = _Nodes(taking_part, options, progress)
    i, j, cosine, nearest = _candidates(nodes, options, progress)
    scored = _scored(nodes, i, j, cosine, progress)
    progress.phase("Grouping")
    usable = ~scored.barred
    sequence = merge_sequence(len(nodes.texts), scored.i[usable], scored.j[usable], scored.score[usable])
    return Analysis(
        records=records,
        stores=tuple(snapshot.address for snapshot in snapshots),
        store=np.array([store for _, store, _ in taking_part], np.int32),
        node=nodes.of_record,
        pairs=scored,
        sequence=sequence,
        options=options,
        nearest=nearest,
    )


def _taking_part(snapshots: Sequence[Snapshot]) -> list[tuple[MemoryRecord, int, str | None]]:
    """Records with the number of their store and the model of their vector."""
    found = []
    for number, snapshot in enumerate(snapshots):
        models = {info.name: info.model for info in snapshot.collections}
        found += [
            (record, number, models.get(record.key.collection))
            for record in snapshot
            if record.state is State.LIVE and (_says_something(record) or record.embedding is not None)
        ]
    return found


def _says_something(record: MemoryRecord) -> bool:
    return bool(record.text and record.text.strip())


class _Nodes:
    """Distinct texts: records whose normalised texts, owners (and collections, if asked) are equal are one node.

    Attributes:
        of_record: int32, the node of each record.
        texts: per node the text of its first record ("" where there is none).
        plain: per node the normalised text without stamps and wrappers.
        part: per node what it may be compared within: its owner, and its collection if asked.
        vectors: per space, the vector of each node that has one there.
    """

    def __init__(
        self, taking_part: list[tuple[MemoryRecord, int, str | None]], options: AnalysisOptions, progress: Progress
    ) -> None:
        numbers: dict[object, int] = {}
        of_record = []
        self.texts: list[str] = []
        self.part: list[object] = []
        self.vectors: dict[Space, dict[int, Vector]] = {}
        progress.phase("Reading texts", len(taking_part))
        for record, store, model in taking_part:
            part = (record.owner, None if options.across_collections else (store, record.key.collection))
            same = normalise(record.text) if record.text and _says_something(record) else (store, record.key)
            node = numbers.setdefault((part, same), len(numbers))
            if node == len(self.texts):
                self.texts.append(record.text or "")
                self.part.append(part)
            of_record.append(node)
            if record.embedding is not None and options.use_vectors:
                space = (len(record.embedding), model)
                self.vectors.setdefault(space, {}).setdefault(node, record.embedding)
            progress.step()
        self.of_record = np.array(of_record, np.int32)
        self.plain = [normalise(unwrap(text)) for text in self.texts]

    def parts(self, nodes: Sequence[int]) -> Iterator[list[int]]:
        """The nodes that may be compared with each other, in order."""
        by_part: dict[object, list[int]] = {}
        for node in nodes:
            by_part.setdefault(self.part[node], []).append(node)
        yield from by_part.values()


def _candidates(
    nodes: _Nodes, options: AnalysisOptions, progress: Progress
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


def _equal_but_for_wrapping(nodes: _Nodes) -> tuple[Ints, Ints, Floats]:
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


def _scored(nodes: _Nodes, i: Ints, j: Ints, cosine: Floats, progress: Progress) -> ScoredPairs:
    words = fuzzy.shared_words(nodes.plain, i, j, progress)
    spelling = fuzzy.same_words(nodes.plain, i, j, progress)
    silent = np.array([not text for text in nodes.texts], np.bool_)
    words[silent[i] | silent[j]] = np.nan
    scores = score(cosine, words, spelling)
    kept = scores >= LOWEST
    i, j, cosine, words, scores = i[kept], j[kept], cosine[kept], words[kept], scores[kept]
    sure, barred = np.zeros(len(i), np.bool_), np.zeros(len(i), np.bool_)
    progress.phase("Looking for differences", len(i))
    for k, (one, other) in enumerate(zip(i.tolist(), j.tolist(), strict=True)):
        if nodes.texts[one] and nodes.texts[other]:
            a, b = Words.of(nodes.texts[one]), Words.of(nodes.texts[other])
            sure[k], barred[k] = guard.judge(a, b, float(cosine[k]))
        progress.step()
    scores[sure] = np.maximum(scores[sure], np.float32(SURE_SCORE))
    return ScoredPairs(i, j, cosine, words, scores, sure, barred)
