"""Pairs that are never formed, whatever the two say."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import fields

import numpy as np

from memdefrag.analysis.apart import pair_of
from memdefrag.analysis.groups import Flags
from memdefrag.analysis.nodes import Nodes
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.scored import ScoredPairs
from memdefrag.analysis.similarity.pairs import Ints


def allowed(nodes: Nodes, pairs: ScoredPairs, options: AnalysisOptions) -> ScoredPairs:
    """The pairs that may be formed: no two pieces of one text, none that a person told apart, and where stores are
    compared with one, none within a side.
    """
    keep = ~_same_text(nodes, pairs) & ~_told_apart(nodes, pairs, options)
    if options.against is not None:
        known_side = np.array([marks.store == options.against for marks in nodes.marks], np.bool_)
        keep &= known_side[pairs.i] != known_side[pairs.j]
    return selected(pairs, keep)


def selected(pairs: ScoredPairs, chosen: Flags | Ints) -> ScoredPairs:
    """Those of the pairs that are marked, or named by their places."""
    return ScoredPairs(**{column.name: getattr(pairs, column.name)[chosen] for column in fields(ScoredPairs)})


def _same_text(nodes: Nodes, pairs: ScoredPairs) -> Flags:
    texts = _numbers(marks.piece_of for marks in nodes.marks)
    same: Flags = (texts[pairs.i] == texts[pairs.j]) & (texts[pairs.i] >= 0)
    return same


def _told_apart(nodes: Nodes, pairs: ScoredPairs, options: AnalysisOptions) -> Flags:
    told = _numbers(marks.told for marks in nodes.marks) >= 0
    apart: Flags = told[pairs.i] & told[pairs.j]
    for at in np.flatnonzero(apart).tolist():
        one, other = nodes.marks[pairs.i[at]].told, nodes.marks[pairs.j[at]].told
        assert one is not None and other is not None
        apart[at] = pair_of(one, other) in options.apart.pairs
    return apart


def _numbers(marks: Iterable[Hashable]) -> Ints:
    """The same number for equal marks, -1 for None."""
    known: dict[Hashable, int] = {None: -1}
    return np.array([known.setdefault(mark, len(known)) for mark in marks], np.int32)
