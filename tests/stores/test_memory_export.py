"""Memory Defragmenter's exported files."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store, resolve
from tests.stores.contract import everything
from tests.stores.exports import DDL, NOON, execute, make, only, row


def test_a_row_is_read(tmp_path: Path) -> None:
    record = only(make(tmp_path / "x.db", [row()]))
    assert record.key == Key("memories", "1")
    assert (record.text, record.tags, record.created) == ("text", ("a", "b"), NOON)
    assert record.metadata == {"tags": "a,b", "timestamp": NOON, "content_hash": "h"}
    assert record.embedding is not None
    assert record.embedding.tolist() == [1.0, 0.5]


def test_a_new_file_has_the_schema_of_the_export_script(export_file: Path) -> None:
    columns = execute(export_file, "PRAGMA table_info(memories)")
    assert [(name.decode(), kind.decode(), notnull, key) for _, name, kind, notnull, _, key in columns] == [
        ("id", "TEXT", 0, 1),
        ("content", "TEXT", 1, 0),
        ("embedding", "TEXT", 0, 0),
        ("metadata", "TEXT", 0, 0),
        ("timestamp", "REAL", 0, 0),
        ("content_hash", "TEXT", 0, 0),
    ]
    indexes = execute(export_file, "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1")
    assert indexes == [(b"idx_memories_content_hash",), (b"idx_memories_timestamp",)]
    assert execute(export_file, "PRAGMA user_version") == [(0,)]
    assert execute(export_file, "PRAGMA journal_mode") == [(b"delete",)]


def test_a_written_row_is_what_the_export_script_would_write(tmp_path: Path, records: list[MemoryRecord]) -> None:
    record = replace(
        records[4],
        metadata={**records[4].metadata, "created_at": NOON, "timestamp_float": NOON, "timestamp": int(NOON)},
        created=NOON,
    )
    path = tmp_path / "x.db"
    with open_store(f"memory-export:{path}", must_exist=False) as store:
        store.write(Changes(put=(Put(store.fit(record)[0], None),)), Progress())
    [(id, content, embedding, metadata, timestamp, hash, *types)] = execute(
        path, "SELECT *, typeof(id), typeof(content), typeof(embedding), typeof(timestamp) FROM memories"
    )
    assert (id.decode(), content.decode(), timestamp) == (record.key.id, record.text, NOON)
    assert hash.decode() == record.key.id
    assert types == [b"text", b"text", b"text", b"real"]
    assert record.embedding is not None
    assert embedding.decode() == json.dumps(record.embedding.tolist())
    assert json.loads(metadata).keys() == {"memory_type", "tags", "created_at_iso"}
    assert metadata.isascii()


def test_a_record_without_time_hash_or_vector_is_written_as_the_script_does(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with open_store(f"memory-export:{path}", must_exist=False) as store:
        fitted, _ = store.fit(MemoryRecord(Key("memories", "1"), "text"))
        store.write(Changes(put=(Put(fitted, None),)), Progress())
        assert record_hash(only(store)) == record_hash(fitted)
    assert execute(path, "SELECT * FROM memories") == [(b"1", b"text", b"[]", b"{}", 0.0, b"1")]


@pytest.mark.parametrize("table", ["memory", "Knowledge_Graph", "MEMORIES"])
def test_the_other_tables_that_the_app_accepts(tmp_path: Path, table: str) -> None:
    store = make(tmp_path / "x.db", [row()], DDL.replace("memories", table), table)
    assert store.collections()[0].name == table
    assert only(store).key == Key(table, "1")
    assert resolve(str(tmp_path / "x.db")).kind == "memory-export"


def test_the_first_of_several_tables_counts(tmp_path: Path) -> None:
    store = make(tmp_path / "x.db", [row()])
    execute(tmp_path / "x.db", DDL.replace("memories", "memory"), "INSERT INTO memory (id, content) VALUES ('2', 'x')")
    assert only(store).key.id == "1"


def test_extra_columns_are_kept_verbatim_and_written_back(tmp_path: Path) -> None:
    ddl = DDL.replace("content_hash TEXT)", 'content_hash TEXT, "x""; drop table t;--" TEXT, 🗝 BLOB, n INTEGER)')
    store = make(tmp_path / "x.db", [[*row(), "a", b"\x00\xff", 7], [*row(id="2"), None, None, None]], ddl)
    before = everything(store)
    record = before[Key("memories", "1")]
    assert record.extras == {'x"; drop table t;--': "a", "🗝": "memdefrag:base64:AP8=", "n": 7}
    assert store.fit(record) == (record, ())
    store.write(Changes(delete=(Ref.of(record),)), Progress())
    store.write(Changes(put=(Put(record, None),)), Progress())
    assert record_hash(everything(store)[record.key]) == record_hash(record)
    assert execute(tmp_path / "x.db", "SELECT typeof(🗝) FROM memories WHERE id = '1'") == [(b"blob",)]


def test_extras_without_a_column_are_named_as_lost(export_file: Path, records: list[MemoryRecord]) -> None:
    with open_store(f"memory-export:{export_file}") as store:
        fitted, losses = store.fit(replace(records[0], extras={"priority": 1}, owner="me"))
    assert (fitted.extras, fitted.owner) == ({}, None)
    assert losses == ("the owner", "the value of 'priority'")


@pytest.mark.parametrize(
    ("timestamp", "created"),
    [(NOON, NOON), ("1735732800.25", NOON), ("2025-01-01T12:00:00.25Z", NOON), (None, None), (0, None), ("soon", None)],
)
def test_timestamps_of_every_kind_are_read(tmp_path: Path, timestamp: Any, created: float | None) -> None:
    store = make(tmp_path / "x.db", [row(timestamp=timestamp)])
    assert only(store).created == created
    assert [problem for problem in store.problems() if "timestamp" in problem] == (
        ["1 memory with a timestamp that cannot be understood, the first is '1'."] if timestamp == "soon" else []
    )


@pytest.mark.case(21)
@pytest.mark.case(22)
@pytest.mark.parametrize(
    ("embedding", "problem"),
    [
        ("[]", ""),
        (None, ""),
        (b"[1, 2]", ""),
        ("", "a vector that cannot be read"),
        ("[1, 2", "a vector that cannot be read"),
        (np.ones(2, np.float32).tobytes(), "a vector that cannot be read"),
        ('{"a": 1}', "a vector that cannot be read"),
        ("[[1, 2]]", "a vector that cannot be read"),
        ("[" * 9999, "a vector that cannot be read"),
        ("[1, null]", "a vector with values that are no numbers"),
        ("[1, NaN]", "a vector with values that are no numbers"),
        ("[1, 1e39]", "a vector with values that are no numbers"),
        ("[0.0, 0]", "a vector of zeros"),
        ("[1, 2, 3]", "a vector of 3 dimensions, unlike most"),
    ],
)
def test_bad_vectors_are_named_and_the_rest_is_read(tmp_path: Path, embedding: Any, problem: str) -> None:
    good = [row(id=str(number)) for number in range(2, 5)]
    store = make(tmp_path / "x.db", [row(embedding=embedding), *good])
    assert store.problems() == ([f"1 memory with {problem}, the first is '1'."] if problem else [])
    assert everything(store)[Key("memories", "1")].text == "text"
    assert store.collections()[0].dimension == 2


@pytest.mark.case(25)
@pytest.mark.parametrize("metadata", ["", None, "{", "[1]", '"text"', "7", b"\xff\x00", "[" * 9999])
def test_bad_metadata_is_kept_beside_the_record(tmp_path: Path, metadata: Any) -> None:
    store = make(tmp_path / "x.db", [row(metadata=metadata)])
    record = only(store)
    assert record.metadata == {"timestamp": NOON, "content_hash": "h"}
    assert ("metadata" in record.extras) == bool(metadata)
    assert bool(store.problems()) == bool(metadata)
    store.write(Changes(delete=(Ref.of(record),)), Progress())
    store.write(Changes(put=(Put(store.fit(record)[0], None),)), Progress())
    assert record_hash(only(store)) == record_hash(record)


@pytest.mark.case(20)
def test_text_that_is_not_utf8_is_read_exactly_and_never_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    store = make(path, [row(id="2", content=b"blob \xff"), row(id="3", content="zero \0 byte")])
    execute(path, "INSERT INTO memories VALUES ('1', CAST(x'ff41fe' AS TEXT), '[]', '{}', 1, 'h')")
    found = everything(store)
    texts = {key.id: record.text for key, record in found.items()}
    assert texts == {"1": "\udcffA\udcfe", "2": "blob \udcff", "3": "zero \0 byte"}
    assert store.problems() == [
        "1 memory with a text that is not stored as text, the first is '2'.",
        "1 memory with a zero byte in the text, the first is '3'.",
        "1 memory with a text that is not UTF-8, the first is '1'.",
    ]
    before = execute(path, "SELECT id, content, typeof(content) FROM memories ORDER BY id")
    puts = [Put(store.fit(replace(record, tags=("new",)))[0], record_hash(record)) for record in found.values()]
    store.write(Changes(put=tuple(puts)), Progress())
    assert execute(path, "SELECT id, content, typeof(content) FROM memories ORDER BY id") == before
    assert {record.tags for record in everything(store).values()} == {("new",)}


def test_rows_without_an_id_of_their_own_can_be_told_apart(tmp_path: Path) -> None:
    rows = [row(id=None), row(id=None), row(id=b"x"), row(id="")]
    store = make(tmp_path / "x.db", rows)
    found = everything(store)
    assert [key.id for key in found] == ["rowid:1", "rowid:2", "rowid:3", "rowid:4"]
    assert store.problems() == ["4 memories with no id of its own, the first is 'rowid:1'."]
    gone = found[Key("memories", "rowid:2")]
    store.write(Changes(delete=(Ref.of(gone),)), Progress())
    assert len(everything(store)) == 3


@pytest.mark.case(24)
def test_ids_that_occur_twice_can_be_told_apart(tmp_path: Path) -> None:
    ddl = DDL.replace(" PRIMARY KEY", "")
    store = make(tmp_path / "x.db", [row(content="one"), row(content="two")], ddl)
    assert {key.id: record.text for key, record in everything(store).items()} == {"1": "one", "rowid:2": "two"}
    assert [record.text for record in store.fetch([Key("memories", "rowid:2")])] == ["two"]


def test_a_real_export(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "md_export.db"
    shutil.copy(shared / "fixtures/md_export.db", path)
    with open_store(str(path)) as store:
        [info] = store.collections()
        assert (info.count, info.live, info.with_embedding, info.dimension) == (301, 301, 301, 384)
        assert store.problems() == []
        snapshot = read_snapshot(store)
        assert all(record.tags and record.created for record in snapshot)
        assert all(record_hash(store.fit(record)[0]) == record_hash(record) for record in snapshot)
        image = execute(path, "SELECT * FROM memories ORDER BY id")
        gone, new = snapshot.records[0], store.fit(replace(snapshot.records[1], text="new"))[0]
        puts = [Put(record, record_hash(record)) for record in snapshot.records[2:]]
        store.write(
            Changes((*puts, Put(new, record_hash(snapshot.records[1]))), (Ref.of(gone),), snapshot.records[:2]),
            Progress(),
        )
        kept = {record.key.id.encode() for record in snapshot.records[2:]}
        after = execute(path, "SELECT * FROM memories ORDER BY id")
        assert [row for row in after if row[0] in kept] == [row for row in image if row[0] in kept]
        assert len(after) == 300
