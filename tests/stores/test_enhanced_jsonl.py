"""The Enhanced Memory System's folders of JSON lines."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from memdefrag.model.records import Key, MemoryRecord, Relation, State
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store, resolve

MEMORY = {"id": 1, "user_id": 7, "title": "Tea", "content": "Likes tea.", "metadata": {"n": 1}, "tags": ["a"],
          "created_at": "1970-01-01T00:00:05", "access_level": "user"}  # fmt: skip
RELATION = {"source_type": "memory", "source_id": 1, "target_type": "memory", "target_id": 2,
            "relation_type": "contains"}  # fmt: skip
ONE, TWO = Key("memories", "1"), Key("memories", "2")


def folder(path: Path, **files: list[Any]) -> Path:
    for name, lines in files.items():
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (path / f"{name}.jsonl").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def problems(path: Path) -> list[str]:
    with open_store(str(path)) as store:
        return store.problems()


def relations(path: Path) -> list[Relation]:
    with open_store(str(path)) as store:
        return list(store.relations())


def test_a_memory_of_the_migration_is_read(tmp_path: Path) -> None:
    with open_store(str(folder(tmp_path, memories=[MEMORY]))) as store:
        assert read_snapshot(store).records == (
            MemoryRecord(ONE, "Likes tea.", {"n": 1}, tags=("a",), created=5.0, owner="7",
                         extras={"title": "Tea", "access_level": "user"}),
        )  # fmt: skip
        assert store.problems() == []


def test_a_memory_of_the_validator_is_read(tmp_path: Path) -> None:
    told = {"id": 2, "owner_id": 7, "title": "Tea", "content": "t", "memory_metadata": {"tags": "x"}, "is_active": 0}
    with open_store(str(folder(tmp_path, memories=[told]))) as store:
        [record] = read_snapshot(store)
    assert (record.key, record.owner, record.metadata, record.tags) == (TWO, "7", {"tags": "x"}, ("x",))
    assert record.state is State.DELETED


@pytest.mark.parametrize("name", ["", "memories.jsonl", "users.jsonl"])
def test_the_folder_and_every_file_of_it_name_the_store(tmp_path: Path, name: str) -> None:
    folder(tmp_path, memories=[MEMORY], users=[])
    address = resolve(str(tmp_path / name))
    assert (address.kind, address.path) == ("enhanced-jsonl", tmp_path)


def test_a_file_of_memories_alone_is_read(tmp_path: Path) -> None:
    path = folder(tmp_path, saved=[MEMORY]) / "saved.jsonl"
    with open_store(str(path)) as store:
        assert store.kind == "enhanced-jsonl"
        assert [record.key for record in read_snapshot(store)] == [ONE]


def test_relations_of_both_dialects_are_read(tmp_path: Path) -> None:
    told = [
        RELATION,
        {"name": "near", "source_memory_id": 1, "target_context_id": 5, "strength": 0.5, "relation_metadata": {"n": 1}},
        {**RELATION, "source_type": "context", "source_id": 5, "metadata": {"m": 2}, "created_at": 5},
    ]
    path = folder(tmp_path, memories=[MEMORY], relations=told)
    assert relations(path) == [
        Relation(ONE, TWO, "contains"),
        Relation(ONE, "context:5", "near", 0.5, {"n": 1}),
        Relation("context:5", TWO, "contains", None, {"m": 2}, 5.0),
    ]
    assert problems(path) == []


def test_bad_lines_are_told_and_the_rest_is_read(tmp_path: Path) -> None:
    path = folder(
        tmp_path,
        users=[{"username": "a", "email": "a@b.invalid", "password": "long enough"}, {"username": "a", "email": "no"}],
        contexts=[{"name": "Work", "user_id": 1}, {"name": "no user"}],
        memories=["{broken", MEMORY, {"id": 3, "title": "x", "user_id": 1}, {**MEMORY, "id": 4, "title": "t" * 256},
                  {"id": 5, "content": "t"}],
        relations=[{**RELATION, "relation_type": "odd"}, {"source_id": 1}],
    )  # fmt: skip
    with open_store(str(path)) as store:
        assert [record.key.id for record in read_snapshot(store)] == ["1", "4", "5"]
    assert problems(path) == [
        "Line 2 of contexts.jsonl is no context that the system takes: it needs a name and a user.",
        "Line 1 of memories.jsonl is no JSON object.",
        "Line 3 of memories.jsonl holds no text; only the file itself keeps it.",
        "Line 4 of memories.jsonl is longer than the system allows.",
        "Line 5 of memories.jsonl names no user.",
        "Line 1 of relations.jsonl has a relation_type that the system does not know: 'odd'.",
        "Line 2 of relations.jsonl does not say what it joins; only the file itself keeps it.",
        "Line 2 of users.jsonl is no user that the system takes: it needs a name, an e-mail and a password.",
    ]
    assert [relation.type for relation in relations(path)] == ["odd"]


def test_passwords_stay_where_they_are(tmp_path: Path) -> None:
    user = {"username": "a", "email": "a@b.invalid", "password": "not to be seen"}
    with open_store(str(folder(tmp_path, memories=[MEMORY], users=[user]))) as store:
        assert "not to be seen" not in repr(read_snapshot(store)) + repr(store.problems())


def test_the_real_files_are_read(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "jsonl"
    shutil.copytree(shared / "fixtures" / "mcm_jsonl", path)
    with open_store(str(path)) as store:
        found = read_snapshot(store)
        assert store.kind == "enhanced-jsonl"
        assert [record.key.id for record in found] == [*(str(number) for number in range(1, 66)), "901"]
        assert len(found.relations) == 6
        assert len(store.problems()) == 7
