"""Memory Service metadata: what it means, and saying something else in the same words."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memdefrag.model.records import Metadata, State
from memdefrag.model.service_metadata import content_hash, in_columns, iso, moment, read, restate

NOON = 1735732800.25
NOON_ISO = "2025-01-01T12:00:00.250000Z"

encoded_tags = st.one_of(
    st.none(),
    st.just(""),
    st.just("[]"),
    st.just("a, b"),
    st.just('["a", "b,c"]'),
    st.just("[broken"),
    st.just("[a,b]"),
    st.text(),
    st.lists(st.text()),
    st.integers(),
    st.just("[" * 5000 + "]" * 5000),
)
encoded_times = st.one_of(
    st.none(),
    st.booleans(),
    st.text(),
    st.integers(),
    st.floats(),
    st.floats(0, 3e9).map(repr),
    st.floats(0, 3e9).map(iso),
    st.integers(10**12, 10**14),
    st.sampled_from(["nan", "inf", "9" * 400, "0001-01-01T00:00:00+14:00", 0, 10**400]),
)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "tags": encoded_tags,
        "tags_str": encoded_tags,
        "created_at": encoded_times,
        "timestamp_float": encoded_times,
        "timestamp": encoded_times,
        "created_at_iso": encoded_times,
        "timestamp_str": encoded_times,
        "updated_at": encoded_times,
        "updated_at_iso": encoded_times,
        "is_chunk": st.booleans(),
        "type": st.text(),
    },
)
tag_lists = st.lists(st.text(min_size=1))
times = st.one_of(st.none(), st.floats(1, 9e10))


def same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= max(1e-6, abs(other) * 1e-15)


@given(metadata, tag_lists, times, times)
@example({"timestamp": 5, "created_at_iso": NOON_ISO}, [], 5.5, None)
@example({"timestamp": 10**12}, ["[", "]"], 1.0, None)
def test_restated_metadata_means_what_was_stated(
    given_metadata: Metadata, tags: list[str], created: float | None, updated: float | None
) -> None:
    before = read(given_metadata)
    after = read(restate(given_metadata, tags=tags, created=created, updated=updated))
    assert after.tags == tuple(tags)
    assert same(after.created, before.created if created is None else created)
    assert same(after.updated, before.updated if updated is None else updated)
    assert after.state == before.state


@given(metadata, tag_lists, times, times)
def test_restating_twice_changes_nothing_more(
    given_metadata: Metadata, tags: list[str], created: float | None, updated: float | None
) -> None:
    once = restate(given_metadata, tags=tags, created=created, updated=updated)
    meant = read(once)
    assert repr(restate(once, tags=tags, created=created, updated=updated)) == repr(once)
    assert repr(restate(once, tags=meant.tags, created=meant.created, updated=meant.updated)) == repr(once)


@given(metadata)
def test_restating_the_same_meaning_changes_nothing(given_metadata: Metadata) -> None:
    meant = read(given_metadata)
    stated = restate(given_metadata, tags=meant.tags, created=meant.created, updated=meant.updated)
    assert repr(stated) == repr(given_metadata)
    assert stated is not given_metadata


@pytest.mark.parametrize(
    ("given_metadata", "tags"),
    [
        ({"tags": '["a", "b"]'}, ("a", "b")),
        ({"tags": "a, b ,,"}, ("a", "b")),
        ({"tags": ["a", "b"]}, ("a", "b")),
        ({"tags": '["stale"]', "tags_str": "a,b"}, ("a", "b")),
        ({"tags": "a,b", "tags_str": None}, ("a", "b")),
        ({"tags": "stale", "tags_str": ""}, ()),
        ({"tags": ""}, ()),
        ({"tags": "[]"}, ()),
        ({"tags": 7}, ()),
        ({"tags": "[not json]"}, ("[not json]",)),
        ({"tags": [1, None, "", "x"]}, ("1", "x")),
    ],
)
def test_tags_are_read_in_every_encoding(given_metadata: Metadata, tags: tuple[str, ...]) -> None:
    assert read(given_metadata).tags == tags


@pytest.mark.parametrize(
    "given_metadata",
    [
        {"timestamp": str(NOON)},
        {"timestamp": 1735732800, "timestamp_float": NOON},
        {"timestamp": 1735732800, "created_at": NOON},
        {"created_at_iso": NOON_ISO},
        {"timestamp_str": "2025-01-01T13:00:00.25+01:00"},
        {"timestamp": NOON * 1000},
        {"timestamp": 1735732800250},
        {"timestamp": "1735732800250000"},
        {"created_at": 0, "timestamp": NOON},
        {"created_at": "some day", "timestamp": NOON},
        {"created_at": True, "timestamp_float": float("nan"), "timestamp": NOON},
        {"created_at": "2025-01-01 12:00:00.25"},
    ],
)
def test_times_are_read_from_every_era(given_metadata: Metadata) -> None:
    assert read(given_metadata).created == NOON


def test_updated_is_read_from_its_own_keys() -> None:
    assert read({"updated_at_iso": NOON_ISO, "created_at": 5.0}).updated == NOON
    assert read({"created_at": 5.0}).updated is None


@pytest.mark.parametrize(
    ("given_metadata", "state"),
    [
        ({}, State.LIVE),
        ({"is_chunk": True}, State.CHUNK),
        ({"is_chunk": "false"}, State.LIVE),
        ({"is_chunk": False, "superseded_by": "", "deleted_at": None}, State.LIVE),
        ({"superseded_by": "abc", "is_chunk": True}, State.SUPERSEDED),
        ({"deleted_at": 5.0, "superseded_by": "abc"}, State.DELETED),
    ],
)
def test_state_is_read(given_metadata: Metadata, state: State) -> None:
    assert read(given_metadata).state is state


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a,b", "c,d"),
        ('["a"]', '["c", "d"]'),
        ("[]", '["c", "d"]'),
        ("", "c,d"),
        (["a"], ["c", "d"]),
    ],
)
def test_tags_keep_their_encoding(old: Any, new: Any) -> None:
    assert restate({"tags": old}, tags=["c", "d"], created=None, updated=None) == {"tags": new}


def test_a_list_of_tags_never_becomes_empty() -> None:
    assert restate({"tags": ["a"]}, tags=[], created=None, updated=None) == {"tags": ""}


def test_stale_tags_beside_tags_str_both_become_true() -> None:
    stale = {"tags": '["stale"]', "tags_str": "a"}
    assert restate(stale, tags=["c", "d"], created=None, updated=None) == {
        "tags": '["c", "d"]',
        "tags_str": "c,d",
    }


def test_tags_are_new_as_a_comma_string_unless_that_would_be_misread() -> None:
    assert restate({}, tags=["c", "d"], created=None, updated=None) == {"tags": "c,d"}
    assert restate({}, tags=["c,d"], created=None, updated=None) == {"tags": '["c,d"]'}
    assert restate({"tags": "a"}, tags=[" c"], created=None, updated=None) == {"tags": '[" c"]'}


def test_times_keep_their_types_and_the_first_key_is_exact() -> None:
    old: Metadata = {
        "created_at": 1.5,
        "timestamp": 1,
        "timestamp_float": "1.5",
        "timestamp_str": "1970-01-01",
        "created_at_iso": "x",
    }
    assert restate(old, tags=(), created=NOON, updated=None) == {
        "created_at": NOON,
        "timestamp": 1735732800,
        "timestamp_float": str(NOON),
        "timestamp_str": NOON_ISO,
        "created_at_iso": NOON_ISO,
    }
    assert restate({"timestamp": 1}, tags=(), created=3.0, updated=None) == {"timestamp": 3}
    assert type(restate({"timestamp": 1}, tags=(), created=3.0, updated=None)["timestamp"]) is int
    assert restate({"timestamp": 1}, tags=(), created=3.5, updated=None) == {"timestamp": 3.5}


def test_milliseconds_stay_milliseconds() -> None:
    assert restate({"created_at": 1735732800000}, tags=(), created=NOON, updated=None) == {
        "created_at": 1735732800250
    }


def test_times_nobody_told_yet_are_written_as_the_service_does() -> None:
    assert restate({}, tags=(), created=NOON, updated=NOON) == {
        "timestamp": NOON,
        "created_at_iso": NOON_ISO,
        "updated_at": NOON,
        "updated_at_iso": NOON_ISO,
    }


def test_a_content_hash_follows_the_text_only_when_the_text_changed() -> None:
    old = {"content_hash": "of text and metadata"}
    assert restate(old, tags=(), created=None, updated=None) == old
    renewed = restate(old, tags=(), created=None, updated=None, text="  Straße\n")
    assert renewed["content_hash"] == hashlib.sha256("straße".encode()).hexdigest() == content_hash("straße")
    assert restate({}, tags=(), created=None, updated=None, text="new") == {}


def test_a_hash_exists_for_text_that_is_no_unicode() -> None:
    assert len(content_hash("half \ud800")) == 64


@given(metadata, st.text())
def test_columns_keep_the_meaning(given_metadata: Metadata, id: str) -> None:
    folded = in_columns(given_metadata, id)
    assert repr(read(folded)) == repr(read(given_metadata))
    assert {"created_at", "timestamp_float"}.isdisjoint(folded)
    assert type(folded.get("timestamp", 0.0)) is float
    again = in_columns(folded, "other" if id else id)
    assert sorted(map(repr, again.items())) == sorted(map(repr, folded.items()))


@given(st.one_of(encoded_times, st.dictionaries(st.text(), st.text())))
def test_a_moment_is_finite_seconds_or_nothing(value: Any) -> None:
    seconds = moment(value)
    assert seconds is None or -1e11 < seconds < 1e11


@given(tag_lists)
def test_json_tags_are_read_back(tags: list[str]) -> None:
    assert read({"tags": json.dumps(tags)}).tags == tuple(tags)
