"""Links between memories in JSON lines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord, Relation
from memdefrag.stores.base import Store
from memdefrag.stores.registry import open_store
from tests.stores.contract import everything
from tests.stores.test_jsonl import make

ONE, TWO, FAR = Key("memories", "1"), Key("memories", "2"), Key("other", "2")
LINK = Relation(ONE, TWO, "because", 0.5, {"n": 1}, 7.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl"


def linked(path: Path, *links: Relation) -> Store:
    """Two memories and these links."""
    puts = (Put(MemoryRecord(ONE, "one"), None), Put(MemoryRecord(TWO, "two"), None))
    store = open_store(f"jsonl:{path}", must_exist=False)
    store.write(Changes(put=puts, relate=links), Progress())
    return store


def test_a_target_is_all_that_a_link_needs(path: Path) -> None:
    store = make(path, {"id": 1, "text": "t", "relations": [{"target": 2}]})
    assert list(store.relations()) == [Relation(ONE, TWO)]
    assert store.problems() == []


def test_ends_may_lie_in_other_collections_and_outside_the_store(path: Path) -> None:
    links = [{"target": {"collection": "other", "id": "2"}}, {"target": {"reference": "issue 5"}, "type": "see"}]
    store = make(path, {"id": "1", "text": "t", "relations": links})
    assert list(store.relations()) == [Relation(ONE, FAR), Relation(ONE, "issue 5", "see")]


def test_keys_that_links_do_not_have_belong_to_their_metadata(path: Path) -> None:
    fields = {"target": "2", "since": 1999, "metadata": {"n": 1}, "strength": 1, "created_at": "1970-01-01T00:00:07Z"}
    store = make(path, {"id": "1", "text": "t", "relations": [fields]})
    assert list(store.relations()) == [Relation(ONE, TWO, "related", 1.0, {"since": 1999, "n": 1}, 7.0)]


def test_a_link_may_stand_on_a_line_of_its_own(path: Path) -> None:
    store = make(path, {"text": "t"}, {"relation": {"source": {"reference": "me"}, "target": "1"}})
    assert list(store.relations()) == [Relation("me", ONE)]
    assert len(everything(store)) == 1
    assert store.problems() == []


@pytest.mark.parametrize(
    "entry",
    [5, {}, {"target": ""}, {"target": None}, {"target": "2", "type": 5}, {"target": "2", "strength": "strong"},
     {"target": "2", "strength": True}, {"target": "2", "metadata": [1]}, {"target": "2", "created_at": "soon"},
     {"target": {"collection": 5, "id": "1"}}, {"target": {"id": [1]}}],
)  # fmt: skip
def test_a_link_that_cannot_be_understood_is_told_and_kept(path: Path, entry: object) -> None:
    store = make(path, {"id": "1", "text": "t", "relations": [entry, {"target": "2"}]}, {"relation": entry})
    assert list(store.relations()) == [Relation(ONE, TWO)]
    assert store.problems() == [f"Line {number} has a link that cannot be understood." for number in (1, 2)]
    store.write(Changes(unrelate=(Relation(ONE, TWO),), relate=(LINK,)), Progress())
    assert json.loads(path.read_bytes().split(b"\n")[0])["relations"][0] == entry
    assert list(store.relations()) == [LINK]


def test_links_are_written_on_the_line_of_their_memory(path: Path) -> None:
    links = (LINK, Relation(ONE, FAR, "see"), Relation(TWO, "issue 5"))
    store = linked(path, *links)
    assert list(store.relations()) == list(links)
    first, second = (json.loads(line)["relations"] for line in path.read_bytes().splitlines())
    because = {"target": "2", "type": "because", "strength": 0.5, "metadata": {"n": 1}, "created_at": 7.5}
    assert first == [because, {"target": {"collection": "other", "id": "2"}, "type": "see"}]
    assert second == [{"target": {"reference": "issue 5"}, "type": "related"}]


def test_a_link_from_no_memory_of_the_file_gets_a_line_of_its_own(path: Path) -> None:
    links = (Relation("me", ONE, "likes"), Relation(FAR, TWO))
    assert list(linked(path, *links).relations()) == list(links)
    assert len(path.read_bytes().splitlines()) == 4


def test_a_link_outlives_a_change_of_its_memory_and_its_end_where_nobody_removes_it(path: Path) -> None:
    store = linked(path, LINK)
    [one, _] = everything(store).values()
    store.write(Changes(put=(Put(replace(one, text="new"), record_hash(one)),)), Progress())
    assert list(store.relations()) == [LINK]
    store.write(Changes(delete=(Ref.of(everything(store)[ONE]),)), Progress())
    assert list(store.relations()) == [LINK]
    store.write(Changes(put=(Put(one, None),), unrelate=(LINK,)), Progress())
    assert list(store.relations()) == []


def test_lines_whose_links_do_not_change_keep_every_byte(path: Path) -> None:
    lines = [b'{ "id":"1", "text":"t",  "relations":[ {"target":"2"} ]}', b'{"relation":{"source": "2","target":"1"} }']
    store = make(path, *lines)
    store.write(Changes(relate=(Relation(TWO, ONE, "new"),)), Progress())
    assert path.read_bytes().splitlines()[:2] == lines


def test_half_characters_in_links_are_given_back(path: Path) -> None:
    odd = Relation(ONE, "\ud83d", "\udcff", None, {"\ud83d": "\ud83d"})
    assert list(linked(path, odd).relations()) == [odd]
