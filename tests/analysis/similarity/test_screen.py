"""The stand-ins bound every product from above, and a screened search finds what a full one finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.analysis.similarity import pairs
from memdefrag.analysis.similarity import screen as screening
from memdefrag.analysis.similarity.pairs import similar_pairs, unit_rows
from memdefrag.analysis.similarity.screen import ROUNDING, Floats, screen
from memdefrag.base.progress import Progress


def spread(n: int, dimension: int, decay: float, seed: int) -> Floats:
    """Rows in clusters whose coordinates matter less and less, turned about so that no axis is theirs."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(2, n // 5), dimension))
    rows = centres[rng.integers(0, len(centres), n)] + 0.25 * rng.standard_normal((n, dimension))
    turn = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
    return unit_rows(((rows * decay ** np.arange(dimension)) @ turn).astype(np.float32))[0]


@pytest.fixture(autouse=True)
def small_stores_are_screened_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "ROWS_PER_DIMENSION", 0)
    monkeypatch.setattr(screening, "_LENGTHS", (2, 5, 9, 16))


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(20, 150),
    dimension=st.integers(20, 48),
    decay=st.floats(0.7, 0.95),
    floor=st.floats(0.5, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_product_is_above_its_bound(n: int, dimension: int, decay: float, floor: float, seed: int) -> None:
    unit = spread(n, dimension, decay, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screening, "_PER_SURVIVOR", 0.0)
        patch.setattr(screening, "_PER_PAIR", 0.0)
        stand_ins = screen(unit, floor)
    assert stand_ins is not None and stand_ins.shape == (n, 3)
    assert (unit @ unit.T <= stand_ins @ stand_ins.T + ROUNDING).all()


@settings(max_examples=40, deadline=None)
@given(
    decay=st.floats(0.6, 0.95),
    floor=st.floats(0.6, 0.98),
    seed=st.integers(0, 2**32 - 1),
    block=st.integers(20, 90),
)
def test_a_screened_search_finds_the_same(decay: float, floor: float, seed: int, block: int) -> None:
    unit = spread(200, 32, decay, seed)
    product = unit @ unit.T
    wanted = {(i, j) for i, j in np.argwhere(product >= floor).tolist() if i < j}
    unsure = {(i, j) for i, j in np.argwhere(abs(product - floor) < 1e-5).tolist() if i < j}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screening, "_PER_PAIR", 0.0)
        patch.setattr(screening, "_PER_SURVIVOR", 10.0)
        found = similar_pairs(unit, floor, Progress(), block=block, threads=2)
    assert set(zip(found.i.tolist(), found.j.tolist(), strict=True)) ^ wanted <= unsure
    assert np.allclose(found.cosine, product[found.i, found.j], atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_fresh_and_equal_rows_are_screened_in_their_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    unit = spread(100, 32, 0.8, seed)[random.integers(0, 100, 160)]
    fresh = random.random(160) < 0.3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "pays", lambda count, dimension: False)
        wanted = similar_pairs(unit, 0.9, Progress(), fresh=fresh)
        patch.setattr(pairs, "pays", lambda count, dimension: True)
        patch.setattr(screening, "_PER_SURVIVOR", 0.0)
        patch.setattr(pairs, "MOST_SURVIVORS", 1.0)
        found = similar_pairs(unit, 0.9, Progress(), fresh=fresh, block=40)
    assert (found.i.tolist(), found.j.tolist()) == (wanted.i.tolist(), wanted.j.tolist())


def test_where_no_length_pays_there_is_no_screen() -> None:
    rng = np.random.default_rng(1)
    everywhere = unit_rows(rng.standard_normal((300, 32)).astype(np.float32))[0]
    assert screen(everywhere, 0.1) is None


def test_few_rows_are_not_screened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "ROWS_PER_DIMENSION", 6)
    assert not screening.pays(pairs=100 * 99 // 2, dimension=32)
    assert screening.pays(pairs=200 * 199 // 2, dimension=32)


def test_no_rounding_hides_a_pair_where_the_axes_say_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    turn = np.linalg.qr(rng.standard_normal((64, 64)))[0]
    unit = unit_rows((rng.standard_normal((1_000, 6)) @ turn[:6]).astype(np.float32))[0]
    monkeypatch.setattr(screening, "_LENGTHS", (16,))
    monkeypatch.setattr(screening, "_PER_SURVIVOR", 0.0)
    stand_ins = screen(unit, 0.72)
    assert stand_ins is not None
    assert (stand_ins[:, -1] > 0.00099).all()
    exact = unit.astype(np.float64) @ unit.T.astype(np.float64)
    assert (exact <= stand_ins @ stand_ins.T + ROUNDING).all()
    monkeypatch.setattr(pairs, "MOST_SURVIVORS", 1.0)
    found = pairs.similar_pairs(unit, 0.72, Progress(), threads=1)
    wanted = np.argwhere(np.triu(exact >= 0.72 + 1e-5, 1))
    assert set(map(tuple, wanted.tolist())) <= set(zip(found.i.tolist(), found.j.tolist(), strict=True))


def test_a_crowd_that_passes_the_screen_is_compared_as_a_whole() -> None:
    unit = unit_rows(np.tile(spread(1, 32, 0.8, 3), (300, 1)) + np.random.default_rng(0).normal(0, 0.01, (300, 32)))[0]
    found = similar_pairs(unit, 0.9, Progress(), block=64)
    assert len(found) == 300 * 299 // 2
