"""The same things under the names that each memory system has for them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.carried import carry, uncarry
from memdefrag.model.codec import fit, meant
from memdefrag.model.hashing import record_hash
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.model.service_metadata import read
from memdefrag.model.terms import as_in_chroma, as_in_database, in_columns, service_tags, title_of

CHROMA = Capabilities(Commit.DIRECTORY, tags_in_metadata=True, list_values=False, nested_values=False, uri=False)
DATABASE = Capabilities(Commit.SQLITE, extras=True, uri=False)
ID = hashlib.sha256(b"any").hexdigest()
WORDS = st.text("abü -", min_size=1, max_size=4)
TAGS = st.lists(WORDS, max_size=3).map(service_tags)
TIMES = st.none() | st.floats(1, 4e9)
OWN: dict[str, st.SearchStrategy[Any]] = {
    "tags": st.sampled_from([list, ",".join, lambda tags: json.dumps(list(tags))]),
    "memory_type": WORDS,
    "importance": st.integers(0, 9),
    "nested": st.just({"a": [1, None]}),
}


@st.composite
def rows(draw: st.DrawFn) -> MemoryRecord:
    """Memories as Memory Service's database holds them; what their metadata says beside the columns is not outdated."""
    kind, tags = draw(st.none() | WORDS), draw(TAGS)
    metadata = draw(st.fixed_dictionaries({}, optional=OWN))
    if kind is None:
        metadata.pop("memory_type", None)
    if "tags" in metadata:
        metadata["tags"] = metadata["tags"](tags)
    return MemoryRecord(
        Key("default", ID), "A text", metadata, tags=tags, created=draw(TIMES), updated=draw(TIMES),
        extras={"memory_type": kind} if kind else {},
    )  # fmt: skip


def in_chroma(record: MemoryRecord) -> MemoryRecord:
    """A memory of the database, in Chroma."""
    return carry(as_in_chroma(uncarry(record)), record.key, lambda each: fit(each, CHROMA))[0]


def in_database(record: MemoryRecord) -> MemoryRecord:
    """A memory of Chroma, in the database."""
    record = replace(record, metadata=meant(record.metadata, CHROMA))
    return carry(as_in_database(uncarry(record)), record.key, lambda each: fit(each, DATABASE))[0]


@given(rows())
def test_what_leaves_the_database_for_chroma_comes_back_unchanged(row: MemoryRecord) -> None:
    assert record_hash(in_database(in_chroma(row))) == record_hash(row)


@given(rows())
def test_what_leaves_chroma_for_the_database_comes_back_unchanged(row: MemoryRecord) -> None:
    there = in_chroma(row)
    assert record_hash(in_chroma(in_database(there))) == record_hash(there)


@given(rows())
def test_the_old_service_finds_what_it_reads(row: MemoryRecord) -> None:
    metadata = in_chroma(row).metadata
    assert metadata["content_hash"] == ID
    assert metadata["memory_type"] == row.extras.get("memory_type", "")
    assert isinstance(metadata["tags"], str)
    if row.created:
        assert metadata["timestamp"] == row.created


OLD: dict[str, dict[str, Any]] = {
    "last": {"content_hash": ID, "memory_type": "note", "timestamp": 1.7e9, "tags": "a,b",
             "created_at_iso": "2023-11-14T22:13:20.000000Z"},
    "capitals": {"content_hash": ID, "memory_type": "", "timestamp": 1.7e9, "tags": "Garden, Trees",
                 "created_at_iso": "2023-11-14T22:13:20.000000Z"},
    "array": {"content_hash": ID, "memory_type": "note", "type": "note", "timestamp": 1.7e9, "tags": '["a", "b"]',
              "created_at_iso": "2023-11-14T22:13:20.000000Z"},
    "first": {"content_hash": ID, "memory_type": "", "timestamp": "1700000000.0", "tags": "[]"},
    "edited": {"content_hash": ID, "type": "fact", "memory_type": "note", "tags": '["a"]', "tags_str": "b,c",
               "timestamp": 1700000000, "timestamp_float": 1.7e9, "created_at": 1.7e9, "updated_at": 1.71e9},
    "other hash": {"content_hash": "0" * 64, "memory_type": "note", "timestamp": 1.7e9, "tags": "",
                   "created_at_iso": "2023-11-14T22:13:20.000000Z"},
    "foreign": {"wing": "west", "tags": "A"},
}  # fmt: skip


@pytest.mark.parametrize("metadata", OLD.values(), ids=OLD)
def test_what_the_service_ever_wrote_comes_back_unchanged(metadata: dict[str, Any]) -> None:
    id = "0" if "wing" in metadata else ID
    old = MemoryRecord(Key("c", id), "A text", metadata, **read(metadata)._asdict())
    assert record_hash(in_chroma(in_database(old))) == record_hash(old)


def test_what_the_last_version_wrote_leaves_the_metadata() -> None:
    metadata = {**OLD["last"], "mood": "calm"}
    there = as_in_database(MemoryRecord(Key("c", ID), "x", metadata, tags=("a", "b"), created=1.7e9))
    assert (there.metadata, there.extras, there.tags) == ({"mood": "calm"}, {"memory_type": "note"}, ("a", "b"))


def test_tags_that_were_edited_in_chroma_win() -> None:
    row = MemoryRecord(Key("c", ID), "x", {"tags": ["a"]}, tags=("a",), created=1.7e9)
    edited = uncarry(in_chroma(row))
    edited = replace(edited, metadata={**edited.metadata, "tags": "b"}, tags=("b",))
    back = as_in_database(edited)
    assert (back.tags, back.metadata) == (("b",), {})


def test_the_old_service_finds_a_type_that_stands_under_another_name() -> None:
    record = MemoryRecord(Key("c", ID), "A text", {"type": "note"})
    there = as_in_chroma(record)
    assert there.metadata["memory_type"] == "note"
    assert as_in_database(there).metadata == {"type": "note"}


def test_a_column_of_one_system_is_a_key_of_the_others_metadata_and_back() -> None:
    record = MemoryRecord(Key("c", "1"), "A text", {"k": 1}, extras={"title": "T", "memory_type": "note", "odd": 5})
    there = in_columns(record, ())
    assert (there.metadata, there.extras) == ({"k": 1, "title": "T", "memory_type": "note"}, {"odd": 5})
    assert in_columns(there, ("title",)).extras == {"odd": 5, "title": "T"}


def test_what_a_column_says_wins_over_metadata_that_is_older() -> None:
    record = MemoryRecord(Key("c", "1"), "A text", {"title": "old"}, extras={"title": "new"})
    assert in_columns(record, ()).metadata == {"title": "new"}
    assert in_columns(record, ("title",)).extras == {"title": "new"}


def test_a_title_that_only_repeats_the_text_is_not_handed_on() -> None:
    text = "First line\nand more"
    assert title_of(text) == "First line"
    assert in_columns(MemoryRecord(Key("c", "1"), text, extras={"title": "First line"}), ()).metadata == {}


@pytest.mark.parametrize(("text", "title"), [(None, "(untitled)"), (" \n ", "(untitled)"), ("x" * 500, "x" * 80)])
def test_every_text_has_a_title(text: str | None, title: str) -> None:
    assert title_of(text) == title
