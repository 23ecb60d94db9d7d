from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.similarity import screen as screening
from memdefrag.analysis.similarity.pairs import Floats, similar_pairs, unit_rows
from memdefrag.base.errors import Cancelled
from memdefrag.base.progress import Cancel, Progress, Tick
from tests.bench import pairs as bench


def clustered(n: int, dimension: int, seed: int) -> Floats:
    """Unit rows with many near pairs."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(max(1, n // 4), dimension))
    rows = centres[random.integers(0, len(centres), n)] + random.normal(size=(n, dimension)) * random.uniform(0, 0.7)
    return unit_rows(rows.astype(np.float32))[0]


@given(st.integers(0, 90), st.integers(2, 40), st.integers(0, 10_000), st.floats(-0.5, 0.99), st.integers(1, 50))
def test_all_pairs_above_the_floor_and_no_others(n: int, dimension: int, seed: int, floor: float, block: int) -> None:
    unit = clustered(n, dimension, seed)
    found = similar_pairs(unit, floor, Progress(), block=block)
    exact = unit.astype(np.float64) @ unit.T.astype(np.float64)
    i, j = np.triu_indices(n, 1)
    surely = {pair for pair, c in zip(zip(i, j, strict=True), exact[i, j], strict=True) if c >= floor + 1e-5}
    perhaps = {pair for pair, c in zip(zip(i, j, strict=True), exact[i, j], strict=True) if c >= floor - 1e-5}
    pairs = list(zip(found.i.tolist(), found.j.tolist(), strict=True))
    assert surely <= set(pairs) <= perhaps
    assert pairs == sorted(set(pairs))
    assert np.allclose(found.cosine, exact[found.i, found.j], atol=1e-5)


@given(st.integers(0, 90), st.integers(0, 10_000), st.floats(0, 1), st.integers(1, 50))
def test_only_pairs_with_a_fresh_row_where_asked(n: int, seed: int, share: float, block: int) -> None:
    unit = clustered(n, 12, seed)
    fresh = np.random.default_rng(seed).random(n) < share
    everything = similar_pairs(unit, 0.6, Progress())
    wanted = fresh[everything.i] | fresh[everything.j]
    ticks: list[Tick] = []
    found = similar_pairs(unit, 0.6, Progress(ticks.append), block=block, fresh=fresh)
    assert found.i.tolist() == everything.i[wanted].tolist()
    assert found.j.tolist() == everything.j[wanted].tolist()
    assert np.allclose(found.cosine, everything.cosine[wanted], atol=1e-6)
    assert ticks[-1].done == ticks[-1].total == n * (n - 1) // 2 - (~fresh).sum() * ((~fresh).sum() - 1) // 2


def test_many_rows_are_screened_and_the_pairs_are_those_of_the_float64_product(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    centres = random.standard_normal((700, 96)) * 0.95 ** np.arange(96)
    rows = centres[random.integers(0, 700, 2_500)] + 0.1 * random.standard_normal((2_500, 96))
    unit = unit_rows(rows.astype(np.float32))[0]
    assert screening.pays(2_500 * 2_499 // 2, 96) and screening.screen(unit, 0.9) is not None
    monkeypatch.setattr(bench, "vectors", lambda n: unit[:n])
    assert bench.check(2_500, threads=2) == []


def test_the_pairs_of_real_vectors_are_those_of_the_float64_product(shared: Path) -> None:
    assert bench.VECTORS.exists()
    assert bench.check(4_000, threads=2) == []


def test_the_check_notices_a_missing_and_an_added_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "vectors", lambda n: clustered(n, 8, 3))
    honest = bench.similar_pairs
    for least in (0.95, 0.75):
        monkeypatch.setattr(bench, "similar_pairs", lambda unit, t, *rest, to=least, **more: honest(unit, to, *rest))
        assert bench.check(200, [0.85])


def test_memory_bounds_the_threads_and_never_the_pairs() -> None:
    unit = clustered(400, 8, 2)
    least, most = (similar_pairs(unit, 0.3, Progress(), block=32, memory=memory) for memory in (0, 2**30))
    assert isinstance(least.i, np.memmap) and not isinstance(most.i, np.memmap)
    assert least.i.tolist() == most.i.tolist() and least.j.tolist() == most.j.tolist()


def test_vectors_without_a_direction_are_none() -> None:
    rows = np.array([[1, 0], [0, 0], [np.nan, 1], [np.inf, 1], [3e38, 3e38], [1e-30, 0]], np.float32)
    unit, valid = unit_rows(rows)
    assert valid.tolist() == [True, False, False, False, True, True]
    assert np.allclose(np.linalg.norm(unit, axis=1), valid)


def test_nothing_is_found_among_vectors_without_a_direction() -> None:
    unit, _ = unit_rows(np.full((5, 3), np.nan, np.float32))
    assert len(similar_pairs(unit, 0.5, Progress())) == 0


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_compare(n: int) -> None:
    assert len(similar_pairs(np.ones((n, 4), np.float32), 0.5, Progress())) == 0


def test_cancel_stops_between_blocks() -> None:
    cancel, blocks = Cancel(), []

    def listener(tick: Tick) -> None:
        blocks.append(tick.done)
        cancel.set()

    with pytest.raises(Cancelled):
        similar_pairs(clustered(400, 8, 0), 0.5, Progress(listener, cancel), block=100)
    assert len(blocks) == 1


def test_progress_counts_every_pair_once() -> None:
    ticks: list[Tick] = []
    similar_pairs(clustered(333, 8, 0), 0.9, Progress(ticks.append), block=100)
    assert ticks[-1].done == ticks[-1].total == 333 * 332 // 2


def test_a_crowd_of_equal_vectors_stays_within_the_limit() -> None:
    unit = np.tile(np.array([[1, 0]], np.float32), (2_000, 1))
    found = similar_pairs(unit, 0.7, Progress(), block=128, limit=20_000)
    assert len(found) <= 20_000
    assert found.nearest is not None
    assert set(found.i) | set(found.j) == set(range(2_000))


def test_a_crowd_does_not_push_out_the_pairs_of_others() -> None:
    random = np.random.default_rng(0)
    crowd = np.array([1.0] + [0.0] * 49) + random.normal(size=(900, 50)) * 0.01
    couples = np.repeat(random.normal(size=(40, 50)), 2, axis=0) + random.normal(size=(80, 50)) * 0.1
    unit, _ = unit_rows(np.concatenate([couples, crowd]).astype(np.float32))
    found = similar_pairs(unit, 0.7, Progress(), block=64, limit=10_000)
    pairs = set(zip(found.i.tolist(), found.j.tolist(), strict=True))
    assert {(k, k + 1) for k in range(0, 80, 2)} <= pairs


def test_kept_pairs_are_the_nearest_of_one_of_their_rows() -> None:
    unit = clustered(300, 6, 1)
    everything = similar_pairs(unit, 0.5, Progress())
    found = similar_pairs(unit, 0.5, Progress(), block=37, limit=len(everything) // 3)
    assert found.nearest is not None
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -1)
    bound = np.sort(cosine, axis=1)[:, -found.nearest]
    kept = set(zip(found.i.tolist(), found.j.tolist(), strict=True))
    for i, j, c in zip(everything.i.tolist(), everything.j.tolist(), everything.cosine, strict=True):
        if c > bound[i] + 1e-5 or c > bound[j] + 1e-5:
            assert (i, j) in kept
        if c < bound[i] - 1e-5 and c < bound[j] - 1e-5:
            assert (i, j) not in kept
