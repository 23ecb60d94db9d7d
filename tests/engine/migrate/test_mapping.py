"""Metadata changed on the way: dropped, renamed, set; tags and times with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import UsageError
from memdefrag.engine.migrate.mapping import load, mapped, parse
from memdefrag.model.address import Address
from memdefrag.model.migration import MetadataMap
from memdefrag.model.records import Key, MemoryRecord, Metadata, State
from memdefrag.model.service_metadata import read
from memdefrag.stores.registry import open_store

_KEYS = st.sampled_from(["a", "b", "c", "tags", "tags_str", "timestamp", "created_at", "updated_at", "deleted_at"])
_VALUES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(0, 2e9) | st.sampled_from(["", "x,y", '["z"]'])
_METADATA = st.dictionaries(_KEYS, _VALUES, max_size=6)


def service_memory(metadata: Metadata) -> MemoryRecord:
    """As a store reads it that keeps tags and times in the metadata."""
    return MemoryRecord(Key("memories", "one"), "text", metadata, **read(metadata)._asdict())


def said(**parts: Any) -> bytes:
    return json.dumps(parts).encode()


def test_keys_are_dropped_then_renamed_then_set() -> None:
    rules = MetadataMap(frozenset({"b"}), {"a": "b", "c": "d"}, {"d": [1], "e": None})
    changed = mapped(service_memory({"a": 1, "b": 2, "c": 3, "f": True}), rules)
    assert changed.metadata == {"b": 1, "d": [1], "e": None, "f": True}


def test_two_keys_can_change_places() -> None:
    changed = mapped(service_memory({"a": 1, "b": 2}), MetadataMap(rename={"a": "b", "b": "a"}))
    assert changed.metadata == {"a": 2, "b": 1}


def test_a_renamed_key_replaces_the_one_that_is_there() -> None:
    for metadata in ({"a": 1, "b": 2}, {"b": 2, "a": 1}):
        assert mapped(service_memory(metadata), MetadataMap(rename={"a": "b"})).metadata == {"b": 1}


@given(_METADATA)
def test_no_rules_change_nothing(metadata: Metadata) -> None:
    record = service_memory(metadata)
    assert mapped(record, MetadataMap()) is record
    assert mapped(record, MetadataMap(frozenset({"absent"}), {"gone": "other"})) == record


@given(_METADATA, st.permutations(["k", "l", "m"]))
def test_a_renaming_backwards_gives_the_same_again(metadata: Metadata, names: list[str]) -> None:
    there = dict(zip(["a", "tags", "timestamp"], names, strict=True))
    back = {new: old for old, new in there.items()}
    record = service_memory(metadata)
    again = mapped(mapped(record, MetadataMap(rename=there)), MetadataMap(rename=back))
    assert again.metadata == record.metadata
    assert (again.tags, again.state) == (record.tags, record.state)


@given(_METADATA, st.dictionaries(_KEYS, _VALUES, max_size=3), st.sets(_KEYS, max_size=3))
def test_text_name_and_vector_are_never_touched(metadata: Metadata, fixed: Metadata, drop: set[str]) -> None:
    record = service_memory(metadata)
    changed = mapped(record, MetadataMap(frozenset(drop), {}, fixed))
    assert (changed.key, changed.text, changed.uri, changed.extras) == (record.key, record.text, None, {})
    assert changed.metadata == {key: value for key, value in metadata.items() if key not in drop} | fixed


def test_what_the_rules_say_of_tags_and_times_is_what_the_memory_has() -> None:
    record = service_memory({"labels": "x,y", "made": 1.7e9})
    changed = mapped(record, MetadataMap(rename={"labels": "tags", "made": "created_at"}, set={"updated_at": 1.8e9}))
    assert (changed.tags, changed.created, changed.updated) == (("x", "y"), 1.7e9, 1.8e9)


def test_tags_can_be_taken_away() -> None:
    assert mapped(service_memory({"tags": "x"}), MetadataMap(set={"tags": ""})).tags == ()


def test_a_memory_keeps_its_tags_and_times_when_their_keys_go() -> None:
    record = service_memory({"tags": "x", "created_at": 5e8 + 0.25, "timestamp": 500000000, "updated_at": 6e8})
    changed = mapped(record, MetadataMap(frozenset({"created_at", "updated_at"}), {"tags": "labels"}))
    assert (changed.tags, changed.created, changed.updated) == (record.tags, record.created, record.updated)


def test_a_key_that_is_believed_less_changes_no_meaning() -> None:
    record = service_memory({"created_at": 5e8, "old": 9})
    assert mapped(record, MetadataMap(rename={"old": "timestamp"})).created == 5e8


def test_tags_of_a_column_survive_a_rule_about_another_key() -> None:
    record = MemoryRecord(Key("memories", "one"), "text", {"tags": "other", "a": 1}, tags=("column",), created=7.0)
    changed = mapped(record, MetadataMap(rename={"a": "b"}, set={"timestamp": "no moment"}))
    assert (changed.tags, changed.created) == (("column",), 7.0)


def test_a_mark_of_deletion_goes_with_its_key() -> None:
    dead = service_memory({"deleted_at": 5e8})
    assert dead.state is State.DELETED
    assert mapped(dead, MetadataMap(frozenset({"deleted_at"}))).state is State.LIVE
    column = MemoryRecord(Key("memories", "one"), "text", {"a": 1}, state=State.DELETED)
    assert mapped(column, MetadataMap(frozenset({"a"}))).state is State.DELETED


@given(_METADATA, st.sets(_KEYS, max_size=3), st.dictionaries(st.just("a"), _KEYS, max_size=1))
def test_a_store_with_tags_in_its_metadata_says_what_the_changed_memory_means(
    metadata: Metadata, drop: set[str], rename: dict[str, str]
) -> None:
    with open_store(Address("chroma", "/nowhere"), must_exist=False) as store:
        changed = mapped(service_memory(metadata), MetadataMap(frozenset(drop - {"a"}), rename))
        written = store.fit(changed)[0]
    assert read(written.metadata).tags == changed.tags
    if changed.created:
        assert read(written.metadata).created == pytest.approx(changed.created)


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "map.json"
    file.write_bytes(said(drop=["a"], rename={"b": "c"}, set={"d": {"e": [1, None]}}))
    assert load(file) == MetadataMap(frozenset({"a"}), {"b": "c"}, {"d": {"e": [1, None]}})
    file.write_text("{}")
    assert load(file) == MetadataMap()


def test_faults_of_a_file_name_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.json"):
        load(tmp_path / "absent.json")
    (tmp_path / "map.json").write_bytes(said(drop="a"))
    with pytest.raises(UsageError, match=r"map\.json.*'drop'") as raised:
        load(tmp_path / "map.json")
    assert '"rename"' in raised.value.todo


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b'{"set": {"a": NaN}}', "NaN"),
        (b"[]", "object"),
        (said(drop=[], remove=["a"]), "'remove'"),
        (said(drop=[1]), "'drop'"),
        (said(rename=["a"]), "'rename'"),
        (said(rename={"old": 5}), "'old'"),
        (said(rename={"old": ""}), "'old'"),
        (said(rename={"one": "new", "two": "new"}), "'new'.*'one'.*'two'"),
        (said(set=[]), "'set'"),
        (said(drop=["twice"], rename={"twice": "x"}), "'twice'"),
        (said(drop=["memdefrag_id"]), "'memdefrag_id'"),
        (said(rename={"memdefrag_carried": "x"}), "'memdefrag_carried'"),
        (said(rename={"x": "memdefrag_id"}), "'memdefrag_id'"),
        (said(set={"memdefrag_id": "x"}), "'memdefrag_id'"),
    ],
)
def test_what_a_mapping_cannot_say_is_refused_by_name(data: bytes, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        parse(data)
