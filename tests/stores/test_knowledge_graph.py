"""The memory server's knowledge graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memdefrag.model.records import Key, MemoryRecord, Relation
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store, resolve

TEA = {"type": "entity", "name": "tea", "entityType": "drink", "observations": ["Is hot.", "Is green."]}
LIKES = {"type": "relation", "from": "alex", "to": "tea", "relationType": "likes"}


def opened(path: Path, *lines: Any) -> Store:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    return open_store(str(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.jsonl"


def test_each_observation_is_a_memory(path: Path) -> None:
    with opened(path, TEA, LIKES) as store:
        assert store.kind == "knowledge-graph"
        about = {"entity": "tea", "entity_type": "drink"}
        assert read_snapshot(store).records == (
            MemoryRecord(Key("memories", "tea/1"), "Is hot.", about, tags=("tea", "drink")),
            MemoryRecord(Key("memories", "tea/2"), "Is green.", about, tags=("tea", "drink")),
        )
        assert list(store.relations()) == [Relation("alex", "tea", "likes")]
        assert store.problems() == []


def test_what_other_servers_add_is_kept(path: Path) -> None:
    told = {"content": "Is hot.", "timestamp": "1970-01-01T00:00:05Z"}
    entity = {**TEA, "observations": [told], "confidence": 0.5}
    with opened(path, entity, {**LIKES, "createdAt": 7, "weight": 2}) as store:
        [record] = read_snapshot(store)
        assert (record.text, record.created) == ("Is hot.", 5.0)
        assert record.extras == {"timestamp": told["timestamp"], "confidence": 0.5}
        assert list(store.relations()) == [
            Relation("alex", "tea", "likes", metadata={"createdAt": 7, "weight": 2}, created=7.0)
        ]


def test_what_is_no_memory_is_told_and_stops_nothing(path: Path) -> None:
    odd = [{**TEA, "name": "empty", "observations": []}, {**TEA, "name": "odd", "observations": [5, {"content": None}]}]
    with opened(path, "{broken", *odd, {"type": "relation", "from": 5}, {"type": "x"}, TEA) as store:
        assert [record.text for record in read_snapshot(store)] == ["Is hot.", "Is green."]
        assert store.problems() == [
            "Line 1 is no entity and no relation; only the file itself keeps it.",
            "Line 2 tells nothing of the entity 'empty'; only the file itself keeps it.",
            "Line 3 has an observation without text; only the file itself keeps it.",
            "Line 3 has an observation without text; only the file itself keeps it.",
            "Line 4 is no entity and no relation; only the file itself keeps it.",
            "Line 5 is no entity and no relation; only the file itself keeps it.",
        ]


def test_an_entity_that_comes_twice_keeps_all_its_observations(path: Path) -> None:
    with opened(path, TEA, TEA) as store:
        assert [record.key.id for record in read_snapshot(store)] == ["tea/1", "tea/2", "tea/1#2", "tea/2#2"]


@pytest.mark.parametrize("line", [{"type": "entity", "name": "x"}, {"type": "entity", "text": "t"}, {"text": "t"}])
def test_other_lines_are_not_taken_for_it(path: Path, line: dict[str, Any]) -> None:
    path.write_text(json.dumps(line), encoding="utf-8")
    assert resolve(str(path)).kind == "jsonl"
