from __future__ import annotations

import numpy as np
import pytest

from memdefrag.analysis.junk import OVERSIZED_CHARACTERS, JunkKind, junk
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot, State

SOUND = np.array([1, 2, 3], np.float32)


def store(*records: MemoryRecord) -> Snapshot:
    return Snapshot("a", (CollectionInfo("c", len(records), len(records), 0),), records)


def memory(text: str | None, embedding: np.ndarray | None = SOUND, id: str = "1") -> MemoryRecord:
    return MemoryRecord(Key("c", id), text, embedding=embedding)


def kinds(record: MemoryRecord, *others: MemoryRecord) -> list[JunkKind]:
    return [found.kind for found in junk(store(record, *others)) if found.record is record]


@pytest.mark.parametrize("text", [None, "", " \n\t"])
def test_a_memory_without_text_is_empty(text: str | None) -> None:
    assert kinds(memory(text)) == [JunkKind.EMPTY]


@pytest.mark.parametrize("text", [".", "ok", "--", "?", "- x", "Note: ok", "好"])
def test_a_memory_of_a_sign_or_two_is_nearly_empty(text: str) -> None:
    assert kinds(memory(text)) == [JunkKind.NEARLY_EMPTY]


@pytest.mark.parametrize(
    "text",
    ["test", "Test memory", "This is a test.", "just testing 123", "test_1", "Test entry, please ignore", "foo bar",
     "hello world", "asdf", "Lorem ipsum dolor sit amet, consectetur", "测试", "这是一个测试", "Esto es una prueba"],
)
def test_what_was_typed_to_try_things_out_is_a_test(text: str) -> None:
    assert kinds(memory(text)) == [JunkKind.TEST]


@pytest.mark.parametrize(
    "text",
    ["Bob", "Tea!", "42 kg", "The test server is db-7", "Run the tests with pytest", "Test results are due on Friday",
     "Foo Fighters is my favourite band", "喜欢茶", "User hates tests", "Barbara", "Hello, World of Warcraft is fun"],
)
def test_what_says_something_is_no_junk(text: str) -> None:
    assert kinds(memory(text)) == []


def test_a_huge_memory_is_oversized() -> None:
    assert kinds(memory("word " * (OVERSIZED_CHARACTERS // 5 + 1))) == [JunkKind.OVERSIZED]


@pytest.mark.parametrize(
    "vector",
    [np.zeros(3, np.float32), np.array([1, np.nan, 0], np.float32), np.array([1, np.inf, 0], np.float32),
     np.ones(2, np.float32), None],
    ids=["zero", "nan", "infinite", "other dimension", "missing"],
)
def test_a_vector_that_no_search_can_use_is_bad(vector: np.ndarray | None) -> None:
    others = [memory("Likes tea", id="2"), memory("Likes milk", id="3")]
    assert kinds(memory("Likes coffee", vector), *others) == [JunkKind.BAD_VECTOR]


def test_where_no_memory_has_a_vector_none_is_missing() -> None:
    assert kinds(memory("Likes coffee", None), memory("Likes tea", None, id="2")) == []


def test_kinds_come_one_after_the_other() -> None:
    records = [memory("test", id="1"), memory("", id="2"), memory("test", id="3"), memory("ok", id="4")]
    assert [found.record.key.id for found in junk(store(*records))] == ["2", "4", "1", "3"]


def test_what_the_store_no_longer_shows_is_not_listed() -> None:
    gone = MemoryRecord(Key("c", "1"), "", state=State.DELETED)
    assert junk(store(gone)) == []
