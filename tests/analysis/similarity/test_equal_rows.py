from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.analysis.similarity import equal_rows
from memdefrag.analysis.similarity.collect import Crowd
from memdefrag.analysis.similarity.equal_rows import FAMILY, EqualRows
from memdefrag.analysis.similarity.pairs import Floats, Pairs, similar_pairs, unit_rows
from memdefrag.base.progress import Progress


def rows_of(sizes: list[int], seed: int, dimension: int = 12) -> Floats:
    """So many equal rows of each of some vectors near to each other, in any order."""
    random = np.random.default_rng(seed)
    distinct = 1 + 0.5 * random.normal(size=(len(sizes), dimension))
    rows = np.repeat(distinct, sizes, axis=0).astype(np.float32)
    return unit_rows(rows[random.permutation(len(rows))])[0]


def as_set(found: Pairs) -> set[tuple[int, int]]:
    pairs = list(zip(found.i.tolist(), found.j.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs) and all(i < j for i, j in pairs)
    return set(pairs)


@settings(max_examples=40)
@given(st.lists(st.integers(1, FAMILY), max_size=8), st.integers(0, 1_000), st.floats(0.3, 0.99))
def test_equal_rows_are_listed_as_if_each_were_compared(sizes: list[int], seed: int, floor: float) -> None:
    unit = rows_of(sizes, seed)
    product = unit.astype(np.float64) @ unit.T.astype(np.float64)
    upper = np.triu(np.ones(product.shape, np.bool_), 1)
    surely, perhaps = (set(map(tuple, np.argwhere((product >= floor + d) & upper).tolist())) for d in (1e-5, -1e-5))
    found = similar_pairs(unit, floor, Progress(), block=16)
    assert surely <= as_set(found) <= perhaps
    assert np.allclose(found.cosine, product[found.i, found.j], atol=1e-5)
    assert found.nearest is None


@settings(max_examples=40)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.integers(0, 1_000), st.floats(0, 1))
def test_of_equal_rows_too_only_pairs_with_a_fresh_one(sizes: list[int], seed: int, share: float) -> None:
    unit = rows_of(sizes, seed)
    fresh = np.random.default_rng(seed).random(len(unit)) < share
    everything = similar_pairs(unit, 0.9, Progress())
    wanted = {(i, j) for i, j in as_set(everything) if fresh[i] or fresh[j]}
    assert as_set(similar_pairs(unit, 0.9, Progress(), fresh=fresh, block=8)) == wanted


def test_of_very_many_equal_rows_each_is_paired_with_those_that_follow() -> None:
    unit = np.tile(rows_of([1], 0), (200, 1))
    found = similar_pairs(unit, 0.9, Progress())
    assert as_set(found) == {(i, j) for i, j in combinations(range(200), 2) if j - i <= FAMILY}
    assert found.nearest == FAMILY
    assert found.crowd == Crowd(row=0, alike=200)


def test_of_very_many_equal_rows_the_first_are_paired_with_others() -> None:
    crowd, other = rows_of([1], 0), rows_of([1], 1)
    found = as_set(similar_pairs(np.concatenate((other, np.tile(crowd, (100, 1)))), 0.1, Progress()))
    assert {(i, j) for i, j in found if i == 0} == {(0, j) for j in range(1, FAMILY + 2)}


def test_rows_of_zeros_are_equal_but_like_nothing() -> None:
    assert not len(similar_pairs(np.zeros((50, 4), np.float32), 0.5, Progress()))


def test_equal_rows_are_compared_once() -> None:
    assert len(EqualRows(rows_of([5, 1, 3], 0))) == 3


def test_rows_that_share_their_hash_alone_are_not_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zeros:
        def integers(self, low: int, high: int, size: int, kind: type[np.uint32]) -> np.ndarray:
            return np.zeros(size, kind)

    unit = rows_of([3, 2, 1, 4], 5)
    # With one weight for all, rows that hold the same numbers in another order share their hash.
    unit = np.concatenate((unit, unit[:, ::-1]))
    wanted = as_set(similar_pairs(unit, 0.95, Progress()))
    monkeypatch.setattr(equal_rows.np.random, "default_rng", lambda seed: Zeros())
    assert as_set(similar_pairs(unit, 0.95, Progress())) == wanted
