"""Files that are not quite Memory Defragmenter's: refused with a reason, or read as far as they go."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.base.errors import CollectionNotFound, NotAStore, StoreDamaged, UnsupportedFormat
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.registry import open_store, resolve
from tests.stores.contract import everything
from tests.stores.exports import DDL, execute, make, only, row


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
