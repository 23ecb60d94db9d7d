"""Exports of mem0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.base.errors import NotAStore, NotPermitted, UnsupportedFormat
from memdefrag.base.progress import Progress
from memdefrag.model.plan import Changes
from memdefrag.model.records import Key, MemoryRecord, Relation
from memdefrag.model.service_metadata import content_hash
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store, resolve
from tests.stores.test_jsonl import values

MEMORY = {
    "id": "892db2ae-06d9-49e5-8b3e-585ef9b85b8e",
    "memory": "Likes tea.",
    "hash": "bb9e",
    "metadata": {"category": "drinks", "n": 1},
    "categories": ["food", "taste"],
    "created_at": "2024-07-25T23:57:00.108347-07:00",
    "updated_at": None,
    "user_id": "alex",
    "run_id": None,
}
RECORD = MemoryRecord(
    Key("memories", MEMORY["id"]),  # type: ignore[arg-type]
    "Likes tea.",
    {"category": "drinks", "n": 1},
    tags=("food", "taste"),
    created=1721977020.108347,
    owner="alex",
    extras={"hash": "bb9e", "run_id": None},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memories.json"


def opened(path: Path, content: Any) -> Store:
    path.write_text(json.dumps(content), encoding="utf-8")
    assert resolve(str(path)).kind == "mem0"
    return open_store(str(path))


@pytest.mark.parametrize("content", [{"results": [MEMORY]}, [MEMORY], MEMORY, {"results": [MEMORY], "total": 1}])
def test_memories_are_read_from_every_form(path: Path, content: Any) -> None:
    with opened(path, content) as store:
        assert read_snapshot(store).records == (RECORD,)
        assert store.problems() == []


def test_memories_are_read_from_lines(tmp_path: Path) -> None:
    path = tmp_path / "memories.jsonl"
    path.write_text(f"{json.dumps(MEMORY)}\n\n{{broken\n{json.dumps({'memory': 'Tea.'})}\n", encoding="utf-8")
    with open_store(str(path)) as store:
        assert store.kind == "mem0"
        assert [record.text for record in read_snapshot(store)] == ["Likes tea.", "Tea."]
        assert store.problems() == ["Entry 2 holds no memory; only the file itself keeps it."]


def test_relations_join_names(path: Path) -> None:
    relations = [
        {"source": "alex", "relationship": "likes", "target": "tea"},
        {"source": "alex", "relationship": "knows", "destination": "sam", "score": 0.5},
        {"source": "alex"},
        7,
    ]
    with opened(path, {"results": [MEMORY], "relations": relations}) as store:
        assert list(store.relations()) == [
            Relation("alex", "tea", "likes"),
            Relation("alex", "sam", "knows", metadata={"score": 0.5}),
        ]
        assert len(store.problems()) == 2


def test_memories_without_a_name_or_with_one_that_is_taken_are_named(path: Path) -> None:
    with opened(path, [{"memory": "Tea."}, {"id": 1, "memory": "a"}, {"id": "1", "memory": "b"}]) as store:
        assert [record.key.id for record in read_snapshot(store)] == [content_hash("Tea."), "1", "1#2"]
        assert store.problems() == ["Entry 3 has the id '1' of an earlier one (named '1#2' here)."]


def test_tags_of_the_metadata_count_where_there_are_no_categories(path: Path) -> None:
    with opened(path, [{"memory": "t", "metadata": {"tags": "a,b"}, "categories": None}]) as store:
        assert [record.tags for record in read_snapshot(store)] == [("a", "b")]


def test_it_can_only_be_read(path: Path) -> None:
    with opened(path, [MEMORY]) as store, pytest.raises(NotPermitted):
        store.write(Changes(), Progress())


@pytest.mark.parametrize("content", ['{"results": []}', '[{"memory": 5}]', '{"memory": {}}', '["memory"]', '{"memory'])
def test_other_json_is_not_taken_for_it(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(NotAStore):
        resolve(str(path))
    with pytest.raises(UnsupportedFormat):
        open_store(f"mem0:{path}").collections()


fields = st.sampled_from(["id", "metadata", "categories", "created_at", "user_id", "x"])
odd = st.dictionaries(fields, values, max_size=5)


@given(entries=st.lists(odd | values, max_size=3), relations=values | st.lists(odd | values, max_size=3))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_in_it_stops_the_rest_from_being_read(tmp_path: Path, entries: list[Any], relations: Any) -> None:
    said = [{**entry, "memory": "t"} if isinstance(entry, dict) else entry for entry in entries]
    with opened(tmp_path / "x.json", {"results": [*said, MEMORY], "relations": relations}) as store:
        texts = [record.text for record in read_snapshot(store)]
    assert texts.count("Likes tea.") == 1
    assert len(texts) == 1 + sum(isinstance(entry, dict) and "text" not in entry for entry in entries)
