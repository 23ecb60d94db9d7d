"""Fitting records into stores that hold less."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.codec import ESCAPE, fit, guarded, meant, unfit
from memdefrag.model.hashing import record_hash
from memdefrag.model.records import Key, MemoryRecord, State
from memdefrag.model.service_metadata import read

FULL = Capabilities(Commit.FILE, extras=True, raw_bytes=True)
CHROMA = Capabilities(
    Commit.DIRECTORY,
    tags_in_metadata=True,
    list_values=False,
    nested_values=False,
    null_vector=False,
    uri=False,
)
LISTS = replace(CHROMA, list_values=True)
EXPORT = Capabilities(Commit.SQLITE, tags_in_metadata=True, null_text=False, raw_bytes=True)

HDEV = Capabilities(Commit.IN_PLACE, null_text=False, vectors=False, uri=False)
DATABASE = Capabilities(Commit.TRANSACTION, zero_bytes=False)

any_text = st.text(st.characters(exclude_categories=()))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), any_text, st.just(2**70))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
alike = st.recursive(values, lambda inner: inner.map(lambda value: ESCAPE + json.dumps(value)), max_leaves=4)
"""Values, and strings of the form of those that we escape."""
names = st.sampled_from(["a", "b", "tags", "tags_str", "timestamp", "created_at", "updated_at", "is_chunk"])
records = st.builds(
    MemoryRecord,
    key=st.just(Key("memories", "1")),
    text=st.none() | any_text,
    metadata=st.dictionaries(names, values),
    embedding=st.none() | st.lists(st.floats(width=32), max_size=3).map(lambda xs: np.array(xs, np.float32)),
    tags=st.lists(any_text).map(tuple),
    uri=st.none() | st.text(),
    created=st.none() | st.floats(1, 4e9),
    updated=st.none() | st.floats(1, 4e9),
    owner=st.none() | st.text(),
    state=st.sampled_from(State),
    extras=st.dictionaries(st.text(), st.integers()),
)


def record(**fields: Any) -> MemoryRecord:
    return MemoryRecord(
        **{"key": Key("memories", "1"), "text": "text", "embedding": np.ones(3, np.float32), **fields}
    )


@given(records, st.sampled_from([FULL, CHROMA, LISTS, EXPORT]))
def test_a_fitted_record_fits(given_record: MemoryRecord, target: Capabilities) -> None:
    once, losses = fit(given_record, target)
    again, more = fit(once, target)
    assert record_hash(again) == record_hash(once)
    assert set(more) <= set(losses)
    assert not [loss for loss in more if "type" in loss]


@given(records, st.sampled_from([CHROMA, LISTS]))
@example(MemoryRecord(Key("memories", "1"), None, {"tags": [False]}), LISTS)
def test_a_weak_store_gets_only_what_it_holds(given_record: MemoryRecord, target: Capabilities) -> None:
    fitted, _ = fit(given_record, target)
    assert (fitted.uri, fitted.owner, fitted.extras) == (None, None, {})
    for value in fitted.metadata.values():
        items = value if isinstance(value, list) and target.list_values else [value]
        assert items and all(isinstance(item, str | int | float) for item in items)
        assert all(-(2**63) <= item < 2**63 for item in items if isinstance(item, int))
        assert all(np.isfinite(item) for item in items if isinstance(item, float))
        assert all(item.encode() is not None for item in items if isinstance(item, str))


@given(records, st.sampled_from([CHROMA, LISTS, EXPORT]))
def test_tags_and_times_are_what_the_metadata_means(given_record: MemoryRecord, target: Capabilities) -> None:
    fitted, _ = fit(given_record, target)
    meant = read(fitted.metadata)
    assert (fitted.tags, fitted.created, fitted.updated, fitted.state) == meant
    if given_record.created:
        assert fitted.created == pytest.approx(given_record.created, abs=1e-6)
    if target.raw_bytes:
        assert fitted.tags == tuple(tag for tag in given_record.tags if tag)


@pytest.mark.case(25)
@given(st.dictionaries(st.sampled_from("abc"), values))
def test_metadata_survives_a_weak_store(metadata: dict[str, Any]) -> None:
    stored, _ = fit(record(metadata=metadata), CHROMA)
    restored, _ = fit(replace(stored, metadata=meant(stored.metadata, CHROMA)), FULL)
    assert repr(unfit(stored.metadata)) == repr(metadata)
    assert repr(restored.metadata) == repr(fit(record(metadata=metadata), FULL)[0].metadata)


def into(metadata: dict[str, Any], source: Capabilities, target: Capabilities) -> dict[str, Any]:
    """What a store of the one kind gives back of what stands in a store of the other."""
    said = guarded(meant(metadata, source), target)
    return fit(record(metadata=said), target)[0].metadata


@given(st.dictionaries(st.sampled_from("abc"), alike), st.sampled_from([CHROMA, LISTS, HDEV, DATABASE]))
@example({"a": ESCAPE + '{"b":1}'}, CHROMA)
@example({"a": ESCAPE + '"memdefrag:json:{}"'}, CHROMA)
@example({"a": ESCAPE + '["b"]'}, LISTS)
@example({"a": ["b"]}, LISTS)
@example({"a": {"\udcff": 1}}, HDEV)
@example({"a": {"\0": 1}}, DATABASE)
def test_strings_that_only_look_escaped_come_back_as_they_were(metadata: dict[str, Any], other: Capabilities) -> None:
    first = into(metadata, FULL, FULL)
    assert repr(into(into(first, FULL, other), other, FULL)) == repr(first)


@given(st.dictionaries(st.sampled_from("abc"), alike), st.sampled_from([FULL, CHROMA, LISTS, HDEV, DATABASE]))
def test_what_stands_in_a_store_already_stays_as_it_is(metadata: dict[str, Any], here: Capabilities) -> None:
    stands = fit(record(metadata=metadata), here)[0].metadata
    assert repr(fit(record(metadata=stands), here)[0].metadata) == repr(stands)
    assert repr(into(stands, here, here)) == repr(stands)


def test_a_string_that_a_store_could_have_held_otherwise_is_the_persons() -> None:
    metadata = {"k": ESCAPE + '{"a":1}'}
    assert fit(record(metadata=metadata), FULL) == (record(metadata=metadata), ())
    assert meant(metadata, FULL) == metadata
    assert meant(metadata, CHROMA) == {"k": {"a": 1}}
    assert into(metadata, FULL, CHROMA) == {"k": ESCAPE + json.dumps(metadata["k"])}


def test_metadata_that_mean_what_they_say_are_given_back_themselves() -> None:
    metadata = {"k": "memdefrag", "n": 1}
    assert meant(metadata, CHROMA) is metadata
    assert guarded(metadata, CHROMA) is metadata


def test_a_uri_that_is_not_utf8_is_told() -> None:
    fitted, losses = fit(record(uri="x:\udcff"), replace(CHROMA, uri=True))
    assert fitted.uri == "x:?"
    assert losses == ("bytes that are not UTF-8 (replaced by question marks)",)


def test_a_record_the_store_can_hold_stays_itself() -> None:
    given_record = record(
        metadata={"tags": "a, b", "timestamp": "5.5", "n": 1, "x": True}, tags=("a", "b"), created=5.5
    )
    assert fit(given_record, CHROMA) == (given_record, ())


def test_stale_metadata_is_copied_verbatim() -> None:
    metadata = {"tags": '["stale"]', "tags_str": "a", "timestamp": 1, "created_at": 5.5}
    given_record = record(metadata=metadata, tags=("a",), created=5.5)
    assert fit(given_record, CHROMA)[0].metadata == metadata


@pytest.mark.case(25)
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ({}, "{}"),
        ({"a": [1, {"b": None}]}, '{"a":[1,{"b":null}]}'),
        (["a"], '["a"]'),
        (2**63, "9223372036854775808"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        ("\udcff", '"\\udcff"'),
    ],
)
def test_a_value_without_a_type_is_escaped(value: Any, text: str) -> None:
    fitted, losses = fit(record(metadata={"k": value}), CHROMA)
    assert fitted.metadata == {"k": ESCAPE + text}
    assert losses == ("the type of 'k' (kept as JSON text)",)


@pytest.mark.case(25)
@pytest.mark.parametrize("value", [["a", "b"], [1, 2], [True], [0.5]])
def test_lists_of_one_type_stay_lists_where_possible(value: list[Any]) -> None:
    assert fit(record(metadata={"k": value}), LISTS)[0].metadata == {"k": value}


@pytest.mark.parametrize("value", [[], ["a", 1], [1, True], [None], [[1]], [float("nan")]])
def test_other_lists_are_escaped(value: list[Any]) -> None:
    assert fit(record(metadata={"k": value}), LISTS)[0].metadata["k"].startswith(ESCAPE)


def test_a_list_of_tags_becomes_the_services_json_text() -> None:
    fitted, losses = fit(record(metadata={"tags": ["a", "b,c"]}, tags=("a", "b,c")), CHROMA)
    assert fitted.metadata == {"tags": '["a", "b,c"]'}
    assert fitted.tags == ("a", "b,c")
    assert losses == ()


@pytest.mark.parametrize(
    "text", ["memdefrag:json:", "memdefrag:json:{", "memdefrag:json:5", 'memdefrag:json:"a"', "[" * 9]
)
def test_text_that_only_looks_escaped_stays_text(text: str) -> None:
    assert unfit({"k": text}) == {"k": text}


def test_tags_and_times_move_into_the_metadata_only_where_they_live_there() -> None:
    given_record = record(tags=("a", "b"), created=5.5)
    assert fit(given_record, FULL)[0] == given_record
    moved = fit(given_record, CHROMA)[0]
    assert moved.metadata == {
        "tags": "a,b",
        "timestamp": 5.5,
        "created_at_iso": "1970-01-01T00:00:05.500000Z",
    }
    assert (moved.tags, moved.created) == (("a", "b"), 5.5)


@pytest.mark.case(25)
def test_losses_are_named() -> None:
    given_record = record(
        text=None, embedding=None, uri="u", owner="me", state=State.DELETED, extras={"priority": 1}
    )
    fitted, losses = fit(given_record, replace(CHROMA, null_text=False))
    assert fitted.text == ""
    assert losses == (
        "the absence of a text (an empty one is written)",
        "the absence of a vector (one must be made)",
        "the uri",
        "the owner",
        "the value of 'priority'",
        "the state 'deleted'",
    )
    assert fit(given_record, FULL) == (given_record, ())


@pytest.mark.case(20)
def test_bytes_that_are_not_utf8_are_replaced_and_told() -> None:
    fitted, losses = fit(record(text="a\udcffb"), CHROMA)
    assert fitted.text == "a?b"
    assert losses == ("bytes that are not UTF-8 (replaced by question marks)",)


@pytest.mark.case(21)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_of_no_numbers_is_left_out(bad: float) -> None:
    fitted, losses = fit(record(embedding=np.array([1, bad], np.float32)), FULL)
    assert fitted.embedding is None
    assert losses == ("a vector with values that are no numbers",)
