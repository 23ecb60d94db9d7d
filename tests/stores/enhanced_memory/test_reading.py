"""The Enhanced Memory System's databases, all formats."""

from __future__ import annotations

import base64
import gzip
import shutil
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import CollectionNotFound, NotAStore, UnsupportedFormat
from memdefrag.base.progress import Progress
from memdefrag.engine.migrate.run import migrate
from memdefrag.model.migration import Outcome
from memdefrag.model.plan import Changes, Ref
from memdefrag.model.records import Key, MemoryRecord, Relation, Snapshot, State
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.enhanced_memory.texts import decompressed
from memdefrag.stores.registry import open_store, resolve
from tests.stores.enhanced_memory.files import changed, make_enhanced, make_hybrid, vector


def snapshot(path: Path) -> Snapshot:
    with open_store(str(path)) as store:
        assert store.kind == "enhanced"
        return read_snapshot(store)


def record(path: Path, id: int = 1) -> MemoryRecord:
    return snapshot(path).by_key[Key("memories", str(id))]


def problems(path: Path) -> str:
    with open_store(str(path)) as store:
        return " ".join(store.problems())


@pytest.fixture
def enhanced(tmp_path: Path) -> Path:
    return make_enhanced(tmp_path / "memory.db")


@pytest.mark.parametrize("new", [True, False])
def test_a_row_is_read_with_all_it_says(tmp_path: Path, new: bool) -> None:
    found = record(make_enhanced(tmp_path / "memory.db", new=new), 2)
    assert (found.text, found.owner, found.created) == ("Text 2", "7", 1709287200.5)
    assert (found.tags, found.metadata) == (("a",), {"tags": ["a"]})
    assert found.extras["title"] == "Title 2"
    assert found.embedding is not None
    assert found.embedding.tolist() == vector(2).tolist()


@pytest.mark.parametrize(
    ("pack", "name"), [(gzip.compress, "gzip"), (zlib.compress, "zlib")], ids=["gzip", "zlib"]
)
def test_a_compressed_text_is_read_as_what_it_says(enhanced: Path, pack: object, name: str) -> None:
    assert callable(pack)
    packed = base64.b64encode(pack(f"Grüße, {name}".encode())).decode()
    changed(enhanced, "UPDATE memories SET content = ?, content_compressed = 1 WHERE id = 1", packed)
    assert record(enhanced).text == f"Grüße, {name}"
    assert problems(enhanced) == ""


@given(st.text())
def test_compressing_and_reading_gives_the_text(text: str) -> None:
    for pack in (gzip.compress, zlib.compress):
        assert decompressed(base64.b64encode(pack(text.encode())).decode()) == (text, "")


@given(st.text())
def test_what_is_not_compressed_stays_as_it_is(text: str) -> None:
    assert decompressed(text)[0] == text


def test_text_that_only_looks_compressed_is_not_touched(enhanced: Path) -> None:
    packed = base64.b64encode(zlib.compress(b"secret")).decode()
    changed(enhanced, "UPDATE memories SET content = ? WHERE id = 1", packed)
    assert record(enhanced).text == packed


def test_a_marked_text_that_does_not_unpack_is_kept_and_told(enhanced: Path) -> None:
    changed(enhanced, "UPDATE memories SET content = 'H4sIAAAA plain', content_compressed = 1 WHERE id = 1")
    assert record(enhanced).text == "H4sIAAAA plain"
    assert "marked as compressed and is not" in problems(enhanced)


def test_a_text_in_chunks_is_put_together_in_their_order(enhanced: Path) -> None:
    changed(enhanced, "UPDATE memories SET content = '', content_compressed = 1 WHERE id = 1")
    packed = base64.b64encode(zlib.compress(b"second")).decode()
    changed(enhanced, "INSERT INTO memory_chunks VALUES (1, 1, ?, 'zstd'), (1, 0, 'first, ', 'none')", packed)
    assert record(enhanced).text == "first, second"


def test_a_text_that_was_cut_is_told(enhanced: Path) -> None:
    changed(enhanced, "UPDATE memories SET content_size = 3000 WHERE id = 1")
    assert "less text than the 3,000 characters" in problems(enhanced)


