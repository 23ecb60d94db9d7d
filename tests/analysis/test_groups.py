from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.groups import Floats, Ints, merge_sequence

Sparse = tuple[int, Ints, Ints, Floats, npt.NDArray[np.bool_]]


@st.composite
def sparse_pairs(draw: st.DrawFn) -> Sparse:
    """Things with some scored pairs; scores from a coarse scale, so that many are equal."""
    n = draw(st.integers(0, 25))
    possible = [(i, j) for i in range(n) for j in range(i + 1, n)]
    chosen = draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    scores = draw(st.lists(st.integers(0, 20), min_size=len(chosen), max_size=len(chosen)))
    barred = draw(st.lists(st.integers(0, 9), min_size=len(chosen), max_size=len(chosen)))
    i, j = np.array(chosen, np.int32).reshape(-1, 2).T
    return n, i, j, np.array(scores, np.float32) / 20, np.array(barred) == 0


@given(sparse_pairs())
def test_every_pair_of_a_group_is_known_not_barred_and_scores_enough(pairs: Sparse) -> None:
    n, i, j, score, barred = pairs
    known = {pair: s for pair, s, bar in zip(zip(i, j, strict=True), score, barred, strict=True) if not bar}
    sequence = merge_sequence(n, i, j, score, barred)
    for threshold in np.linspace(0, 1, 20):
        for group in sequence.at(threshold):
            members = sorted(group.tolist())
            for at, one in enumerate(members):
                for other in members[at + 1 :]:
                    assert known[one, other] >= np.float32(threshold)


@given(sparse_pairs())
def test_any_threshold_is_what_a_fresh_run_gives(pairs: Sparse) -> None:
    n, i, j, score, barred = pairs
    sequence = merge_sequence(n, i, j, score, barred)
    for threshold in np.linspace(0, 1, 20):
        above = score >= np.float32(threshold)
        fresh = merge_sequence(n, i[above], j[above], score[above], barred[above]).at(-np.inf)
        assert as_sets(sequence.at(threshold).labels) == as_sets(fresh.labels)


@given(sparse_pairs())
def test_no_two_groups_are_left_that_could_be_one(pairs: Sparse) -> None:
    n, i, j, score, barred = pairs
    known = {pair for pair, bar in zip(zip(i.tolist(), j.tolist(), strict=True), barred, strict=True) if not bar}
    groups = [set(group.tolist()) for group in merge_sequence(n, i, j, score, barred).at(-np.inf)]
    for at, one in enumerate(groups):
        for other in groups[at + 1 :]:
            assert any((min(a, b), max(a, b)) not in known for a in one for b in other)


@given(sparse_pairs(), st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_does_not_matter(pairs: Sparse, random: object) -> None:
    n, i, j, score, barred = pairs
    shuffled = np.arange(len(i))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = merge_sequence(n, i, j, score, barred)
    other = merge_sequence(n, j[shuffled], i[shuffled], score[shuffled], barred[shuffled])
    assert one.order.tolist() == other.order.tolist()
    assert np.array_equal(one.joined, other.joined, equal_nan=True)


@given(sparse_pairs())
def test_heights_never_rise(pairs: Sparse) -> None:
    heights = merge_sequence(*pairs).heights
    assert (np.diff(heights) <= 0).all()


def test_a_chain_of_likenesses_is_not_a_group() -> None:
    sequence = merge_sequence(3, ints(0, 1), ints(1, 2), np.array([0.9, 0.9], np.float32))
    assert as_sets(sequence.at(0.8).labels) == {frozenset({0, 1}), frozenset({2})}


def test_a_barred_pair_keeps_its_friends_apart_too() -> None:
    score = np.array([1, 0.9, 0.9], np.float32)
    sequence = merge_sequence(3, ints(0, 0, 1), ints(1, 2, 2), score, np.array([True, False, False]))
    assert as_sets(sequence.at(0).labels) == {frozenset({0, 2}), frozenset({1})}


def test_nothing_at_all() -> None:
    grouping = merge_sequence(0, ints(), ints(), np.empty(0, np.float32)).at(0.5)
    assert len(grouping) == 0
    assert grouping.labels.tolist() == []


def ints(*numbers: int) -> Ints:
    return np.array(numbers, np.int32)


def as_sets(labels: Ints) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}
