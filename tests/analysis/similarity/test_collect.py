from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.analysis.similarity.collect import BYTES_PER_PAIR, NEAREST, Crowd, PairCollector, PairsFound
from memdefrag.base.errors import NoSpace


def some_pairs(n: int, count: int, seed: int) -> PairsFound:
    """Different pairs of n rows in any order."""
    random = np.random.default_rng(seed)
    i, j = np.triu_indices(n, 1)
    chosen = random.permutation(len(i))[:count]
    cosine = random.uniform(0.5, 1, len(chosen)).astype(np.float32)
    return PairsFound(i[chosen].astype(np.int32), j[chosen].astype(np.int32), cosine)


def add_in_parts(collector: PairCollector, found: PairsFound, parts: int) -> None:
    for some in np.array_split(np.arange(len(found.i)), parts):
        collector.add(*found.where(some))


@settings(max_examples=40)
@given(st.integers(2, 60), st.integers(0, 500), st.integers(1, 9), st.integers(1, 200), st.integers(0, 1_000))
def test_what_goes_through_a_file_comes_back_sorted(n: int, count: int, parts: int, at_once: int, seed: int) -> None:
    found = some_pairs(n, count, seed)
    collector = PairCollector(n, 10_000, memory=at_once * BYTES_PER_PAIR)
    add_in_parts(collector, found, parts)
    pairs, wanted = collector.pairs(), found.in_order()
    assert pairs.nearest is None and pairs.crowd is None
    assert pairs.i.tolist() == wanted.i.tolist()
    assert pairs.j.tolist() == wanted.j.tolist()
    assert pairs.cosine.tolist() == wanted.cosine.tolist()


def test_pairs_lie_in_a_file_only_where_memory_does_not_suffice() -> None:
    for memory, in_file in ((499 * BYTES_PER_PAIR, True), (500 * BYTES_PER_PAIR, False)):
        collector = PairCollector(50, 10_000, memory)
        add_in_parts(collector, some_pairs(50, 500, 0), 5)
        assert isinstance(collector.pairs().i, np.memmap) is in_file


@settings(max_examples=40)
@given(st.integers(100, 2_000), st.integers(0, 1_000), st.integers(1, 9))
def test_beyond_the_limit_the_nearest_of_each_row_are_kept_and_no_others(count: int, seed: int, parts: int) -> None:
    found = some_pairs(70, count, seed)
    collector = PairCollector(70, 2 * NEAREST * 70 if seed % 2 else 300, memory=400 * BYTES_PER_PAIR)
    add_in_parts(collector, found, parts)
    pairs = collector.pairs()
    nearest = count if pairs.nearest is None else pairs.nearest
    wanted = set()
    for row in range(70):
        own = found.where(np.flatnonzero((found.i == row) | (found.j == row)))
        best = own.where(np.argsort(-own.cosine)[:nearest])
        wanted |= set(zip(best.i.tolist(), best.j.tolist(), strict=True))
    assert set(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True)) == wanted


def test_the_largest_crowd_is_named() -> None:
    collector = PairCollector(100, limit=50)
    star = np.arange(8, 80, dtype=np.int32)
    collector.add(np.full(len(star), 7, np.int32), star, np.full(len(star), 0.9, np.float32))
    pairs = collector.pairs()
    assert pairs.nearest == 1
    assert pairs.crowd == Crowd(row=7, alike=73)


def test_a_crowd_keeps_its_place_when_rows_are_renamed() -> None:
    collector = PairCollector(4, limit=0)
    collector.add(*(np.array(ends, np.int32) for ends in ([0, 0], [2, 3])), np.array([0.9, 0.8], np.float32))
    renamed = collector.pairs().renamed(np.array([9, 8, 4, 7], np.int32))
    assert renamed.crowd == Crowd(row=9, alike=3)
    assert (renamed.i.tolist(), renamed.j.tolist()) == ([4, 7], [9, 9])


def test_a_full_disk_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: Any) -> None:
            return None

        def write(self, _: Any) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    collector = PairCollector(50, 10_000, memory=0)
    with pytest.raises(NoSpace, match="so many similar pairs"):
        collector.add(*some_pairs(50, 500, 0))
