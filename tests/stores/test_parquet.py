"""Parquet files, ours and those of other programs."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.base.errors import (
    CollectionNotFound,
    NotAStore,
    NotPermitted,
    StoreDamaged,
    UnsupportedEnvironment,
    UnsupportedFormat,
)
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, State
from memdefrag.model.service_metadata import content_hash
from memdefrag.stores import parquet_rows
from memdefrag.stores.base import Store
from memdefrag.stores.registry import open_store, resolve
from tests.stores.contract import everything
from tests.stores.test_jsonl import values

pa = pytest.importorskip("pyarrow", reason="needs the extra parquet")
pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")

ONE = Key("memories", "1")
RECORD = MemoryRecord(
    ONE,
    "Grüße\0",
    {"n": 1, "x": 1.0, "big": 2**70, "deep": {"a": [None, True]}},
    np.array([0.1, -0.0, 1e-45], np.float32),
    ("a", "b,c"),
    "file:///x",
    1.5,
    2.5,
    "me",
    State.SUPERSEDED,
    {"kind": "note"},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.parquet"


def save(path: Path, *records: MemoryRecord, **changes: Any) -> Store:
    store = open_store(f"parquet:{path}", must_exist=False)
    store.write(Changes(put=tuple(Put(record, None) for record in records), **changes), Progress())
    return store


def made(path: Path, columns: dict[str, Any], header: object = None) -> Store:
    """A file of another program."""
    table = pa.table(columns)
    if header is not None:
        table = table.replace_schema_metadata({"memdefrag": json.dumps(header)})
    pq.write_table(table, path)
    return open_store(str(path))


def only(store: Store) -> MemoryRecord:
    [record] = everything(store).values()
    return record


def test_a_file_reads_as_a_plain_table_of_memories(path: Path) -> None:
    save(path, RECORD, relate=(Relation(ONE, Key("memories", "2"), "because", 0.5, {"n": 1}), Relation(ONE, "issue 5")))
    [row] = pq.read_table(path).to_pylist()
    assert row.pop("embedding") == RECORD.embedding.tolist() if RECORD.embedding is not None else None
    assert json.loads(row.pop("metadata")) == RECORD.metadata
    first, second = row.pop("relations")
    assert first == {"collection": "memories", "id": "2", "reference": None, "type": "because", "strength": 0.5,
                     "metadata": '{"n": 1}', "created_at": None}  # fmt: skip
    assert (second["reference"], second["id"]) == ("issue 5", None)
    assert row == {"id": "1", "collection": "memories", "text": "Grüße\0", "tags": ["a", "b,c"], "created_at": 1.5,
                   "updated_at": 2.5, "uri": "file:///x", "owner": "me", "state": "superseded",
                   "extras": '{"kind": "note"}', "exact": None}  # fmt: skip


def test_the_header_stands_in_the_metadata_of_the_file(path: Path) -> None:
    info = CollectionInfo("memories", 0, 0, 0, 3, "l2", "m", {"a": 1})
    save(path, RECORD, collections=(info,), relate=(Relation("me", ONE),))
    header = json.loads(pq.read_metadata(path).metadata[b"memdefrag"])
    assert header == {
        "memdefrag": 1, "collection": "memories", "metric": "l2", "model": "m", "dimension": 3, "settings": {"a": 1},
        "relations": [{"source": {"reference": "me"}, "target": {"collection": "memories", "id": "1"},
                       "type": "related"}],
    }  # fmt: skip


def test_what_utf8_cannot_write_shows_as_question_marks_and_is_given_back(path: Path) -> None:
    odd = MemoryRecord(ONE, "half \ud83d", {"k": "\udcff"}, tags=("\ud83d", "t"), owner="\udcff")
    links = (Relation(ONE, "\ud83d"),)
    store = save(path, odd, relate=links)
    assert only(store) == odd
    assert tuple(store.relations()) == links
    [row] = pq.read_table(path).to_pylist()
    assert (row["text"], row["tags"], row["owner"]) == ("half ?", ["?", "t"], "?")
    assert store.problems() == []


def test_rows_are_written_and_read_in_groups(path: Path) -> None:
    store = save(path, *(MemoryRecord(Key("memories", str(number)), f"Memory {number}") for number in range(4500)))
    assert pq.read_metadata(path).num_row_groups == 3
    assert [len(batch) for batch in store.scan("memories", batch=2000)] == [2000, 2000, 500]
    assert store.collections() == [CollectionInfo("memories", 4500, 4500, 0)]


def test_a_newer_version_is_refused(path: Path) -> None:
    store = made(path, {"id": ["1"], "text": ["t"]}, {"memdefrag": 2})
    for act in (store.collections, store.problems, lambda: store.write(Changes(), Progress())):
        with pytest.raises(UnsupportedFormat, match="format 2"):
            act()


def test_a_header_that_is_no_object_is_damage(path: Path) -> None:
    with pytest.raises(StoreDamaged):
        made(path, {"id": ["1"], "text": ["t"]}, 5).collections()


def test_a_table_that_lost_its_header_and_types_elsewhere_is_still_ours(path: Path) -> None:
    store = made(
        path,
        {
            "id": pa.array([7], pa.int64()),
            "collection": pa.array(["c"]).dictionary_encode(),
            "text": pa.array(["t"], pa.large_string()),
            "metadata": pa.array([{"n": 1}]),
            "state": pa.array([None], pa.string()),
            "tags": [["a"]],
            "created_at": pa.array([datetime(2025, 1, 1, tzinfo=UTC)], pa.timestamp("ns", "UTC")),
            "updated_at": [float("nan")],
            "embedding": pa.array([[0.5, 1.0]], pa.list_(pa.float64(), 2)),
            "cluster": [5],
            "score": [float("nan")],
            "seen": [b"\xff"],
        },
    )
    record = only(store)
    assert record == MemoryRecord(Key("c", "7"), "t", {"n": 1}, tags=("a",), created=1735689600.0,
                                  extras={"cluster": 5, "seen": "memdefrag:base64:/w=="})  # fmt: skip
    assert record.embedding is not None
    assert record.embedding.tolist() == [0.5, 1.0]
    changed = MemoryRecord(record.key, "new", extras=record.extras)
    store.write(Changes(put=(Put(changed, record_hash(record)),)), Progress())
    assert only(store) == changed


def test_rows_without_a_name_or_with_one_that_is_taken_are_named(path: Path) -> None:
    columns = {"id": ["1", None, "1"], "collection": ["c"] * 3, "text": ["a", "b", None], "metadata": ["{}", "[", "5"]}
    store = made(path, {**columns, "state": ["live"] * 3})
    assert list(everything(store)) == [Key("c", "1"), Key("c", content_hash("b")), Key("c", "1#2")]
    assert store.problems() == [
        "Row 2 has a value of 'metadata' that is no JSON object.",
        "Row 3 has a value of 'metadata' that is no JSON object.",
        "Row 3 has the id '1' a second time (named '1#2' here).",
    ]


def test_an_export_of_a_vector_database_is_read_and_never_written(path: Path) -> None:
    columns = {"id": ["x", "y"], "vector": pa.array([[1.0, 0.5], None], pa.list_(pa.float32())), "text": ["t", "u"]}
    store = made(path, {**columns, "tags": ["a,b", None], "page": [3, 4]})
    records = everything(store)
    one, two = Key("memories", "x"), Key("memories", "y")
    assert records == {one: MemoryRecord(one, "t", {"tags": "a,b", "page": 3}, tags=("a", "b")),
                       two: MemoryRecord(two, "u", {"page": 4})}  # fmt: skip
    vector = records[one].embedding
    assert vector is not None
    assert vector.tolist() == [1.0, 0.5]
    assert store.collections() == [CollectionInfo("memories", 2, 2, 1, 2)]
    assert not store.capabilities.writable
    with pytest.raises(NotPermitted):
        store.write(Changes(), Progress())


def test_a_column_of_metadata_is_the_metadata(path: Path) -> None:
    columns = {"content": ["t", None], "metadata": ['{"tags": "a", "n": 1}', "no JSON"], "page": [3, 4]}
    first, second = everything(made(path, columns)).values()
    assert first == MemoryRecord(Key("memories", content_hash("t")), "t", {"tags": "a", "n": 1}, tags=("a",),
                                 extras={"page": 3})  # fmt: skip
    assert (second.text, second.metadata) == (None, {"metadata": "no JSON", "page": 4})


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"id": ["1"], "title": ["t"]}, "text"),
        ({"text": ["t"], "content": ["u"]}, "text"),
        ({"text": [1]}, "text"),
        ({"text": ["t"], "a": [[0.5]], "b": [[0.5]], "vector": [[0.5]], "embedding": [[0.5]]}, "vector"),
    ],
)
def test_a_table_that_can_be_read_in_two_ways_or_none_is_refused(
    path: Path, columns: dict[str, Any], what: str
) -> None:
    with pytest.raises(UnsupportedFormat, match=f"holds the {what} of a memory .its columns: {', '.join(columns)}"):
        made(path, columns).collections()


cells = values | st.dictionaries(st.sampled_from(["target", "id", "reference", "metadata", "type"]), values)
cells |= st.lists(cells, max_size=3) | values.map(json.dumps)


@given(st.dictionaries(st.sampled_from([*parquet_rows.schema().names, "other"]), cells))
@settings(max_examples=200)
def test_nothing_in_a_row_stops_it_from_being_read(fields: dict[str, Any]) -> None:
    row = parquet_rows.parsed(dict(fields), None)
    assert row.record.key.id
    assert all(isinstance(link, Relation) for link in row.links)
    assert parquet_rows.table([(row.record, row.links)]).num_rows == 1


def test_strings_that_are_not_utf8_are_read(path: Path) -> None:
    strings = pa.array([b"caf\xe9"], pa.binary()).view(pa.string())
    assert only(made(path, {"text": strings})).text == "caf\udce9"


def test_what_the_metadata_means_counts_where_a_cell_is_empty(path: Path) -> None:
    columns = {"id": ["1"], "collection": ["c"], "text": ["t"], "metadata": ['{"tags": "a,b", "is_chunk": true}']}
    empty = pa.array([None], pa.string())
    record = only(made(path, {**columns, "state": empty, "tags": empty}))
    assert (record.tags, record.state) == (("a", "b"), State.CHUNK)


def test_a_damaged_file_is_told(path: Path) -> None:
    save(path, *(MemoryRecord(Key("memories", str(number)), f"Memory {number}" * 99) for number in range(99)))
    raw = bytearray(path.read_bytes())
    raw[200:900] = b"\xff" * 700
    path.write_bytes(raw)
    with pytest.raises(StoreDamaged), open_store(str(path)) as store:
        everything(store)
    path.write_bytes(raw[:100] + raw[-4:])
    with pytest.raises(StoreDamaged), open_store(str(path)) as store:
        store.collections()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1....PAR2", b"PK\3\4....PAR1"])
def test_files_that_are_not(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(NotAStore):
        resolve(str(path))


def test_without_the_library_it_is_told_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, RECORD)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UnsupportedEnvironment) as caught:
        open_store(str(path)).collections()
    assert "memdefrag[parquet]" in caught.value.todo


def test_an_unknown_collection_is_told_from_an_empty_one(path: Path) -> None:
    store = save(path, collections=(CollectionInfo("c", 0, 0, 0),))
    assert list(store.scan("c")) == []
    with pytest.raises(CollectionNotFound):
        list(store.scan("d"))
