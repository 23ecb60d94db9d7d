"""The same pairs seen by other methods: what each would put together, beside what the combined score does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.bars import selected
from memdefrag.analysis.groups import merge_sequence
from memdefrag.analysis.language.stamps import unwrap
from memdefrag.analysis.language.words import normalise
from memdefrag.analysis.options import Method
from memdefrag.analysis.result import Analysis
from memdefrag.analysis.scored import ScoredPairs
from memdefrag.analysis.similarity import fuzzy
from memdefrag.analysis.similarity.pairs import Floats, Ints
from memdefrag.base.progress import Progress


@dataclass(frozen=True, slots=True)
class MethodRow:
    """What a method comes to at one threshold.

    Attributes:
        groups: memories that it puts together; `redundant`: those that would go if each group became one.
        together: pairs of memories in one group; `shared`: how many of them the combined score puts together, too.
        barred: pairs that are alike to it, and kept apart because they contradict each other.
    """

    method: Method
    groups: int
    redundant: int
    together: int
    shared: int
    barred: int

    def as_dict(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


def by_method(found: Analysis, method: Method, progress: Progress | None = None) -> Analysis:
    """What a method makes of the pairs of a combined analysis: another score, the same bars, groups formed alike.

    It sees only pairs that the combined analysis kept (`score.LOWEST`). What scores nothing is no pair.

    Raises:
        Cancelled: at any time.
    """
    if method is Method.COMBINED:
        return found
    if method is Method.EXACT:
        return _exact(found)
    score = _scores(found, method, progress or Progress())
    pairs = selected(replace(found.pairs, score=score), score > 0)
    return _with(found, found.node, pairs, method)


def compared(found: Analysis, threshold: float | None = None, progress: Progress | None = None) -> list[MethodRow]:
    """One row for each method, from a combined analysis.

    Raises:
        Cancelled: at any time.
    """
    combined = found.grouping(threshold).label
    return [_row(by_method(found, method, progress), combined, threshold) for method in Method]


def _scores(found: Analysis, method: Method, progress: Progress) -> Floats:
    """A score for each pair, 0 where the method sees none."""
    i, j = found.pairs.i, found.pairs.j
    if method is Method.VECTOR:
        return np.nan_to_num(found.pairs.cosine, nan=0)
    texts = _texts(found)
    if method is Method.FUZZY:
        plain = [normalise(unwrap(text)) for text in texts]
        silent = np.array([not text.strip() for text in texts], np.bool_)
        return np.where(silent[i] | silent[j], np.float32(0), fuzzy.same_words(plain, i, j, progress))
    same = [normalise(text) for text in texts]
    return np.array([same[a] == same[b] for a, b in zip(i.tolist(), j.tolist(), strict=True)], np.float32)


def _texts(found: Analysis) -> list[str]:
    """Per node the text of its first record."""
    texts = [""] * len(found.sequence.order)
    for node, record in zip(found.node[::-1].tolist(), reversed(found.records), strict=True):
        texts[node] = record.text or ""
    return texts


def _exact(found: Analysis) -> Analysis:
    """Nodes fall apart into their spellings; pairs are nodes that were kept from each other and say the very same."""
    numbers: dict[tuple[int, str | None], int] = {}
    of_record = [
        numbers.setdefault((node, record.text), len(numbers))
        for node, record in zip(found.node.tolist(), found.records, strict=True)
    ]
    spellings: dict[int, list[tuple[str | None, int]]] = {}
    for (node, text), number in numbers.items():
        spellings.setdefault(node, []).append((text, number))
    rows = [
        (min(number, other_number), max(number, other_number), pair)
        for pair, (one, other) in enumerate(zip(found.pairs.i.tolist(), found.pairs.j.tolist(), strict=True))
        for text, number in spellings[one]
        for other_text, other_number in spellings[other]
        if text and text == other_text
    ]
    i, j, pair_of = np.array(sorted(rows), np.int32).reshape(-1, 3).T
    pairs = replace(selected(found.pairs, pair_of), i=i, j=j, score=np.ones(len(i), np.float32))
    return _with(found, np.array(of_record, np.int32), pairs, Method.EXACT)


def _with(found: Analysis, node: Ints, pairs: ScoredPairs, method: Method) -> Analysis:
    count = int(node.max(initial=-1)) + 1
    return replace(
        found,
        node=node,
        pairs=pairs,
        sequence=merge_sequence(count, pairs.i, pairs.j, pairs.score, pairs.barred),
        options=replace(found.options, method=method),
    )


def _row(found: Analysis, combined: Ints, threshold: float | None) -> MethodRow:
    grouping = found.grouping(threshold)
    least = np.float32(found.options.threshold if threshold is None else threshold)
    ours = grouping.label >= 0
    both = ours & (combined >= 0)
    cells = np.unique(np.stack((grouping.label[both], combined[both])), axis=1, return_counts=True)[1]
    return MethodRow(
        method=found.options.method,
        groups=len(grouping),
        redundant=int(grouping.size.sum()) - len(grouping),
        together=_pairs_within(grouping.size),
        shared=_pairs_within(cells),
        barred=int(np.count_nonzero(found.pairs.barred & (found.pairs.score >= least))),
    )


def _pairs_within(sizes: npt.NDArray[np.integer] | Sequence[int]) -> int:
    wide = np.asarray(sizes, np.int64)
    return int((wide * (wide - 1) // 2).sum())
