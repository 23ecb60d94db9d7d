"""Ranks and first hits, against sorting everything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import Cancelled
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.engine import ranks as module
from memdefrag.engine.ranks import ByVector, ByWords, Question, best, ranks

METRICS = ("cosine", "l2", "ip")
WORDS = ("ann", "tea", "gate", "green", "old")


def nearness(query: np.ndarray, records: np.ndarray, metric: str) -> np.ndarray:
    """The plain definition, in double precision."""
    q, x = query.astype(np.float64), records.astype(np.float64)
    match metric:
        case "cosine":
            found = x @ q / (np.linalg.norm(x, axis=1) * np.linalg.norm(q))
        case "l2":
            found = -((x - q) ** 2).sum(axis=1)
        case _:
            found = x @ q
    return np.asarray(found)


def in_blocks(size: int) -> type[ByVector]:
    """Asks of so many records at once."""

    class InBlocks(ByVector):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.block = size

    return InBlocks


def asked(query: list[int], wanted: list[int], among: slice) -> Question:
    return Question(np.array(query), np.array(wanted), among)


@given(
    seed=st.integers(0, 2**32),
    metric=st.sampled_from(METRICS),
    block=st.integers(1, 40),
    ends=st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted),
)
def test_a_rank_is_what_sorting_all_gives(seed: int, metric: str, block: int, ends: list[int]) -> None:
    rng = np.random.default_rng(seed)
    records = rng.normal(size=(30, 4)).astype(np.float32)
    queries = np.concatenate([records[:3], rng.normal(size=(3, 4)).astype(np.float32)])
    among = slice(*ends)
    wanted = rng.integers(0, 30, size=6).tolist()
    searched = in_blocks(block)(queries, list(records), metric)
    [found] = ranks(searched, [asked(list(range(6)), wanted, among)], Progress())
    for row in range(6):
        near = nearness(queries[row], records, metric)
        assert found[row] == 1 + np.count_nonzero(near[among] > near[wanted[row]] + 1e-5 * max(1, abs(near).max()))


@given(seed=st.integers(0, 2**32), metric=st.sampled_from(METRICS), block=st.integers(1, 40), k=st.integers(1, 35))
def test_the_first_hits_are_those_of_sorting_all(seed: int, metric: str, block: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    records, queries = (rng.normal(size=(count, 4)).astype(np.float32) for count in (30, 3))
    searched = in_blocks(block)(queries, list(records), metric)
    found = best(searched, 3, k, slice(5, 25), Progress())
    for row in range(3):
        order = 5 + np.argsort(-nearness(queries[row], records[5:25], metric), kind="stable")
        assert found[row].tolist()[:20] == order[:k].tolist()
        assert set(found[row].tolist()[20:]) <= {-1}


@pytest.mark.parametrize("metric", METRICS)
def test_ties_count_for_the_wanted_record(metric: str) -> None:
    vector = np.array([0.6, 0.8], np.float32)
    searched = ByVector(vector[None], [vector] * 7, metric)
    assert ranks(searched, [asked([0], [6], slice(0, 7))], Progress())[0].tolist() == [1]


def test_a_record_that_is_not_there_has_no_rank() -> None:
    searched = ByVector(np.ones((1, 2), np.float32), [np.ones(2, np.float32)], "cosine")
    assert ranks(searched, [asked([0], [-1], slice(0, 1))], Progress())[0].tolist() == [0]


def test_two_questions_are_asked_of_different_records_in_one_pass() -> None:
    records = [np.array(each, np.float32) for each in ([1, 0], [0.9, 0.1], [0.8, 0.2], [0.5, 0.5])]
    searched = ByVector(np.array([[1, 0]], np.float32), records, "cosine")
    questions = [asked([0], [2], slice(0, 3)), asked([0], [3], slice(1, 4)), asked([0], [3], slice(2, 4))]
    assert [found.tolist() for found in ranks(searched, questions, Progress())] == [[3], [3], [2]]


def test_nothing_is_counted_where_nothing_can_be_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ByVector, "scores", lambda *_: pytest.fail("no product was needed"))
    records = list(np.eye(3, dtype=np.float32))
    searched = ByVector(np.eye(3, dtype=np.float32), records, "l2")
    assert ranks(searched, [asked([0, 1, 2], [0, 1, 2], slice(0, 3))], Progress())[0].tolist() == [1, 1, 1]


@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1).map(" ".join), min_size=1, max_size=12), st.data())
def test_by_words_the_text_with_more_of_them_comes_first(texts: list[str], data: st.DataObject) -> None:
    wanted = data.draw(st.integers(0, len(texts) - 1))
    searched = ByWords([texts[wanted]], texts)
    assert ranks(searched, [asked([0], [wanted], slice(0, len(texts)))], Progress())[0].tolist() == [1]
    for number in range(len(texts)):
        [found] = ranks(searched, [asked([0], [number], slice(0, len(texts)))], Progress())
        whole = set(texts[wanted].split()) & set(texts[number].split())
        if not whole:
            assert found[0] > 1


def test_a_query_without_words_finds_nothing_nearer() -> None:
    searched = ByWords(["?!"], ["tea", "gate"])
    assert ranks(searched, [asked([0], [1], slice(0, 2))], Progress())[0].tolist() == [1]


def test_it_stops_between_two_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    cancel = Cancel()
    records = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    searched = in_blocks(1)(records[:1], list(records), "ip")
    seen: list[int] = []

    def stop(tick: Tick) -> None:
        seen.append(tick.done)
        cancel.set()

    progress = Progress(stop, cancel)
    with pytest.raises(Cancelled):
        best(searched, 1, 3, slice(0, 500), progress)
    assert max(seen) < 500


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_vectors_length_does_not_change_what_is_nearest_by_cosine(scale: float) -> None:
    rng = np.random.default_rng(3)
    records = rng.normal(size=(20, 8)).astype(np.float32)
    stretched = [row * np.float32(scale) for row in records]
    query = rng.normal(size=(1, 8)).astype(np.float32)
    found = [
        best(ByVector(query, each, "cosine"), 1, 20, slice(0, 20), Progress()) for each in (list(records), stretched)
    ]
    assert (found[0] == found[1]).all()


def test_memory_does_not_grow_with_the_number_of_queries() -> None:
    few, many = (ByVector(np.ones((n, 2), np.float32), [], "ip").block * n for n in (2_000, 60_000))
    assert few <= module.SCORES_AT_ONCE and many <= module.SCORES_AT_ONCE
