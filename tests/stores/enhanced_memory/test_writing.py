"""What is written into databases of the Enhanced Memory System is what the system itself would have written."""

from __future__ import annotations

import base64
import gzip
import shutil
import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import CollectionNotFound, StoreChanged, UnsupportedFormat, UsageError
from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash, relation_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, State
from memdefrag.stores.base import StoreSettings, read_snapshot
from memdefrag.stores.enhanced_memory import EnhancedMemory
from memdefrag.stores.enhanced_memory.texts import compressed, decompressed
from memdefrag.stores.registry import open_store
from tests.stores.enhanced_memory.files import MOMENT, SHAPES, changed, rows

LONG = "The same thing, said over and over. " * 400
SIMPLE = MemoryRecord(Key("memories", "5"), "A text", owner="2", extras={"title": "T"})


@pytest.fixture(params=SHAPES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return SHAPES[request.param](tmp_path / "memory.db")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return SHAPES["new"](tmp_path / "memory.db")


def opened(path: Path, **settings: Any) -> EnhancedMemory:
    store = open_store(Address("enhanced", str(path)), StoreSettings(**settings), must_exist=False)
    assert isinstance(store, EnhancedMemory)
    return store


def put(path: Path, record: MemoryRecord) -> tuple[str, ...]:
    """Write a record over what is there; what was lost."""
    with opened(path) as store:
        fitted, losses = store.fit(record)
        there = store.fetch([record.key]) if path.exists() else []
        store.write(Changes((Put(fitted, record_hash(there[0]) if there else None),)), Progress())
        assert record_hash(store.fetch([record.key])[0]) == record_hash(fitted)
    return losses


def said(path: Path, *names: str) -> tuple[object, ...]:
    [row] = rows(path, f"SELECT {', '.join(names)} FROM memories WHERE id = 5")
    return row


def test_a_row_is_what_the_system_makes(path: Path) -> None:
    full = replace(
        SIMPLE, metadata={"k": 1}, tags=("a", "b"), created=1709283600.123456, updated=1709283600.123456,
        embedding=np.array([1, 0.5], np.float32), extras={"title": "T", "context_id": 3, "access_level": "public"},
    )  # fmt: skip
    assert put(path, full) == ()
    assert said(path, "title", "owner_id", "context_id", "access_level", "version", "is_active") == (
        "T", 2, 3, "public", 1, 1,
    )  # fmt: skip
    assert said(path, "created_at", "updated_at", "memory_metadata") == (MOMENT, MOMENT, '{"k": 1, "tags": ["a", "b"]}')
    assert said(path, "embedding_vector") == (np.array([1, 0.5], "<f4").tobytes(),)


def test_a_new_row_without_more_has_what_the_system_gives_by_itself(new: Path) -> None:
    put(new, replace(SIMPLE, extras={}))
    assert said(new, "title", "access_level", "version", "access_count", "content_compressed", "content_size") == (
        "A text", "user", 1, 0, 0, 6,
    )  # fmt: skip


def test_a_long_text_is_compressed_as_the_systems_migration_does(new: Path) -> None:
    put(new, replace(SIMPLE, text=LONG))
    content, flag, size = said(new, "content", "content_compressed", "content_size")
    assert (flag, size) == (1, len(LONG))
    assert gzip.decompress(base64.b64decode(str(content), validate=True)).decode() == LONG


def test_older_databases_get_plain_texts(tmp_path: Path) -> None:
    path = SHAPES["old"](tmp_path / "memory.db")
    put(path, replace(SIMPLE, text=LONG))
    assert said(path, "content") == (LONG,)


def test_texts_are_compressed_above_the_systems_limit_and_only_if_that_is_shorter() -> None:
    assert compressed("x" * 10_240) is None
    assert compressed("x" * 10_241) is not None
    noise = base64.b85encode(np.random.default_rng(1).bytes(20_000)).decode()
    assert compressed(noise) is None
    assert compressed("x" * 20_000 + "\udcff") is None


@given(st.text(min_size=100), st.integers(200, 400))
def test_compressed_texts_read_back(text: str, times: int) -> None:
    packed = compressed(text * times)
    assert packed is None or decompressed(packed) == (text * times, "")


def test_a_text_in_pieces_becomes_whole_when_it_changes(new: Path) -> None:
    put(new, replace(SIMPLE, text=""))
    changed(new, "UPDATE memories SET content_compressed = 1")
    packed = base64.b64encode(zlib.compress(b"second")).decode()
    for index, (piece, kind) in enumerate([("first, ", "none"), (packed, "zstd")]):
        changed(new, "INSERT INTO memory_chunks (memory_id, chunk_index, chunk_data, compression_type) "
                "VALUES (5, ?, ?, ?)", index, piece, kind)  # fmt: skip
    before = rows(new, "SELECT * FROM memory_chunks")
    put(new, replace(SIMPLE, text="first, second", extras={"title": "Other"}))
    assert (rows(new, "SELECT * FROM memory_chunks"), said(new, "content", "title")) == (before, ("", "Other"))
    put(new, replace(SIMPLE, text="changed"))
    assert rows(new, "SELECT * FROM memory_chunks") == []
    assert said(new, "content", "content_compressed", "content_size") == ("changed", 0, 7)


def test_pieces_go_with_their_memory_and_never_come_to_another(new: Path) -> None:
    piece = "INSERT INTO memory_chunks (memory_id, chunk_index, chunk_data) VALUES (5, 0, 'x')"
    changed(new, piece)
    put(new, SIMPLE)
    assert rows(new, "SELECT * FROM memory_chunks") == []
    changed(new, piece)
    with opened(new) as store:
        store.write(Changes(delete=(Ref.of(store.fetch([SIMPLE.key])[0]),)), Progress())
    assert rows(new, "SELECT * FROM memory_chunks") == []


def test_columns_that_say_the_same_keep_every_byte(path: Path) -> None:
    put(path, SIMPLE)
    changed(path, "UPDATE memories SET memory_metadata = '{ \"a\" : 1 }', created_at = '2024-03-01T10:00', version = 7")
    with opened(path) as store:
        [there] = store.fetch([SIMPLE.key])
    put(path, replace(there, text="Another text"))
    assert said(path, "memory_metadata", "created_at", "version") == ('{ "a" : 1 }', "2024-03-01T10:00", 7)


def test_a_deleted_memory_is_inactive_and_comes_back(path: Path) -> None:
    put(path, SIMPLE)
    with opened(path) as store:
        [there] = store.fetch([SIMPLE.key])
    put(path, replace(there, state=State.DELETED))
    assert said(path, "is_active") == (0,)
    put(path, there)
    assert said(path, "is_active") == (1,)


def test_other_tables_stay_as_they_are(path: Path) -> None:
    filled = "memory_id, version, title, content, created_by"
    changed(path, f"INSERT INTO memory_versions ({filled}) VALUES (5, 1, 'a', 'b', 1)")
    names = [str(name) for (name,) in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    before = {name: rows(path, f"SELECT * FROM {name}") for name in names if name != "memories"}
    put(path, SIMPLE)
    put(path, replace(SIMPLE, text="changed"))
    assert {name: rows(path, f"SELECT * FROM {name}") for name in before} == before


@pytest.mark.parametrize(("owner", "word"), [(None, "absence of an owner"), ("stranger", "no user"), ("9", "no user")])
def test_memories_of_nobody_there_go_to_the_first_user_and_that_is_told(
    path: Path, owner: str | None, word: str
) -> None:
    [loss] = put(path, replace(SIMPLE, owner=owner))
    assert word in loss
    assert "admin" in loss
    assert said(path, "owner_id") == (1,)


def test_memories_of_nobody_there_go_to_the_user_who_is_named(new: Path) -> None:
    with opened(new, owner="alice") as store:
        assert store.fit(replace(SIMPLE, owner=None))[0].owner == "2"
    with opened(new, owner="nobody") as store, pytest.raises(UsageError) as told:
        store.fit(SIMPLE)
    assert told.value.todo == "Name one of: admin, alice."


def test_an_owner_who_is_no_user_any_more_stays_one(path: Path) -> None:
    put(path, SIMPLE)
    changed(path, "UPDATE memories SET owner_id = 44")
    with opened(path) as store:
        fitted, losses = store.fit(store.fetch([SIMPLE.key])[0])
    assert (fitted.owner, losses) == ("44", ())


def test_a_new_database_gets_users_with_whom_nobody_can_log_in(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with opened(path) as store:
        fitted = [store.fit(replace(SIMPLE, key=Key("memories", id), owner=owner))[0]
                  for id, owner in (("1", None), ("2", "7"), ("3", "somebody"))]  # fmt: skip
        store.write(Changes(tuple(Put(record, None) for record in fitted)), Progress())
        assert store.problems() == []
    assert rows(path, "SELECT id, username, length(hashed_password), is_admin FROM users") == [
        (1, "memdefrag", 60, 0), (7, "memdefrag-7", 60, 0),
    ]  # fmt: skip
    assert rows(path, "SELECT owner_id FROM memories ORDER BY id") == [(1,), (7,), (1,)]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_context_that_is_not_there_is_told(path: Path) -> None:
    [loss] = put(path, replace(SIMPLE, extras={"title": "T", "context_id": 8}))
    assert loss == "the context 8 (there is none of that number)"


def test_ids_of_other_systems_become_numbers_that_every_client_reads(path: Path) -> None:
    with opened(path) as store:
        for id in ("abc", "", "007", "1.5", "９", str(2**63)):
            key = store.key_for("memories", replace(SIMPLE, key=Key("x", id)))
            assert key == store.key_for("memories", replace(SIMPLE, key=Key("y", id)))
            assert 0 < int(key.id) < 2**53
            assert store.refusal(SIMPLE.with_key(key)) is None
        assert store.key_for("memories", replace(SIMPLE, key=Key("x", "42"))) == Key("memories", "42")
        assert store.refusal(replace(SIMPLE, key=Key("memories", "abc"))) is not None
        with pytest.raises(UsageError):
            store.write(Changes((Put(replace(SIMPLE, key=Key("memories", "abc")), None),)), Progress())


def test_links_join_memories_and_contexts(path: Path) -> None:
    put(path, SIMPLE)
    wanted = [
        Relation(SIMPLE.key, "context:3", "belongs_to", 0.5, {"why": "test", "owner_id": 2}, 1709283600.5),
        Relation("context:3", SIMPLE.key, "contains"),
    ]
    with opened(path) as store:
        fitted = [link for link, _ in map(store.fit_relation, wanted) if link]
        store.write(Changes(relate=tuple(fitted)), Progress())
        assert list(map(relation_hash, store.relations())) == list(map(relation_hash, fitted))
        assert fitted[0] == wanted[0]
    assert rows(path, "SELECT name, source_memory_id, target_context_id, owner_id, relation_metadata, updated_at, "
                "is_active FROM relations WHERE id = 1") == [
        ("belongs_to", 5, 3, 2, '{"why": "test"}', "2024-03-01 09:00:00.500000", 1)
    ]  # fmt: skip
    with opened(path) as store:
        store.write(Changes(unrelate=(fitted[0],)), Progress())
        assert list(store.relations()) == [fitted[1]]
        with pytest.raises(StoreChanged):
            store.write(Changes(unrelate=(fitted[0],)), Progress())
        assert list(store.relations()) == [fitted[1]]


@pytest.mark.parametrize("end", ["context:99", "context:x", "somewhere", Key("memories", "abc"), Key("others", "1")])
def test_a_link_to_what_the_table_cannot_name_is_refused(path: Path, end: Key | str) -> None:
    with opened(path) as store:
        link, [loss] = store.fit_relation(Relation(SIMPLE.key, end))
    assert link is None
    assert "neither a memory nor a context" in loss


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON memories BEGIN DELETE FROM memories; END", "trigger"),
        ("ALTER TABLE memories ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'", "mood"),
        ("CREATE TABLE c AS SELECT * FROM memories; DROP TABLE memories; ALTER TABLE c RENAME TO memories", "ids"),
    ],
    ids=["trigger", "column", "ids"],
)
def test_what_the_system_does_not_make_is_not_written(new: Path, statement: str, word: str) -> None:
    for each in [statement] if "TRIGGER" in statement else statement.split(";"):
        changed(new, each)
    with opened(new) as store:
        assert not store.capabilities.writable
        assert "only read" in " ".join(store.problems())
        with pytest.raises(UnsupportedFormat, match=word):
            store.write(Changes((Put(store.fit(SIMPLE)[0], None),)), Progress())
    assert rows(new, "SELECT * FROM memories") == []


@pytest.mark.parametrize("table", ["relations", "users", "memory_chunks", "contexts"])
def test_tables_that_are_not_the_systems_are_left_alone(new: Path, table: str) -> None:
    changed(new, f"DROP TABLE {table}")
    changed(new, f"CREATE TABLE {table} (mine)")
    changed(new, f"INSERT INTO {table} VALUES ('kept')")
    put(new, SIMPLE)
    with opened(new) as store:
        assert read_snapshot(store).relations == ()
    assert rows(new, f"SELECT * FROM {table}") == [("kept",)]


def test_there_is_one_collection(path: Path) -> None:
    with opened(path) as store:
        for changes in (
            Changes((Put(replace(SIMPLE, key=Key("others", "1")), None),)),
            Changes(collections=(CollectionInfo("others", 0, 0, 0),)),
        ):
            with pytest.raises(CollectionNotFound):
                store.write(changes, Progress())


def test_a_real_database_keeps_all_that_is_not_named(shared: Path, tmp_path: Path) -> None:
    path = Path(shutil.copyfile(shared / "fixtures/mcm_old.db", tmp_path / "memory.db"))
    with opened(path) as store:
        before = read_snapshot(store)
        assert all(store.fit(record)[1] == () for record in before)
        assert all(store.fit(record)[0] == record for record in before)
        assert all(store.fit_relation(link) == (link, ()) for link in before.relations)
        others = [record for record in before if record.key.id != "5"]
        one = before.by_key[Key("memories", "5")]
        fitted, _ = store.fit(replace(one, text="Changed", tags=("x",), updated=1.75e9))
        store.write(Changes((Put(fitted, record_hash(one)),)), Progress())
        after = read_snapshot(store)
    assert after.relations == before.relations
    assert [record for record in after if record.key.id != "5"] == others
    assert record_hash(after.by_key[one.key]) == record_hash(fitted)
