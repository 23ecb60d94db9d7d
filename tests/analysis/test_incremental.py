from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.analysis import candidates, incremental
from memdefrag.analysis.detect import analyze
from memdefrag.analysis.nodes import Nodes, taking_part
from memdefrag.analysis.options import AnalysisOptions, Method
from memdefrag.analysis.pair_cache import PairCache
from memdefrag.analysis.result import Analysis
from memdefrag.analysis.scored import ScoredPairs
from memdefrag.analysis.similarity import pairs
from memdefrag.base.progress import Progress
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot, Vector

TEXTS = [
    "Maria likes green tea in the morning.",
    "[2024-01-01] Maria likes green tea in the morning.",
    "[2024-02-02] Maria likes green tea in the morning.",
    "Note: Maria likes green tea in the morning.",
    "MARIA LIKES GREEN TEA IN THE MORNING",
    "Maria likes green teas in the mornings.",
    "Maria really likes green tea in the morning, with 3 biscuits.",
    "Maria really likes green tea in the morning, with 4 biscuits.",
    "Rain falls in the hills.",
    "",
    None,
]
ROW = st.tuples(
    st.integers(0, 12),
    st.sampled_from(TEXTS),
    st.one_of(st.none(), st.integers(0, 4), st.just("nan"), st.just("wide")),
    st.sampled_from([None, None, None, "ann"]),
    st.sampled_from(["notes", "notes", "more"]),
)
STATES = st.lists(st.lists(ROW, max_size=12, unique_by=lambda row: row[0]), min_size=2, max_size=4)
OPTIONS = st.sampled_from(
    [
        AnalysisOptions(),
        AnalysisOptions(floor=0.9),
        AnalysisOptions(use_vectors=False),
        AnalysisOptions(across_collections=False),
    ]
)


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "FEWEST", 0)


def vector(kind: int | str | None) -> Vector | None:
    if kind is None or kind == "nan":
        return None if kind is None else np.full(16, np.nan, np.float32)
    if kind == "wide":
        return np.ones(3, np.float32)
    found = np.random.default_rng(int(kind)).normal(size=16) * 0.1
    found[0] += 1
    return found.astype(np.float32)


def memory(id: object, text: str | None, kind: int | str | None, owner: str | None, collection: str) -> MemoryRecord:
    return MemoryRecord(Key(collection, str(id)), text, embedding=vector(kind), owner=owner)


def snapshot(*records: MemoryRecord) -> Snapshot:
    names = sorted({record.key.collection for record in records})
    return Snapshot("here", tuple(CollectionInfo(name, 0, 0, 0) for name in names), records)


def assert_equal(found: Analysis, fresh: Analysis) -> None:
    assert found.nearest == fresh.nearest
    assert found.node.tolist() == fresh.node.tolist()
    for column in fields(ScoredPairs):
        one, other = getattr(found.pairs, column.name), getattr(fresh.pairs, column.name)
        assert one.dtype == other.dtype and one.shape == other.shape, column.name
        assert np.allclose(one, other, rtol=0, atol=1e-6, equal_nan=True), column.name
    assert found.sequence.order.tolist() == fresh.sequence.order.tolist()


def run_through(states: list[list[MemoryRecord]], options: AnalysisOptions) -> None:
    """Analyse each state with one cache, which then knows the states before, and without."""
    with TemporaryDirectory() as folder:
        for records in states:
            assert_equal(
                analyze([snapshot(*records)], options, cache=PairCache(Path(folder))),
                analyze([snapshot(*records)], options),
            )


@settings(max_examples=60)
@given(STATES, OPTIONS)
def test_whatever_was_known_before_the_result_is_that_of_a_fresh_run(
    states: list[list[tuple[int, str | None, int | str | None, str | None, str]]], options: AnalysisOptions
) -> None:
    run_through([[memory(*row) for row in state] for state in states], options)


