"""Memory Defragmenter's exported files."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.base.errors import CollectionNotFound, NotAStore, StoreDamaged, UnsupportedFormat
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord, State
from memdefrag.model.service_metadata import content_hash, restate
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store, resolve
from tests.stores.contract import everything

DDL = (
    "CREATE TABLE memories (id TEXT PRIMARY KEY, content TEXT NOT NULL, embedding TEXT, metadata TEXT, "
    "timestamp REAL, content_hash TEXT)"
)
NOON = 1735732800.25


def make(path: Path, rows: Sequence[Sequence[Any]], ddl: str = DDL, table: str = "memories") -> Store:
    """A file with these rows, made by nobody's library."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(ddl)
        for row in rows:
            connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    return open_store(f"memory-export:{path}")


def execute(path: Path, *statements: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.text_factory = bytes
        rows: list[Any] = []
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        return rows


def only(store: Store) -> MemoryRecord:
    [record] = everything(store).values()
    return record


def row(**fields: Any) -> list[Any]:
    values = {
        "id": "1",
        "content": "text",
        "embedding": "[1.0, 0.5]",
        "metadata": '{"tags": "a,b"}',
        "timestamp": NOON,
        "content_hash": "h",
    }
    return list({**values, **fields}.values())


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


def test_untouched_rows_keep_every_byte(export_file: Path) -> None:
    before = execute(export_file, "SELECT rowid, * FROM memories ORDER BY id")
    with open_store(f"memory-export:{export_file}") as store:
        first, second, *_ = everything(store).values()
        new = store.fit(replace(first, text="new"))[0]
        store.write(Changes((Put(new, record_hash(first)),), (Ref.of(second),)), Progress())
    touched = {first.key.id.encode(), second.key.id.encode()}
    after = execute(export_file, "SELECT rowid, * FROM memories ORDER BY id")
    assert [row for row in after if row[1] not in touched] == [row for row in before if row[1] not in touched]


def test_only_columns_that_change_are_written(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    metadata = '{ "tags":"a,b",  "ü": 1.50 }'
    store = make(path, [row(embedding=b"[1,  5e-1]", metadata=metadata, timestamp=None)])
    record = only(store)
    new = store.fit(
        replace(
            record,
            text="new",
            metadata=restate(record.metadata, tags=record.tags, created=None, updated=None, text="new"),
        )
    )[0]
    store.write(Changes(put=(Put(new, record_hash(record)),)), Progress())
    [found] = execute(path, "SELECT * FROM memories")
    assert found == (b"1", b"new", b"[1,  5e-1]", metadata.encode(), None, content_hash("new").encode())


def test_a_merge_restates_every_time_and_the_hash(tmp_path: Path) -> None:
    store = make(
        tmp_path / "x.db", [row(metadata='{"tags": "[\\"a\\"]", "created_at_iso": "2025-01-01T12:00:00.250000Z"}')]
    )
    record = only(store)
    metadata = restate(record.metadata, tags=("a", "b"), created=1.5, updated=2.5, text="merged")
    new = store.fit(replace(record, text="merged", metadata=metadata, tags=("a", "b"), created=1.5, updated=2.5))[0]
    store.write(Changes(put=(Put(new, record_hash(record)),)), Progress())
    [found] = execute(tmp_path / "x.db", "SELECT content, metadata, timestamp, content_hash FROM memories")
    assert (found[0], found[2], found[3].decode()) == (b"merged", 1.5, content_hash("merged"))
    assert json.loads(found[1]) == {
        "tags": '["a", "b"]',
        "created_at_iso": "1970-01-01T00:00:01.500000Z",
        "updated_at": 2.5,
        "updated_at_iso": "1970-01-01T00:00:02.500000Z",
    }


def test_originals_go_into_the_apps_archive(export_file: Path) -> None:
    with open_store(f"memory-export:{export_file}") as store:
        first, second, *_ = everything(store).values()
        store.write(Changes(delete=(Ref.of(second),), archive=(first, second)), Progress())
        assert len(everything(store)) == 5
    columns = execute(export_file, "PRAGMA table_info(memory_archive)")
    assert [(name.decode(), kind.decode()) for _, name, kind, *_ in columns] == [
        ("id", "INTEGER"),
        ("original_id", "TEXT"),
        ("content", "TEXT"),
        ("embedding", "BLOB"),
        ("metadata", "TEXT"),
        ("timestamp", "REAL"),
        ("archived_at", "REAL"),
    ]
    rows = execute(
        export_file, "SELECT id, original_id, content, embedding, typeof(embedding), timestamp FROM memory_archive"
    )
    assert [(number, id.decode(), content.decode()) for number, id, content, *_ in rows] == [
        (1, first.key.id, first.text),
        (2, second.key.id, second.text),
    ]
    assert second.embedding is not None
    assert np.allclose(json.loads(rows[1][3]), second.embedding)
    assert rows[1][4:] == (b"blob", second.created)


def test_rebuilding_gives_the_space_back(tmp_path: Path) -> None:
    store = make(tmp_path / "x.db", [row(id=str(number), content="x" * 5000) for number in range(100)])
    records = list(everything(store).values())
    store.write(Changes(delete=tuple(Ref.of(record) for record in records[:90])), Progress())
    sizes = store.sizes({"memories": 0})
    store.rebuild(Progress())
    assert store.sizes({}).now < sizes.now / 2
    assert len(everything(store)) == 10


def test_the_forecast_counts_what_the_archive_keeps(tmp_path: Path) -> None:
    store = make(tmp_path / "x.db", [row(id=str(number), content="x" * 5000) for number in range(100)])
    records = list(everything(store).values())
    sizes = store.sizes({"memories": 40})
    assert sizes.now < sizes.after_compact <= sizes.after_apply
    gone = tuple(Ref.of(record) for record in records[1:80:2])
    store.write(Changes(delete=gone, archive=tuple(records[:80])), Progress())
    assert store.sizes({}).now == pytest.approx(sizes.after_apply, rel=0.1)
    store.rebuild(Progress())
    assert store.sizes({}).now == pytest.approx(sizes.after_compact, rel=0.1)


def test_records_that_are_not_live_are_counted_so(tmp_path: Path) -> None:
    metadata = ['{"superseded_by": "x"}', '{"deleted_at": 5}', '{"superseded_by": ""}', '{"is_chunk": true}', "{}"]
    store = make(tmp_path / "x.db", [row(id=str(n), metadata=value) for n, value in enumerate(metadata)])
    assert (store.collections()[0].count, store.collections()[0].live) == (5, 3)
    states = [record.state for record in everything(store).values()]
    assert states == [State.SUPERSEDED, State.DELETED, State.LIVE, State.CHUNK, State.LIVE]


@pytest.mark.case(28)
def test_a_view_posing_as_the_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    view = "CREATE VIEW memories AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id, id AS "
    execute(
        path,
        "CREATE TABLE t (x)",
        view + "content, id AS embedding, id AS metadata, id AS timestamp, id AS content_hash FROM n",
    )
    with pytest.raises(UnsupportedFormat), open_store(f"memory-export:{path}") as store:
        store.collections()
    with pytest.raises(NotAStore):
        resolve(str(path))


def test_a_table_with_other_columns_is_not_ours(tmp_path: Path) -> None:
    execute(tmp_path / "x.db", "CREATE TABLE memories (id TEXT, content TEXT, embedding BLOB)")
    with pytest.raises(NotAStore):
        resolve(str(tmp_path / "x.db"))


@pytest.mark.case(27)
def test_a_trigger_forbids_writing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    store = make(path, [row()])
    execute(path, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    execute(path, "CREATE TRIGGER bomb AFTER DELETE ON memories BEGIN DELETE FROM t; END")
    record = only(store)
    with pytest.raises(UnsupportedFormat, match="bomb"):
        store.write(Changes(delete=(Ref.of(record),)), Progress())
    assert execute(path, "SELECT count(*) FROM t") == [(1,)]
    assert only(store).key == record.key


def test_another_collections_name_is_refused(export_file: Path, records: list[MemoryRecord]) -> None:
    with open_store(f"memory-export:{export_file}") as store:
        record = replace(records[0], key=Key("memory_collection", "new"))
        with pytest.raises(CollectionNotFound):
            store.write(Changes(put=(Put(record, None),)), Progress())
        assert len(everything(store)) == len(records)


@pytest.mark.case(12)
@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html><html></html>", b"SQLite format 3\0" + b"\0" * 200, b"SQLite format 3\0"]
)
def test_files_that_are_no_database_are_refused_with_a_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(content)
    with pytest.raises(StoreDamaged), open_store(f"memory-export:{path}") as store:
        store.collections()
    with pytest.raises((NotAStore, StoreDamaged)):
        resolve(str(path))
    assert path.read_bytes() == content


@pytest.mark.case(12)
def test_a_file_cut_short_is_refused_or_reported(export_file: Path) -> None:
    data = export_file.read_bytes()
    for size in range(len(data) - 4096, 0, -4096):
        export_file.write_bytes(data[:size])
        try:
            with open_store(f"memory-export:{export_file}") as store:
                assert store.problems()
        except StoreDamaged:
            continue


@pytest.mark.case(15)
def test_a_pending_log_is_read_and_stamped(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    store = make(path, [row()])
    execute(path, "PRAGMA journal_mode=wal")
    with closing(sqlite3.connect(path)) as writer:
        before = store.file_stamps()
        with writer:
            writer.execute("INSERT INTO memories VALUES ('2', 'two', '[]', '{}', 1, 'h')")
        assert [file.name for file in store.raw_files()] == ["x.db", "x.db-wal"]
        assert store.file_stamps() != before
        assert len(everything(store)) == 2


field = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.just('{"tags": "a", "created_at": 5}'),
    st.just("[0.1, 0.2]"),
)


@pytest.mark.case(20)
@pytest.mark.case(25)
@given(
    st.lists(st.tuples(field, field.filter(lambda value: value is not None), field, field, field, field), max_size=4)
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_row_is_read_and_survives_a_rewrite(tmp_path: Path, rows: list[tuple[Any, ...]]) -> None:
    path = tmp_path / "x.db"
    path.unlink(missing_ok=True)
    store = make(path, rows, DDL.replace(" PRIMARY KEY", ""))
    before = everything(store)
    assert len(before) == len(rows) == store.collections()[0].count
    store.problems()
    image = execute(path, "SELECT * FROM memories")
    puts = tuple(Put(record, record_hash(record)) for record in before.values())
    store.write(Changes(put=puts), Progress())
    assert execute(path, "SELECT * FROM memories") == image
    fitted = {key: store.fit(record)[0] for key, record in before.items()}
    store.write(Changes(put=tuple(Put(fitted[key], record_hash(before[key])) for key in before)), Progress())
    after = everything(store)
    assert {key: record_hash(record) for key, record in after.items()} == {
        key: record_hash(record) for key, record in fitted.items()
    }


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
