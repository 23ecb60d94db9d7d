"""JSON lines, the portable file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.base.errors import NotAStore, StoreChanged, UnsupportedFormat
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, State
from memdefrag.model.service_metadata import content_hash
from memdefrag.stores.base import Store
from memdefrag.stores.registry import open_store, resolve
from tests.stores.contract import everything


def make(path: Path, *lines: dict[str, Any] | str | bytes) -> Store:
    """A file with these lines; the last one has no line end."""
    path.write_bytes(
        b"\n".join(
            line if isinstance(line, bytes) else line.encode() if isinstance(line, str) else json.dumps(line).encode()
            for line in lines
        )
    )
    return open_store(f"jsonl:{path}")


def save(path: Path, *records: MemoryRecord) -> Store:
    store = open_store(f"jsonl:{path}", must_exist=False)
    store.write(Changes(put=tuple(Put(record, None) for record in records)), Progress())
    return store


def only(store: Store) -> MemoryRecord:
    [record] = everything(store).values()
    return record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl"


def test_only_a_text_is_required(path: Path) -> None:
    record = only(make(path, {"text": "A Memory "}))
    assert record == MemoryRecord(Key("memories", content_hash("A Memory ")), "A Memory ")


def test_every_field_is_read(path: Path) -> None:
    record = only(
        make(
            path,
            {
                "id": "1",
                "text": "t",
                "metadata": {"n": 1},
                "tags": ["a", "b,c"],
                "created_at": "2025-01-01T12:00:00Z",
                "updated_at": 1735732801,
                "embedding": [0.1, 1],
                "uri": "u",
                "owner": "me",
                "state": "superseded",
                "collection": "c",
                "extras": {"x": 1},
                "score": 0.5,
            },
        )
    )
    assert record.embedding is not None
    assert record.embedding.tolist() == np.array([0.1, 1], np.float32).tolist()
    assert replace(record, embedding=None) == MemoryRecord(
        key=Key("c", "1"),
        text="t",
        metadata={"n": 1},
        tags=("a", "b,c"),
        uri="u",
        created=1735732800.0,
        updated=1735732801.0,
        owner="me",
        state=State.SUPERSEDED,
        extras={"x": 1, "score": 0.5},
    )


def test_what_the_metadata_means_counts_where_a_line_says_nothing(path: Path) -> None:
    metadata = {"tags": '["a"]', "timestamp": 5.5, "updated_at": 6.5, "is_chunk": True}
    record = only(make(path, {"text": "t", "metadata": metadata}))
    assert (record.tags, record.created, record.updated, record.state) == (("a",), 5.5, 6.5, State.CHUNK)
    record = only(make(path, {"text": "t", "metadata": metadata, "tags": [], "created_at": None, "state": "live"}))
    assert (record.tags, record.created, record.updated, record.state) == ((), None, 6.5, State.LIVE)


def test_a_header_names_the_collection_and_its_settings(path: Path) -> None:
    header = {"memdefrag": 1, "collection": "c", "metric": "l2", "model": "m", "settings": {"a": 1}}
    store = make(path, header, {"text": "t"}, {"text": "u", "collection": "d"})
    assert store.collections() == [
        CollectionInfo("c", 1, 1, 0, None, "l2", "m", {"a": 1}),
        CollectionInfo("d", 1, 1, 0),
    ]
    assert [record.key.id for batch in store.scan("c") for record in batch] == [content_hash("t")]


def test_a_memory_may_have_a_key_called_like_the_header(path: Path) -> None:
    assert only(make(path, {"memdefrag": 1, "text": "t"})).extras == {"memdefrag": 1}


def test_collections_are_written_into_the_header(path: Path) -> None:
    infos = (
        CollectionInfo("a", 0, 0, 0, metric="ip", model="m", settings={"metadata": {"k": "ü"}}),
        CollectionInfo("b", 0, 0, 0, metric="l2"),
    )
    with open_store(f"jsonl:{path}", must_exist=False) as store:
        put = Put(MemoryRecord(Key("b", "1"), "t"), None)
        store.write(Changes(put=(put,), collections=infos), Progress())
        assert store.collections() == [infos[0], replace(infos[1], count=1, live=1)]
        store.write(Changes(collections=(CollectionInfo("c", 0, 0, 0),)), Progress())
        assert [info.name for info in store.collections()] == ["a", "b", "c"]
        assert store.collections()[0] == infos[0]


def test_a_missing_collection_is_told_from_an_empty_one(path: Path) -> None:
    store = make(path, {"memdefrag": 1, "collection": "c"})
    assert list(store.scan("c")) == []
    assert store.collections()[0].count == 0


def test_bad_lines_are_named_and_never_lost(path: Path) -> None:
    bad = [b"{broken", b"[1]", b'{"no": "text"}', b"<html>", b"\xff\xfe", b'"text"', b"[" * 5000]
    store = make(path, {"id": "1", "text": "one"}, *bad, {"id": "2", "text": "two"}, b'{"id": "3", "text": "cut')
    assert [key.id for key in everything(store)] == ["1", "2"]
    assert store.problems() == [
        "Line 2 has no JSON.",
        "Line 3 has no JSON object.",
        "Line 4 has no text.",
        "Line 5 has no JSON.",
        "Line 6 has no JSON.",
        "Line 7 has no JSON object.",
        "Line 8 has no JSON.",
        "Line 10 has no JSON.",
    ]
    one = everything(store)[Key("memories", "1")]
    store.write(Changes((Put(replace(one, key=Key("memories", "4")), None),), (Ref.of(one),)), Progress())
    lines = path.read_bytes().split(b"\n")
    assert lines[:7] == bad
    assert lines[8] == b'{"id": "3", "text": "cut'
    assert [key.id for key in everything(store)] == ["2", "4"]


def test_a_thousand_bad_lines_are_summed_up(path: Path) -> None:
    problems = make(path, {"text": "t"}, *["x"] * 1000).problems()
    assert len(problems) == 101
    assert problems[-1] == "900 more lines have faults."


@pytest.mark.case(21)
@pytest.mark.case(25)
@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ('"metadata": {"n": NaN}', "NaN, which is not JSON"),
        ('"embedding": [1, -Infinity]', "-Infinity, which is not JSON"),
        ('"embedding": [1, 1e39]', "a vector with values that are no numbers"),
        ('"embedding": [0, 0.0]', "a vector of zeros"),
        ('"embedding": "x"', "a vector that cannot be read"),
        ('"embedding": [[1]]', "a vector that cannot be read"),
        ('"metadata": [1]', "a field 'metadata' of the wrong type"),
        ('"uri": 5', "a field 'uri' of the wrong type"),
        ('"extras": 5', "a field 'extras' of the wrong type"),
        ('"created_at": "soon"', "a time 'created_at' that cannot be understood"),
        ('"collection": 5', "a field 'collection' of the wrong type"),
    ],
)
def test_faults_are_named_and_the_rest_is_read(path: Path, fields: str, problem: str) -> None:
    store = make(path, '{"id": "1", "text": "t", ' + fields + "}")
    assert f"Line 1 has {problem}." in store.problems()
    assert only(store).text == "t"
    raw = path.read_bytes()
    store.write(Changes(), Progress())
    assert path.read_bytes() == raw + b"\n"


@pytest.mark.case(20)
def test_bytes_that_are_not_utf8_survive_a_rewrite_of_their_line(path: Path) -> None:
    store = make(path, b'{"id": "1", "text": "caf\xe9"}')
    record = only(store)
    assert record.text == "caf\udce9"
    assert store.problems() == ["Line 1 has bytes that are not UTF-8."]
    store.write(Changes(put=(Put(replace(record, tags=("new",)), record_hash(record)),)), Progress())
    assert only(store) == replace(record, tags=("new",))


@pytest.mark.case(20)
def test_an_id_that_utf8_cannot_write_is_named_for_good(path: Path) -> None:
    store = make(path, b'{"id": "\\ud800a", "text": "x"}', b'{"id": "b", "collection": "\xff", "text": "y"}')
    assert [*everything(store)] == [Key("memories", "?a"), Key("?", "b")]
    assert [problem for problem in store.problems() if "here" in problem] == [
        "Line 1 has an id or collection that is not UTF-8 (named '?a' here).",
        "Line 2 has an id or collection that is not UTF-8 (named 'b' here).",
    ]
    gone = everything(store)[Key("?", "b")]
    store.write(Changes(delete=(Ref.of(gone),)), Progress())
    assert [*everything(store)] == [Key("memories", "?a")]
    assert store.problems() == []


@pytest.mark.case(24)
def test_ids_that_occur_twice_are_told_apart_and_named_for_good(path: Path) -> None:
    store = make(
        path, {"id": "1", "text": "a"}, {"text": "T"}, {"id": "1", "text": "b"}, {"text": "t"}, {"id": "1", "text": "c"}
    )
    hash = content_hash("t")
    assert [key.id for key in everything(store)] == ["1", hash, "1#2", f"{hash}#2", "1#3"]
    assert store.problems()[0] == "Line 3 has the id '1' a second time (named '1#2' here)."
    gone = everything(store)[Key("memories", "1")]
    store.write(Changes(delete=(Ref.of(gone),)), Progress())
    assert [key.id for key in everything(store)] == [hash, "1#2", f"{hash}#2", "1#3"]
    assert store.problems() == []


@pytest.mark.parametrize("line", [{"text": "old"}, {"id": None, "text": "old"}, {"id": "", "text": "old"}])
def test_a_line_without_an_id_keeps_its_name_when_its_text_changes(path: Path, line: dict[str, str]) -> None:
    store = make(path, line)
    [(key, old)] = everything(store).items()
    new = replace(old, text="new")
    store.write(Changes(put=(Put(new, record_hash(old)),)), Progress())
    assert everything(store) == {key: new}


def test_lines_that_are_not_named_keep_every_byte(path: Path) -> None:
    lines = [
        b'\xef\xbb\xbf{ "text":"one",  "created_at": "2025-01-01" }\r',
        b"",
        b'{"text": "two", "id": 2, "n": 1.50}\r',
        b'{"text": "three \\u00fc", "id": "3"}',
    ]
    store = make(path, *lines)
    record = everything(store)[Key("memories", "2")]
    store.write(Changes(delete=(Ref.of(record),)), Progress())
    assert path.read_bytes() == lines[0] + b"\n" + lines[3] + b"\n"


def test_a_changed_line_keeps_the_form_of_all_that_stays(path: Path) -> None:
    fields = {
        "zeta": 1,
        "created_at": "2025-01-01T12:00:00Z",
        "text": "t",
        "id": 7,
        "embedding": [0.1, 0.25],
        "tags": "a,b",
    }
    store = make(path, fields)
    record = only(store)
    store.write(Changes(put=(Put(replace(record, text="new"), record_hash(record)),)), Progress())
    assert list(json.loads(path.read_bytes()).items()) == list({**fields, "text": "new"}.items())


def test_metadata_that_changes_does_not_change_what_the_line_says(path: Path) -> None:
    store = make(path, {"text": "t", "metadata": {"tags": "a", "timestamp": 5, "is_chunk": True}})
    old = only(store)
    new = replace(old, metadata={"tags": "b", "timestamp": 6})
    store.write(Changes(put=(Put(new, record_hash(old)),)), Progress())
    assert only(store) == new
    newer = replace(new, metadata={"superseded_by": "x"}, state=State.SUPERSEDED)
    store.write(Changes(put=(Put(newer, record_hash(new)),)), Progress())
    assert only(store) == newer


def test_vectors_are_given_back_to_the_bit_and_short(path: Path) -> None:
    vector = np.concatenate([np.random.default_rng(0).normal(size=5000), [1, 0.0, 1e-45, 3.4e38]]).astype(np.float32)
    store = save(path, MemoryRecord(Key("memories", "1"), "t", embedding=vector))
    found = only(store).embedding
    assert found is not None
    assert found.tobytes() == vector.tobytes()
    assert path.stat().st_size < 14 * len(vector)


def test_a_vector_of_no_numbers_is_given_back_too(path: Path) -> None:
    vector = np.array([np.nan, np.inf, 1], np.float32)
    found = only(save(path, MemoryRecord(Key("memories", "1"), "t", embedding=vector))).embedding
    assert found is not None
    np.testing.assert_array_equal(found, vector)


def test_a_failed_write_leaves_the_file_and_no_scrap(path: Path) -> None:
    store = make(path, {"id": "1", "text": "t"})
    raw = path.read_bytes()
    with pytest.raises(StoreChanged):
        store.write(Changes(delete=(Ref(Key("memories", "2"), "0" * 64),)), Progress())
    assert path.read_bytes() == raw
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_is_private_and_an_old_one_keeps_its_mode(path: Path) -> None:
    store = save(path, MemoryRecord(Key("memories", "1"), "t"))
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    store.write(Changes(), Progress())
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_state_that_the_metadata_tells_is_no_longer_told_by_the_line(path: Path) -> None:
    store = make(path, {"text": "t", "metadata": {"is_chunk": True}, "state": "live"})
    old = only(store)
    new = replace(old, state=State.CHUNK)
    store.write(Changes(put=(Put(new, record_hash(old)),)), Progress())
    assert only(store) == new


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", ""),
        ("x.ndjson", "{broken"),
        ("x.txt", '{"text": "t"}'),
        ("x.bak", '\ufeff\n\n {"memdefrag": 1}\n'),
    ],
)
def test_files_that_are_recognised(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert resolve(str(tmp_path / name)).kind == "jsonl"


@pytest.mark.parametrize("content", [b"", b"<html></html>", b'{"content": "t"}', b"\0" * 100, b'{\n"text": "t"}'])
def test_files_that_are_not(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(NotAStore):
        resolve(str(tmp_path / "x.json"))


def test_a_file_without_one_memory_is_refused_but_an_empty_one_is_fine(path: Path) -> None:
    with pytest.raises(UnsupportedFormat):
        make(path, "<html>", "</html>").collections()
    assert make(path, "").collections() == []


text = st.text(st.characters(exclude_categories=()))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    ["a", "tags", "tags_str", "timestamp", "created_at_iso", "updated_at", "is_chunk", "id", "text"]
)
bodies = st.fixed_dictionaries(
    {
        "text": st.none() | text,
        "metadata": st.dictionaries(names, values),
        "embedding": st.none()
        | st.lists(st.floats(width=32), min_size=1, max_size=3).map(lambda v: np.array(v, np.float32)),
        "tags": st.lists(text.filter(bool)).map(tuple),
        "uri": st.none() | text,
        "created": st.none() | st.floats(-9e10, 9e10),
        "updated": st.none() | st.floats(-9e10, 9e10),
        "owner": st.none() | text,
        "state": st.sampled_from(State),
        "extras": st.dictionaries(names, values),
    }
)
keys = st.builds(Key, st.sampled_from(["memories", "other", ""]), text.filter(bool))


@given(st.dictionaries(keys, st.tuples(bodies, bodies), min_size=1, max_size=3))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_record_is_given_back_exactly_before_and_after_a_change(
    tmp_path: Path, drawn: dict[Key, tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    path = tmp_path / "x.jsonl"
    path.unlink(missing_ok=True)
    first = {key: MemoryRecord(key, **old) for key, (old, _) in drawn.items()}
    second = {key: MemoryRecord(key, **new) for key, (_, new) in drawn.items()}
    store = save(path, *first.values())
    assert_same(everything(store), first)
    puts = tuple(Put(second[key], record_hash(first[key])) for key in first)
    store.write(Changes(put=puts), Progress())
    assert_same(everything(store), second)
    for line in path.read_bytes().split(b"\n")[:-1]:
        assert isinstance(json.loads(line), dict)


def assert_same(found: dict[Key, MemoryRecord], expected: dict[Key, MemoryRecord]) -> None:
    assert {key: record_hash(record) for key, record in found.items()} == {
        key: record_hash(record) for key, record in expected.items()
    }
    for key, record in expected.items():
        other = found[key].embedding
        assert (record.embedding is None) == (other is None)
        if record.embedding is not None and other is not None:
            np.testing.assert_array_equal(other, record.embedding)


@pytest.mark.case(20)
def test_any_bytes_are_read_without_failing(path: Path) -> None:
    rng = np.random.default_rng(1)
    for size in (1, 10, 1000):
        store = make(path, rng.bytes(size), b"\x00", b'{"text": "t"}')
        assert len(everything(store)) == 1
