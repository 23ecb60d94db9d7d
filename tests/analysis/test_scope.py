"""Who takes part, and who never belongs together; with real records of each kind of store."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.scope import Scope, owner_of, sources_of, text_of_piece, types_of
from memdefrag.model.address import Address
from memdefrag.model.records import Key, MemoryRecord, Snapshot, State
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.analysis.test_detect import TEA, grouped, memory, near, snapshot
from tests.conftest import fill
from tests.stores.enhanced_memory.files import make_enhanced
from tests.stores.hdev.server import put
from tests.stores.memory_service.files import make_service

DAY = 86_400.0


@pytest.mark.parametrize(
    ("scope", "admitted"),
    [
        (Scope(), True),
        (Scope(tags=frozenset({"work", "x"})), True),
        (Scope(tags=frozenset({"x"})), False),
        (Scope(types=frozenset({"NOTE"})), True),
        (Scope(types=frozenset({"decision"})), False),
        (Scope(sources=frozenset({"docs/*.md"})), True),
        (Scope(sources=frozenset({"docs"})), False),
        (Scope(collections=frozenset({"notes"})), True),
        (Scope(collections=frozenset({"other"})), False),
        (Scope(since=DAY), True),
        (Scope(since=DAY + 1), False),
        (Scope(until=DAY + 1), True),
        (Scope(until=DAY), False),
        (Scope(tags=frozenset({"work"}), since=2 * DAY), False),
    ],
)
def test_a_memory_must_meet_every_condition(scope: Scope, admitted: bool) -> None:
    metadata = {"memory_type": "Note", "source_file": "docs/guide.md"}
    assert scope.admits(memory("a", TEA, tags=("work",), metadata=metadata, created=DAY)) is admitted


def test_a_memory_of_unknown_time_meets_no_date() -> None:
    assert not Scope(since=1.0).admits(memory("a", TEA))
    assert not Scope(until=1e12).admits(memory("a", TEA))


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_time_is_divided_without_gap_or_overlap(created: float, since: float, until: float) -> None:
    record = memory("a", TEA, created=created)
    inside = Scope(since=since, until=until).admits(record)
    assert inside is (Scope(since=since).admits(record) and Scope(until=until).admits(record))
    assert Scope(since=until).admits(record) is not Scope(until=until).admits(record)


def test_what_is_out_of_scope_takes_no_part() -> None:
    records = snapshot(memory("a", TEA, tags=("x",)), memory("b", TEA, tags=("x",)), memory("c", TEA))
    found = analyze([records], AnalysisOptions(scope=Scope(tags=frozenset({"x"}))))
    assert grouped(found) == {frozenset("ab")}
    assert len(found.records) == 2


@pytest.mark.parametrize("key", ["user_id", "owner_id"])
def test_users_that_only_the_metadata_tells_apart_are_never_compared(key: str) -> None:
    users = ["ann", "bob", None]
    records = [memory(str(n), TEA, near(1), metadata={key: user} if user else {}) for n, user in enumerate(users)]
    assert analyze([snapshot(*records)]).groups(0.0) == []
    assert owner_of(memory("a", TEA, owner="ann", metadata={key: "bob"})) == "ann"


PIECES = [
    {"chunk_index": 0, "total_chunks": 3, "original_hash": "abc"},
    {"chunk_index": 2, "source_file": "guide.pdf"},
    {"chunk_number": 4, "document_id": 17},
    {"chunk_index": 1},
]


@pytest.mark.parametrize("metadata", PIECES)
def test_pieces_of_one_text_are_never_the_same(metadata: dict[str, object]) -> None:
    pieces = [memory(str(n), text, near(1), metadata=metadata) for n, text in enumerate([TEA, TEA, "Note: " + TEA])]
    assert analyze([snapshot(*pieces)]).groups(0.0) == []


def test_pieces_of_two_texts_may_be_the_same_and_so_may_a_whole_memory() -> None:
    places = [(name, number) for name in "ab" for number in (0, 1)]
    records = [memory(f"{name}{n}", TEA, metadata={"chunk_index": n, "parent_id": name}) for name, n in places]
    for group in analyze([snapshot(*records)]).groups():
        assert sorted(records[member].metadata["parent_id"] for member in group.members) == ["a", "b"]
    assert len(analyze([snapshot(records[0], memory("whole", TEA))]).groups()) == 1


def test_pieces_of_texts_of_the_same_name_in_two_collections_are_of_two_texts() -> None:
    metadata = {"chunk_index": 0, "source": "notes.txt"}
    one, other = (memory("a", TEA, collection=name, metadata=metadata) for name in ("one", "other"))
    assert len(analyze([snapshot(one, other)]).groups()) == 1


def test_a_record_without_a_number_is_no_piece() -> None:
    assert text_of_piece(memory("a", TEA, metadata={"parent_id": "x", "source": "y"})) is None


@pytest.mark.parametrize(
    "metadata", [{"is_chunk": True}, {"is_chunk": 1}, {"superseded_by": "b"}, {"deleted_at": 1.7e9}], ids=str
)
def test_what_the_metadata_says_is_gone_takes_no_part_in_whatever_store(metadata: dict[str, object]) -> None:
    found = analyze([snapshot(memory("a", TEA), memory("b", TEA, metadata=metadata, state=State.LIVE))])
    assert [record.key.id for record in found.records] == ["a"]


def read(place: Path) -> Snapshot:
    with open_store(str(place)) as store:
        return read_snapshot(store)


OUT = {"chunk": {"is_chunk": True}, "superseded": {"superseded_by": "a"}, "deleted": {"deleted_at": 1.7e9}}
"""Metadata of memories that say what "live" and "too" say."""


def told(name: str, metadata: dict[str, object]) -> MemoryRecord:
    return MemoryRecord(Key("memories", name), TEA, {"memory_type": "note", **metadata}, np.ones(4, np.float32))


def as_file(kind: str, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        records = [told("live", {}), told("too", {}), *(told(name, metadata) for name, metadata in OUT.items())]
        return fill(Address(kind, str(folder / name)), records)

    return make


def as_service(folder: Path) -> Path:
    path = make_service(folder / "service.db", 5)
    with closing(sqlite3.connect(path)) as made:
        made.execute("UPDATE memories SET content = ?", (TEA,))
        made.execute("UPDATE memories SET deleted_at = 1.7e9 WHERE id = 3")
        made.execute("UPDATE memories SET superseded_by = 'hash1' WHERE id = 4")
        made.execute("UPDATE memories SET metadata = ? WHERE id = 5", (json.dumps(OUT["chunk"]),))
        made.commit()
    return path


def as_enhanced(folder: Path) -> Path:
    path = make_enhanced(folder / "memory.db", count=5)
    with closing(sqlite3.connect(path)) as made:
        made.execute("UPDATE memories SET content = ?", (TEA,))
        made.execute("UPDATE memories SET is_active = 0 WHERE id = 3")
        made.execute("UPDATE memories SET owner_id = 8 WHERE id = 4")
        made.execute("UPDATE memories SET memory_metadata = ? WHERE id = 5", (json.dumps(OUT["superseded"]),))
        made.commit()
    return path


def as_hdev(folder: Path) -> Path:
    for name, metadata in {"live": {}, "too": {}, **OUT}.items():
        put(folder / "hdev", name, {"content": TEA, "metadata": {"created": "1.7e9", "updated": "1.7e9", **metadata}})
    return folder / "hdev"


STORES = {
    "jsonl": as_file("jsonl", "memories.jsonl"),
    "memory-export": as_file("memory-export", "memory_export.db"),
    "chroma": as_file("chroma", "chroma"),
    "memory-service": as_service,
    "enhanced": as_enhanced,
    "hdev": as_hdev,
}


@pytest.mark.parametrize("make", STORES.values(), ids=STORES)
def test_chunks_deleted_superseded_and_other_users_memories_are_never_grouped(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    found = analyze([read(make(tmp_path))])
    [group] = found.groups(0.0)
    assert len(group.members) == 2
    names = {found.records[member].key.id for member in group.members}
    assert names in ({"live", "too"}, {"hash1", "hash2"}, {"1", "2"})


def test_real_stores_tell_types_sources_and_what_is_gone(shared: Path, tmp_path: Path) -> None:
    export = read(Path(shutil.copy(shared / "fixtures/md_export.db", tmp_path)))
    of_chat = Scope(types=frozenset({"decision"}), sources=frozenset({"chat"}))
    chosen = [record for record in export if of_chat.admits(record)]
    assert chosen and all("decision" in types_of(each) and "chat" in sources_of(each) for each in chosen)
    service = read(Path(shutil.copy(shared / "fixtures/sqlite_vec_fresh12.db", tmp_path)))
    found = analyze([service])
    assert {record.key for record in found.records} == {each.key for each in service if each.state is State.LIVE}
    assert len(found.records) < len(service)
    assert any(Scope(types=frozenset({"decision"})).admits(each) for each in service)
