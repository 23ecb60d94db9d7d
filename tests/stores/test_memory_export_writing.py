"""What is written into Memory Defragmenter's files, and what is left as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import State
from memdefrag.model.service_metadata import content_hash, restate
from memdefrag.stores.registry import open_store
from tests.stores.contract import everything
from tests.stores.exports import execute, make, only, row


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
