"""Memory Service's SQLite databases, read by plain SQL."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from memdefrag.base.errors import CollectionNotFound
from memdefrag.model.records import Key, MemoryRecord, Relation, Snapshot, State
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store, resolve
from tests.stores.memory_service.files import CHUNK, changed, make_service, vector


def snapshot(path: Path) -> Snapshot:
    with open_store(str(path)) as store:
        assert store.kind == "memory-service"
        return read_snapshot(store)


def by_id(path: Path) -> dict[str, MemoryRecord]:
    return {record.key.id: record for record in snapshot(path).records}


@pytest.fixture
def service(tmp_path: Path) -> Path:
    return make_service(tmp_path / "sqlite_vec.db")


def test_a_row_is_read_with_all_it_says(service: Path) -> None:
    record = by_id(service)["hash2"]
    assert (record.key, record.text, record.metadata) == (Key("default", "hash2"), "Text 2", {"n": 2})
    assert (record.tags, record.created, record.updated) == (("tag2", "both"), 1.7e9 + 2, 1.8e9 + 2)
    assert record.extras == {"memory_type": "note"}
    assert record.embedding is not None
    assert record.embedding.tolist() == vector(2).tolist()


def test_versions_before_stores_and_deletions_are_read(tmp_path: Path) -> None:
    found = snapshot(make_service(tmp_path / "old.db", new=False))
    [info] = found.collections
    assert (info.name, info.count, info.live, info.with_embedding, info.metric) == ("default", 3, 3, 3, "l2")
    assert all(record.embedding is not None for record in found.records)


def test_vectors_of_several_chunks_are_each_their_own(tmp_path: Path) -> None:
    found = by_id(make_service(tmp_path / "many.db", count=2 * CHUNK + 3))
    for name, record in found.items():
        assert record.embedding is not None
        assert record.embedding.tolist() == vector(int(name[4:])).tolist()


def test_deleted_replaced_and_cut_up_memories_say_so(service: Path) -> None:
    changed(
        service,
        "UPDATE memories SET deleted_at = 1.0 WHERE id = 1",
        "UPDATE memories SET superseded_by = 'hash3' WHERE id = 2",
        """UPDATE memories SET metadata = '{"is_chunk": true}' WHERE id = 3""",
    )
    found = by_id(service)
    assert [found[f"hash{n}"].state for n in (1, 2, 3)] == [State.DELETED, State.SUPERSEDED, State.CHUNK]
    [info] = snapshot(service).collections
    assert (info.count, info.live) == (3, 1)


def test_the_services_stores_are_collections(service: Path) -> None:
    changed(service, "UPDATE memories SET store = 'projects' WHERE id = 2")
    changed(service, "UPDATE memories SET store = NULL WHERE id = 3")
    found = snapshot(service)
    assert {info.name: info.count for info in found.collections} == {"default": 2, "projects": 1}
    assert found.by_key[Key("projects", "hash2")].text == "Text 2"


def test_links_are_read_also_those_to_what_is_gone(service: Path) -> None:
    changed(
        service,
        """INSERT INTO memory_graph VALUES ('hash1', 'gone', 0.5, '["causal"]', '{"why": 1}', 5.0, 'causes')""",
    )
    assert snapshot(service).relations == (
        Relation(Key("default", "hash1"), "gone", "causes", 0.5, {"connection_types": '["causal"]', "why": 1}, 5.0),
    )


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM memory_embeddings_rowids WHERE rowid = 2",
        "UPDATE memory_embeddings_rowids SET chunk_offset = 900 WHERE rowid = 2",
        "UPDATE memory_embeddings_rowids SET chunk_id = 77 WHERE rowid = 2",
        "UPDATE memory_embeddings_rowids SET chunk_offset = 0 WHERE rowid = 2",
        "UPDATE memory_embeddings_chunks SET validity = x'fd'",
    ],
)
def test_a_vector_the_tables_contradict_each_other_about_is_none(service: Path, damage: str) -> None:
    found = by_id(changed(service, damage))
    assert [found[f"hash{n}"].embedding is not None for n in (1, 2, 3)] == [True, False, True]
    with open_store(str(service)) as store:
        assert any("'hash2'" in problem for problem in store.problems())


@pytest.mark.parametrize("table", ["chunks SET rowids = x'00'", "vector_chunks00 SET vectors = x'00'"])
def test_a_chunk_of_a_wrong_size_is_not_read(service: Path, table: str) -> None:
    found = by_id(changed(service, f"UPDATE memory_embeddings_{table}"))
    assert all(record.embedding is None for record in found.values())
    assert len(found) == 3


def test_what_cannot_be_understood_is_kept_as_it_stands(service: Path) -> None:
    changed(
        service,
        "UPDATE memories SET metadata = 'no json', content = cast(x'ff41fe' as text) WHERE id = 1",
        "UPDATE memories SET memory_type = x'0102' WHERE id = 2",
    )
    found = by_id(service)
    assert (found["hash1"].text, found["hash1"].extras["metadata"]) == ("\udcffA\udcfe", "no json")
    assert found["hash2"].extras["memory_type"] == "memdefrag:base64:AQI="


def test_an_unknown_store_is_told(service: Path) -> None:
    with open_store(str(service)) as store, pytest.raises(CollectionNotFound):
        list(store.scan("nope"))


def test_it_is_known_by_its_content(service: Path, export_file: Path) -> None:
    renamed = service.rename(service.with_name("backup_20250101"))
    assert resolve(str(renamed)).kind == "memory-service"
    assert resolve(str(export_file)).kind == "memory-export"


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("sqlite_vec_v7.db", (160, 160, 0, {State.LIVE: 160})),
        ("sqlite_vec_fresh12.db", (117, 105, 30, {State.LIVE: 102, State.DELETED: 12, State.SUPERSEDED: 3})),
    ],
)
def test_real_databases_are_read_whole(
    shared: Path, tmp_path: Path, name: str, counts: tuple[int, int, int, dict[State, int]]
) -> None:
    found = snapshot(Path(shutil.copyfile(shared / "fixtures" / name, tmp_path / name)))
    vectors = [record.embedding for record in found.records if record.embedding is not None]
    assert (len(found), len(vectors), len(found.relations), Counter(record.state for record in found.records)) == counts
    assert all(abs(np.linalg.norm(each) - 1) < 1e-3 for each in vectors)
    assert sum(info.with_embedding for info in found.collections) == len(vectors)