def test_an_inactive_memory_is_a_deleted_one(enhanced: Path) -> None:
    changed(enhanced, "UPDATE memories SET is_active = 0 WHERE id = 1")
    assert record(enhanced).state is State.DELETED
    [info] = snapshot(enhanced).collections
    assert (info.count, info.live) == (3, 2)


@pytest.mark.parametrize("empty", ["null", None, ""])
def test_empty_metadata_is_none(enhanced: Path, empty: str | None) -> None:
    changed(enhanced, "UPDATE memories SET memory_metadata = ? WHERE id = 1", empty)
    assert (record(enhanced).metadata, problems(enhanced)) == ({}, "")


def test_relations_join_memories_and_contexts(enhanced: Path) -> None:
    values = "4, 'contains', 9, 2, NULL, NULL, 7, 0.5, 'null', '2024-03-01 10:00'"
    changed(enhanced, f"INSERT INTO relations VALUES ({values})")
    assert snapshot(enhanced).relations == (
        Relation("context:9", Key("memories", "2"), "contains", 0.5, {"owner_id": 7}, 1709287200.0),
    )


def test_a_vector_of_odd_bytes_is_told(enhanced: Path) -> None:
    changed(enhanced, "UPDATE memories SET embedding_vector = x'010203' WHERE id = 1")
    assert record(enhanced).embedding is None
    assert "a vector that cannot be read" in problems(enhanced)


def test_it_is_known_by_its_content(enhanced: Path) -> None:
    renamed = enhanced.rename(enhanced.with_name("backup_20250101_000000"))
    assert resolve(str(renamed)).kind == "enhanced"
    with open_store(str(renamed)) as store, pytest.raises(CollectionNotFound):
        list(store.scan("nope"))


def test_a_real_database_is_read_whole(shared: Path, tmp_path: Path) -> None:
    found = snapshot(Path(shutil.copyfile(shared / "fixtures/mcm_old.db", tmp_path / "memory")))
    assert (len(found), len(found.relations)) == (299, 159)
    assert Counter(record.state for record in found.records) == {State.LIVE: 289, State.DELETED: 10}
    assert sum(record.embedding is not None for record in found.records) == 80


def test_a_database_of_the_hybrid_storage_is_read(tmp_path: Path) -> None:
    path = make_hybrid(tmp_path / "memory.db")
    one, two = snapshot(path).records
    assert (one.text, one.tags, one.metadata, one.owner) == ("A short text", ("a",), {"tags": ["a"], "n": 1}, "7")
    assert (one.embedding, one.extras, one.created is not None) == (None, {"title": "One"}, True)
    assert (two.state, two.metadata) == (State.DELETED, {})
    assert "It is only read: it is one half of a hybrid storage" in problems(path)


def test_a_text_that_lies_beside_the_database_is_not_taken_for_its_name(tmp_path: Path) -> None:
    path, copy = make_hybrid(tmp_path / "memory.db"), tmp_path / "copy.jsonl"
    with open_store(str(path)) as store:
        assert store.collections()[0].count == 2
    report = migrate(str(path), f"jsonl:{copy}")
    assert (report.copied, report.failed) == (2, 1)
    [entry] = [entry for entry in report.entries if entry.outcome is Outcome.FAIL]
    assert (entry.source.id, "file:///data/three.txt" in entry.reason) == ("3", True)


def test_a_database_of_the_hybrid_storage_is_never_written(tmp_path: Path) -> None:
    path = make_hybrid(tmp_path / "memory.db")
    before = path.read_bytes()
    with open_store(str(path)) as store:
        assert not store.capabilities.writable
        with pytest.raises(UnsupportedFormat, match="hybrid"):
            store.write(Changes(delete=(Ref.of(record(path)),)), Progress())
    assert path.read_bytes() == before


def test_a_table_of_another_system_is_not_taken_for_a_hybrid_one(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    changed(path, "CREATE TABLE memories (id, title, content, metadata, created_at)")
    with pytest.raises(NotAStore):
        resolve(str(path))
    with open_store(f"enhanced:{path}") as store, pytest.raises(UnsupportedFormat) as raised:
        store.collections()
    assert "memory_metadata" in (raised.value.todo or "")
