"""What a store has no place for comes back in the next one that has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.carried import CARRIED, carry, uncarry
from memdefrag.model.codec import fit, guarded, meant
from memdefrag.model.records import Key, MemoryRecord

NARROW = Capabilities(Commit.IN_PLACE, list_values=False, nested_values=False, uri=False)
WIDE = Capabilities(Commit.FILE, extras=True)
RECORD = MemoryRecord(Key("a", "one"), "A text.", {"kind": "note"})

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
values = st.recursive(st.none() | st.booleans() | st.integers(-5, 5) | words, lambda inner: st.lists(inner, max_size=2))
records = st.builds(
    replace,
    st.just(RECORD),
    uri=st.none() | words.filter(bool),
    owner=st.none() | words.filter(bool),
    metadata=st.dictionaries(words, values, max_size=3),
    extras=st.dictionaries(words, values, max_size=3),
)


def into(
    record: MemoryRecord, capabilities: Capabilities, id: str, origin: Capabilities | None = None
) -> tuple[MemoryRecord, tuple[str, ...]]:
    """The record, which may come from another store, as a store of these capabilities gives it back."""
    if origin:
        record = replace(record, metadata=meant(record.metadata, origin))

    def fits(one: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        return fit(replace(one, metadata=guarded(one.metadata, capabilities)), capabilities)

    return carry(uncarry(record), Key("b", id), fits)


def test_what_fits_is_left_as_it_is() -> None:
    assert into(RECORD, NARROW, "one") == (RECORD.with_key(Key("b", "one")), ())


def test_what_has_no_place_travels_in_the_metadata_and_is_no_loss() -> None:
    record = replace(RECORD, uri="file:///x", owner="ada", extras={"importance": 3})
    written, losses = into(record, NARROW, "one")
    assert (written.uri, written.owner, written.extras) == (None, None, {})
    assert CARRIED in written.metadata
    assert losses == ()


def test_a_name_that_had_to_change_comes_back() -> None:
    written, _ = into(RECORD, NARROW, "0123abcd")
    assert uncarry(written).key.id == "one"


@given(records)
def test_there_and_back_nothing_is_lost(record: MemoryRecord) -> None:
    there, _ = into(record, NARROW, "other")
    back, _ = into(there, WIDE, uncarry(there).key.id, NARROW)
    assert back == record.with_key(Key("b", "one"))


@given(records, words)
def test_what_was_carried_for_one_memory_names_no_other(record: MemoryRecord, id: str) -> None:
    there, _ = into(replace(record, owner="ada"), NARROW, "other")
    copied = uncarry(replace(RECORD, key=Key("b", id), metadata=there.metadata))
    assert (copied.key.id, copied.owner) == (("one", "ada") if id == "other" else (id, None))
    assert (copied.uri, copied.extras) == (record.uri, record.extras)


@given(records, records, words)
def test_what_is_carried_never_replaces_what_a_memory_says(one: MemoryRecord, other: MemoryRecord, id: str) -> None:
    there, _ = into(one, NARROW, "other")
    told = uncarry(replace(other, key=Key("b", id), metadata={**other.metadata, CARRIED: there.metadata.get(CARRIED)}))
    assert other.owner is None or told.owner == other.owner
    assert other.uri is None or told.uri == other.uri
    assert other.extras.items() <= told.extras.items()
    assert other.metadata.items() <= told.metadata.items()


@pytest.mark.parametrize("check", [{}, {"check": "0123456789abcdef"}, {"check": ""}])
def test_who_a_memory_is_and_whose_is_not_taken_on_trust(check: dict[str, str]) -> None:
    forged = replace(RECORD, metadata={CARRIED: {"id": "victim", "owner": "root", "uri": "x:y", **check}})
    told = uncarry(forged)
    assert (told.key, told.owner, told.uri) == (RECORD.key, None, "x:y")
    assert told.metadata == {CARRIED: {"id": "victim", "owner": "root", **check}}
    there, _ = into(forged, NARROW, "other")
    assert uncarry(there).metadata == told.metadata


@pytest.mark.parametrize("said", ["words", {"note": 1}, {"id": 5}, {"tags": [1]}, {"created": "x"}, {}, None, [1]])
@pytest.mark.parametrize("uri", [None, "file:///x"])
def test_what_stands_under_our_key_and_is_not_ours_stays(said: Any, uri: str | None) -> None:
    record = replace(RECORD, uri=uri, metadata={CARRIED: said})
    assert uncarry(record) == record
    there, _ = into(record, NARROW, "other")
    back, _ = into(there, WIDE, uncarry(there).key.id, NARROW)
    assert back == record.with_key(Key("b", "one"))


@given(st.recursive(values, lambda inner: st.dictionaries(words, inner, max_size=3)))
def test_whatever_stands_under_our_key_is_read_without_failing(told: Any) -> None:
    assert uncarry(replace(RECORD, metadata={CARRIED: told})).text == RECORD.text


TAGGED = Capabilities(Commit.DIRECTORY, tags_in_metadata=True)


@pytest.mark.parametrize("said", [{"tags": "old,older"}, {"tags": ["old"]}, {"timestamp": "n/a"}, {"created_at": 5}])
def test_metadata_that_give_way_to_the_memorys_own_tags_and_times_are_told(said: dict[str, Any]) -> None:
    written, losses = into(replace(RECORD, metadata=said, tags=("new",), created=1.7e9), TAGGED, "one")
    [key] = said
    assert written.metadata[key] != said[key]
    assert losses == (f"the value of {key!r}",)


def test_a_time_of_which_a_store_rounds_the_last_digit_is_not_told_as_another() -> None:
    def rounded(record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        return replace(record, metadata={**record.metadata, "timestamp": 1731146561.8186848}), ("the last digit",)

    record = replace(RECORD, metadata={"timestamp": 1731146561.818685})
    assert carry(record, record.key, rounded)[1] == ("the last digit",)


@pytest.mark.parametrize("said", [{"tags": "new"}, {"tags": ["new"]}, {"timestamp": 1.7e9}, {"tags_str": '["new"]'}])
def test_metadata_that_say_the_same_tags_and_times_are_no_loss(said: dict[str, Any]) -> None:
    assert into(replace(RECORD, metadata=said, tags=("new",), created=1.7e9), TAGGED, "one")[1] == ()
