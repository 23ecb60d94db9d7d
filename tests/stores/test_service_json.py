"""The JSON files of Memory Service's scripts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memdefrag.base.errors import CollectionNotFound, NotAStore, NotPermitted
from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.model.service_metadata import content_hash
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store, resolve

EXPORTED = {
    "content": "Tea at five.",
    "content_hash": "abc",
    "tags": ["tea", "a,b"],
    "created_at": 1.7e9,
    "updated_at": "2026-01-01T00:00:00Z",
    "memory_type": "note",
    "metadata": {"n": 1},
    "store": "home",
    "export_source": "desk",
    "embedding": [1, 0.5],
}
OLD = {"id": "xyz", "document": "Tea at six.", "metadata": {"tags": "tea,late", "timestamp": 1.6e9}, "embedding": None}


def exported(folder: Path, *memories: Any, said: Any = None) -> Path:
    """A sync export."""
    about = {"source_machine": "desk", "total_memories": len(memories) if said is None else said}
    path = folder / "export"
    path.write_text(json.dumps({"export_metadata": about, "memories": memories}, indent=2), encoding="utf-8")
    return path


def put_aside(folder: Path, *memories: Any) -> Path:
    """A file of the older backup script."""
    path = folder / "memory_backup_20250101_000000.json"
    content = {"timestamp": "20250101_000000", "total_memories": len(memories), "memories": memories}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read(path: Path) -> list[MemoryRecord]:
    with open_store(str(path)) as store:
        assert store.kind == "memory-service-json"
        return list(read_snapshot(store).records)


def problems(path: Path) -> list[str]:
    with open_store(str(path)) as store:
        return store.problems()


def test_an_exported_memory_is_read_with_all_it_says(tmp_path: Path) -> None:
    [record] = read(exported(tmp_path, EXPORTED))
    assert (record.key, record.text) == (Key("home", "abc"), "Tea at five.")
    assert (record.tags, record.created, record.updated) == (("tea", "a,b"), 1.7e9, 1767225600.0)
    assert (record.metadata, record.extras) == ({"n": 1}, {"memory_type": "note", "export_source": "desk"})
    assert record.embedding is not None
    assert record.embedding.tolist() == [1, 0.5]


def test_a_memory_of_the_older_backup_is_read_with_all_it_says(tmp_path: Path) -> None:
    [record] = read(put_aside(tmp_path, OLD))
    assert (record.key, record.text, record.embedding) == (Key("default", "xyz"), "Tea at six.", None)
    assert (record.tags, record.created, record.metadata) == (("tea", "late"), 1.6e9, OLD["metadata"])


def test_a_memory_without_an_id_is_named_by_its_text(tmp_path: Path) -> None:
    [record] = read(exported(tmp_path, {"content": "Tea."}))
    assert record.key.id == content_hash("Tea.")


def test_two_memories_of_one_id_are_both_kept_and_told(tmp_path: Path) -> None:
    path = exported(tmp_path, EXPORTED, {**EXPORTED, "content": "Another."})
    assert [record.text for record in read(path)] == ["Tea at five.", "Another."]
    assert problems(path) == ["Entry 2 has the id 'abc' of an earlier one."]


@pytest.mark.parametrize("entry", [5, None, "text", [], {}, {"content": 7}])
def test_an_entry_that_is_no_memory_is_told_and_stops_nothing(tmp_path: Path, entry: Any) -> None:
    path = exported(tmp_path, entry, EXPORTED)
    assert len(read(path)) == 1
    assert problems(path) == ["Entry 1 holds no text; only the file itself keeps it."]


@pytest.mark.parametrize("values", [[], "x", ["a"], [[1]], [None, 1, {}]])
def test_a_vector_that_is_none_is_left_out(tmp_path: Path, values: Any) -> None:
    [record] = read(exported(tmp_path, {**EXPORTED, "embedding": values}))
    assert (record.embedding, record.text) == (None, EXPORTED["content"])


def test_a_count_that_is_not_true_is_told(tmp_path: Path) -> None:
    assert problems(exported(tmp_path, EXPORTED, said=3)) == ["The file says it holds 3 memories; it holds 1."]


@pytest.mark.parametrize(
    "text",
    ['{"total_memories": 1}', '{"total_memories": 1, "memories": {}}', '{"export_metadata": 5, "memories": []}',
     '{"total_memories": ', '{"memories": []}', '"total_memories"'],
)  # fmt: skip
def test_other_json_is_not_taken_for_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NotAStore):
        resolve(str(path))


def test_a_backup_can_only_be_read(tmp_path: Path) -> None:
    with open_store(str(put_aside(tmp_path, OLD))) as store:
        with pytest.raises(NotPermitted):
            store.write(Changes(), Progress())
        with pytest.raises(CollectionNotFound):
            list(store.scan("nope"))


def test_what_no_change_names_keeps_its_spelling(tmp_path: Path) -> None:
    other = {**EXPORTED, "content_hash": "def", "future": {"x": [1]}}
    path = exported(tmp_path, {"note": "no text"}, EXPORTED, other)
    with open_store(str(path)) as store:
        [_, old] = read_snapshot(store).records
        new, losses = store.fit(replace(old, tags=("late",)))
        store.write(Changes((Put(new, record_hash(old)),)), Progress())
    told = json.loads(path.read_text(encoding="utf-8"))
    assert losses == ()
    assert told["memories"] == [{"note": "no text"}, EXPORTED, {**other, "tags": ["late"]}]
    assert told["export_metadata"] == {
        "source_machine": "desk", "total_memories": 3, "include_embeddings": True, "stores": ["home"]
    }  # fmt: skip


def test_a_new_export_has_what_the_services_import_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "new.json"
    foreign = MemoryRecord(Key("home", "my id"), "Tea.", {"type": "note"}, tags=("Tea",), uri="file:///tea")
    with open_store(Address("memory-service-json", str(path)), must_exist=False) as store:
        key = store.key_for("home", foreign)
        fitted, losses = store.fit(store.adopted(foreign).with_key(key))
        store.write(Changes((Put(fitted, None),)), Progress())
    assert losses == ("the uri",)
    [entry] = json.loads(path.read_text(encoding="utf-8"))["memories"]
    assert entry == {
        "content": "Tea.", "content_hash": content_hash("Tea."), "tags": ["Tea"], "created_at": None,
        "updated_at": None, "memory_type": "note", "metadata": {"type": "note"}, "store": "home",
    }  # fmt: skip
    assert resolve(str(path)).kind == "memory-service-json"
