"""The list of texts that were told apart, on disk."""

from __future__ import annotations

import json
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.analysis.apart import Pair, content_key, pair_of
from memdefrag.base.errors import UsageError
from memdefrag.base.settings import data_dir
from memdefrag.engine import apart
from memdefrag.model.records import Key, MemoryRecord

KEYS = [content_key(f"text {number}") for number in range(5)]
PAIRS = [pair_of(one, other) for one, other in combinations(KEYS, 2)]
STORE = "jsonl:/somewhere/memories.jsonl"


def memory(text: str | None) -> MemoryRecord:
    return MemoryRecord(Key("m", str(text)), text)


def test_what_was_told_is_there_again_with_time_and_store() -> None:
    [new] = apart.add([PAIRS[0]], STORE)
    assert apart.told() == [new]
    assert (new.pair, new.store, new.time[:2]) == (PAIRS[0], STORE, "20")
    assert apart.load().pairs == {PAIRS[0]}
    assert apart.add([PAIRS[0][::-1]], "elsewhere") == []


def test_nothing_is_told_at_first_and_reading_writes_nothing() -> None:
    assert apart.told() == []
    assert apart.load().pairs == frozenset()
    assert not data_dir().exists()


def test_what_was_forgotten_can_be_told_again() -> None:
    apart.add(PAIRS[:2], STORE)
    assert [each.pair for each in apart.forget([PAIRS[0], PAIRS[5]], STORE)] == [PAIRS[0]]
    assert apart.load().pairs == {PAIRS[1]}
    apart.add([PAIRS[0]], STORE)
    assert apart.load().pairs == set(PAIRS[:2])


def test_no_text_stands_in_the_list_and_nobody_else_reads_it() -> None:
    apart.add(apart.pairs_among([memory("my secret"), memory("my other secret")]), STORE)
    path = data_dir() / "apart.jsonl"
    assert b"secret" not in path.read_bytes()
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_all_pairs_of_a_set_are_told_and_memories_without_text_have_none() -> None:
    found = apart.pairs_among([memory("a"), memory("b"), memory("A"), memory(None), memory(" ")])
    a, b = content_key("a"), content_key("b")
    assert found == {pair_of(a, b), (a, a)}


def test_torn_and_foreign_lines_are_passed_over() -> None:
    apart.add(PAIRS[:2], STORE)
    path = data_dir() / "apart.jsonl"
    whole = path.read_bytes()
    odd = [b"\xff\xfe", b"[]", b"7", b'{"apart": ["x", "y"]}', b'{"apart": 1}', b'{"forget": null}', b'{"apart": ["a"']
    path.write_bytes(b"\n".join([*odd, whole]) + b"\n" + whole[: len(whole) // 3])
    assert apart.load().pairs == set(PAIRS[:2])
    apart.add([PAIRS[2]], STORE)
    assert apart.load().pairs == set(PAIRS[:3])


def test_two_who_tell_at_once_are_both_heard() -> None:
    with ThreadPoolExecutor(8) as workers:
        list(workers.map(lambda pair: apart.add([pair], STORE), PAIRS))
    assert apart.load().pairs == set(PAIRS)


def test_a_list_travels_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = apart.add(PAIRS[:3], STORE)
    assert apart.write_file(tmp_path / "apart.json") == 3
    monkeypatch.setenv("MEMDEFRAG_DATA_DIR", str(tmp_path / "other"))
    apart.add([PAIRS[1]], "mine")
    new = apart.read_file(tmp_path / "apart.json")
    assert {each.pair for each in new} == {PAIRS[0], PAIRS[2]}
    assert {each.pair: each.time for each in new}.items() <= {each.pair: each.time for each in before}.items()
    assert {each.pair: each.store for each in apart.told()}[PAIRS[1]] == "mine"
    assert apart.read_file(tmp_path / "apart.json") == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"memdefrag_apart": 2, "pairs": []}',
        '{"memdefrag_apart": 1}',
        '{"memdefrag_apart": 1, "pairs": [{"texts": ["a", "b"]}]}',
        json.dumps({"memdefrag_apart": 1, "pairs": [{"texts": PAIRS[0]}, {"texts": [PAIRS[0][0]]}]}),
        "[" * 5000,
    ],
)
def test_of_a_file_that_is_no_such_list_nothing_is_taken(tmp_path: Path, content: str) -> None:
    (tmp_path / "file").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError):
        apart.read_file(tmp_path / "file")
    assert apart.told() == []


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        apart.read_file(Path("/nowhere/at/all"))


def test_a_pair_is_found_by_the_beginning_of_its_id() -> None:
    one, other = apart.add(PAIRS[:2], STORE)
    assert apart.find(one.id) == one
    assert apart.find(other.id[:9]) == other
    for unclear in ("", "zzz"):
        with pytest.raises(UsageError, match="called"):
            apart.find(unclear)


STEPS = st.lists(st.tuples(st.booleans(), st.lists(st.sampled_from(PAIRS), max_size=4)), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_the_list_is_what_was_told_and_not_forgotten(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, list[Pair]]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMDEFRAG_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        expected: set[Pair] = set()
        for tell, pairs in steps:
            if tell:
                assert {each.pair for each in apart.add(pairs, STORE)} == set(pairs) - expected
                expected |= set(pairs)
            else:
                assert {each.pair for each in apart.forget(pairs, STORE)} == set(pairs) & expected
                expected -= set(pairs)
        assert apart.load().pairs == expected
        assert len({each.id for each in apart.told()}) == len(expected)