@settings(max_examples=20)
@given(STATES)
def test_also_where_there_are_too_many_to_look_at_all(
    states: list[list[tuple[int, str | None, int | str | None, str | None, str]]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "FAMILY", 2)
        patch.setattr(pairs, "PAIRS_PER_ROW", 1)
        patch.setattr(pairs, "PAIR_LIMIT", 4)
        run_through([[memory(*row) for row in state] for state in states], AnalysisOptions())


def distinct(count: int) -> list[MemoryRecord]:
    """Memories that are all a little alike."""
    return [memory(k, f"The garden has {k} trees and {k + 1} bushes.", 7 + k, None, "notes") for k in range(count)]


def work(records: list[MemoryRecord], cache: PairCache | None) -> dict[str, int]:
    """What each phase of an analysis had to do."""
    done: dict[str, int] = {}
    analyze([snapshot(*records)], cache=cache, progress=Progress(lambda tick: done.update({tick.phase: tick.done})))
    return done


def test_nothing_is_compared_when_nothing_changed(tmp_path: Path) -> None:
    cache, records = PairCache(tmp_path), distinct(12)
    assert work(records, cache)["Comparing words"] == 66
    again = work(records, cache)
    assert "Comparing vectors" not in again and "Comparing words" not in again


def test_only_what_is_new_or_changed_is_compared(tmp_path: Path) -> None:
    cache, records = PairCache(tmp_path), distinct(12)
    work(records[:11], cache)
    added = work(records, cache)
    assert (added["Comparing vectors"], added["Comparing words"]) == (11, 11)
    assert (
        work([*records[:5], memory(5, "Other words.", 5, None, "notes"), *records[6:]], cache)["Comparing words"] == 11
    )


def test_nothing_is_compared_when_something_only_went_or_moved(tmp_path: Path) -> None:
    cache, records = PairCache(tmp_path), distinct(12)
    work(records, cache)
    assert work(records[:0:-1], cache).get("Comparing words", 0) == 0


def test_looking_at_a_part_does_not_forget_the_rest(tmp_path: Path) -> None:
    cache, records = PairCache(tmp_path), distinct(12)
    for some in (records, records[:3]):
        work(some, cache)
    assert work(records, cache).get("Comparing words", 0) == 0


def test_what_is_left_may_be_too_much_for_so_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "PAIRS_PER_ROW", 3)
    cache, alike = PairCache(tmp_path), distinct(12)
    far = np.eye(64, 16, -16, np.float32)
    others = [MemoryRecord(Key("notes", f"far {k}"), f"Word{k}", embedding=far[16 + k]) for k in range(16)]
    assert analyze([snapshot(*alike, *others)], cache=cache).nearest is None
    assert_equal(analyze([snapshot(*alike)], cache=cache), analyze([snapshot(*alike)]))
    assert analyze([snapshot(*alike)], cache=cache).nearest is not None


@pytest.mark.parametrize("first", [11, 12])
def test_too_many_pairs_are_too_many_also_when_they_come_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    monkeypatch.setattr(pairs, "PAIRS_PER_ROW", 5)
    cache = PairCache(tmp_path)
    for count in (first, 13):
        found, fresh = (analyze([snapshot(*distinct(count))], cache=each) for each in (cache, None))
        assert (found.nearest is None) == (count == 11)
        assert_equal(found, fresh)


def test_memories_may_stand_in_another_order(tmp_path: Path) -> None:
    cache, records = PairCache(tmp_path), distinct(12)
    for order in (records, records[::-1], [*records[6:], *records[:6]]):
        found = analyze([snapshot(*order)], cache=cache)
        assert len(found.pairs) == 66
        assert_equal(found, analyze([snapshot(*order)]))


def test_a_new_vector_is_a_change(tmp_path: Path) -> None:
    cache = PairCache(tmp_path)
    one = memory("a", "Maria likes tea.", 1, None, "notes")
    for kind in (2, "nan", None, 1):
        records = snapshot(one, memory("b", "Maria likes a tea.", kind, None, "notes"))
        assert_equal(analyze([records], cache=cache), analyze([records]))


def test_memories_that_share_all_but_their_name_are_told_apart(tmp_path: Path) -> None:
    cache = PairCache(tmp_path)
    silent = [memory(k, None, 1, None, "notes") for k in range(4)]
    for records in (silent[:2], silent, silent[1:]):
        assert len(analyze([snapshot(*records)], cache=cache).pairs) == len(records) * (len(records) - 1) // 2


@pytest.mark.parametrize("vectors", [True, False])
def test_hundreds_of_copies_with_a_stamp_are_one_group(vectors: bool) -> None:
    far = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)
    records = [
        MemoryRecord(
            Key("notes", str(k)),
            f"[2024-01-01 {k // 60:02}:{k % 60:02}] Backup done.",
            embedding=far[k] if vectors else None,
        )
        for k in range(200)
    ]
    (group,) = analyze([snapshot(*records)]).groups()
    assert len(group.members) == 200


def test_of_a_family_too_large_for_all_its_pairs_parts_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "FAMILY", 20)
    options = AnalysisOptions(method=Method.NORMALISED)
    records = [memory(k, f"[2024-01-01 10:{k:02}] Backup done.", None, None, "notes") for k in range(50)]
    nodes = Nodes(taking_part([snapshot(*records)], options), options, Progress())
    found = candidates.candidates(nodes, options, Progress())
    assert not found.whole
    assert list(zip(found.i.tolist(), found.j.tolist(), strict=True)) == [
        (i, j) for i in range(50) for j in range(i + 1, 50) if i // 20 == j // 20
    ]


def test_of_few_memories_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "FEWEST", 13)
    for count, kept in ((12, 0), (13, 1)):
        analyze([snapshot(*distinct(count))], cache=PairCache(tmp_path))
        assert len(list(tmp_path.iterdir())) == kept


def test_two_runs_at_once_do_not_harm_each_other(tmp_path: Path) -> None:
    cache = PairCache(tmp_path)
    stores = [snapshot(*distinct(count)) for count in (8, 9, 10, 11)]
    fresh = [analyze([store]) for store in stores]
    with ThreadPoolExecutor(4) as workers:
        for _ in range(5):
            for found, expected in zip(
                workers.map(lambda store: analyze([store], cache=cache), stores), fresh, strict=True
            ):
                assert_equal(found, expected)
    assert_equal(analyze([stores[0]], cache=cache), fresh[0])
