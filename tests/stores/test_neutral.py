"""The neutral layer gives back all that went in, to the bit."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.base.errors import BackupDamaged
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import canonical_json, content_hash, record_hash
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, State
from memdefrag.stores import neutral

TEXT = st.text(st.characters(exclude_categories=[]), max_size=20)
NUMBER = st.floats() | st.integers(-(2**80), 2**80)
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
METADATA = st.dictionaries(TEXT, VALUE, max_size=4)
VECTOR = st.binary(max_size=48).map(lambda data: np.frombuffer(data[: len(data) // 4 * 4], np.float32))
TIME = st.none() | st.floats(allow_nan=False) | st.integers(0, 2**40)
KEY = st.builds(Key, st.sampled_from(["a", "b", ""]), TEXT)
RECORD = st.builds(
    MemoryRecord,
    KEY,
    st.none() | TEXT,
    METADATA,
    st.none() | VECTOR,
    st.lists(TEXT, max_size=3).map(tuple),
    st.none() | TEXT,
    TIME,
    TIME,
    st.none() | TEXT,
    st.sampled_from(State),
    METADATA,
)
RELATION = st.builds(Relation, KEY | TEXT, KEY | TEXT, TEXT, st.none() | NUMBER, METADATA, TIME)
COLLECTION = st.builds(
    CollectionInfo,
    TEXT,
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
    st.none() | st.integers(0, 9),
    TEXT,
    st.none() | TEXT,
    METADATA,
)


@settings(max_examples=150)
@given(st.lists(COLLECTION, max_size=3), st.lists(RECORD, max_size=6), st.lists(RELATION, max_size=3))
def test_reading_gives_back_what_was_written(
    infos: list[CollectionInfo], records: list[MemoryRecord], relations: list[Relation]
) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        packed, tally = neutral.write(folder, infos, [records[:2], records[2:]], relations, Progress())
        found = [record for batch in neutral.read_records(folder, batch=4) for record in batch]
        assert list(map(everything, found)) == list(map(everything, records))
        assert list(map(record_hash, found)) == list(map(record_hash, records))
        assert [canonical_json(_as_list(each)) for each in neutral.read_relations(folder)] == [
            canonical_json(_as_list(each)) for each in relations
        ]
        assert canonical_json(list(map(_as_list, neutral.read_collections(folder)))) == canonical_json(
            list(map(_as_list, infos))
        )
        assert tally.content == content_hash(records)
        assert neutral.tally(folder, Progress()) == tally
        assert (tally.records, tally.relations) == (len(records), len(relations))
        assert [each.path for each in packed] == [neutral.RECORDS, neutral.VECTORS]


def everything(record: MemoryRecord) -> tuple[Any, ...]:
    """A record as values that compare to the bit: the content hash sees neither the order of tags nor vectors."""
    vector = None if record.embedding is None else (record.embedding.dtype, record.embedding.tobytes())
    return (record.key, record.tags, type(record.created), record.state, vector)


def _as_list(value: Any) -> list[Any]:
    found = [getattr(value, name) for name in value.__slots__]
    return [dict(each) if isinstance(each, dict) else each for each in found]


@pytest.fixture
def folder(tmp_path: Path, records: list[MemoryRecord]) -> Path:
    info = CollectionInfo("memories", len(records), len(records), len(records), 8)
    neutral.write(tmp_path, [info], [records], [Relation(records[0].key, "elsewhere")], Progress())
    return tmp_path


def test_one_collection_and_no_vectors_can_be_asked_for(tmp_path: Path, records: list[MemoryRecord]) -> None:
    other = records[0].with_key(Key("other", "x"))
    neutral.write(tmp_path, [], [[records[1], other, records[2]]], [], Progress())
    [[found]] = neutral.read_records(tmp_path, collection="other")
    assert everything(found) == everything(other)
    assert found.embedding is not None and found.embedding.flags.writeable
    [[bare]] = neutral.read_records(tmp_path, collection="other", vectors=False)
    assert bare.embedding is None


def test_batches_are_bounded(folder: Path) -> None:
    assert [len(batch) for batch in neutral.read_records(folder, batch=4)] == [4, 2]


def test_the_lines_are_json_that_people_can_read(folder: Path, records: list[MemoryRecord]) -> None:
    lines = unpacked(folder / "records.jsonl.zst").decode().splitlines()
    assert [json.loads(line)["text"] for line in lines[1:-1]] == [record.text for record in records]
    assert "東京" in lines[5]
    vectors = np.frombuffer(unpacked(folder / "vectors.f32.zst"), "<f4").reshape(-1, 8)
    assert (vectors == np.stack([r.embedding for r in records if r.embedding is not None])).all()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("records.jsonl.zst", lambda data: b""),
        ("records.jsonl.zst", lambda data: b"[]\n" + data),
        ("records.jsonl.zst", lambda data: data.replace(b'"text"', b'"next"', 1)),
        ("records.jsonl.zst", lambda data: data[: len(data) // 2]),
        ("records.jsonl.zst", lambda data: data.replace(b'"state":"live"', b'"state":"alive"', 1)),
        ("vectors.f32.zst", lambda data: data[:-4]),
        ("vectors.f32.zst", lambda data: data + b"\0\0\0\0"),
    ],
)
def test_what_cannot_be_understood_is_damage(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    path = folder / name
    path.write_bytes(zstandard.ZstdCompressor().compress(change(unpacked(path))))
    with pytest.raises(BackupDamaged):
        neutral.read_collections(folder)
        list(neutral.read_records(folder))


def unpacked(path: Path) -> bytes:
    with path.open("rb") as raw:
        return bytes(zstandard.ZstdDecompressor().stream_reader(raw).read())
