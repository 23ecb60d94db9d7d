"""Which memories take part: by the beginning of their name, metadata, tags and time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import UsageError
from memdefrag.engine.migrate.selection import chosen, parse_since, parse_where
from memdefrag.model.migration import Selection
from memdefrag.model.records import Key, MemoryRecord, State

NOW = 1.8e9


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kathmandu"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the person lives."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def memory(id: str = "one", **said: object) -> MemoryRecord:
    return MemoryRecord(Key("memories", id), "text", **said)  # type: ignore[arg-type]


def ids(records: list[MemoryRecord]) -> list[str]:
    return [record.key.id for record in records]


def test_all_take_part_unless_something_is_said() -> None:
    records = [memory("a"), memory("b", state=State.DELETED), memory("c", state=State.CHUNK)]
    assert chosen(records, Selection()) == records


def test_names_are_chosen_by_their_beginning() -> None:
    records = [memory("notes/door"), memory("note"), memory("x/notes/door")]
    assert ids(chosen(records, Selection(prefix="notes/"))) == ["notes/door"]


@pytest.mark.parametrize(
    ("metadata", "takes_part"),
    [({"n": 5}, True), ({"n": "5"}, True), ({"n": 5.0}, False), ({"n": "50"}, False), ({}, False), ({"m": 5}, False)],
)
def test_metadata_are_compared_as_text(metadata: dict[str, object], takes_part: bool) -> None:
    assert bool(chosen([memory(metadata=metadata)], Selection(where={"n": "5"}))) is takes_part


def test_every_condition_on_metadata_must_hold() -> None:
    records = [memory("both", metadata={"a": 1, "b": 2}), memory("half", metadata={"a": 1, "b": 3})]
    assert ids(chosen(records, Selection(where={"a": "1", "b": "2"}))) == ["both"]


def test_a_memory_needs_all_of_the_tags() -> None:
    records = [memory("all", tags=("x", "y", "z")), memory("some", tags=("x",)), memory("none")]
    assert ids(chosen(records, Selection(tags=frozenset({"x", "y"})))) == ["all"]


def test_the_later_of_both_times_counts_and_the_moment_itself_takes_part() -> None:
    records = [
        memory("changed since", created=1.0, updated=100.0),
        memory("made since", created=100.0, updated=1.0),
        memory("before", created=99.0, updated=99.9),
        memory("made only", created=100.0),
    ]
    assert ids(chosen(records, Selection(since=100.0))) == ["changed since", "made since", "made only"]


def test_a_memory_without_any_time_is_never_left_out_by_its_time() -> None:
    assert chosen([memory()], Selection(since=NOW))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.floats(0, 10)), max_size=20), st.floats(0, 10))
def test_two_conditions_choose_what_each_of_them_chooses(rows: list[tuple[str, float | None]], since: float) -> None:
    records = [memory(f"{letter}{number}", created=when) for number, (letter, when) in enumerate(rows)]
    both = chosen(records, Selection(prefix="a", since=since))
    assert both == chosen(chosen(records, Selection(prefix="a")), Selection(since=since))
    assert [record for record in records if record in both] == both


def test_a_date_is_midnight_where_the_person_lives(zone: str) -> None:
    midnight = time.mktime((2025, 3, 1, 0, 0, 0, 0, 0, -1))
    assert parse_since("2025-03-01") == parse_since("20250301") == parse_since(" 2025-03-01T00:00 ") == midnight


def test_a_named_zone_is_believed(zone: str) -> None:
    moment = datetime(2025, 3, 1, 12, 30, tzinfo=UTC).timestamp()
    assert parse_since("2025-03-01T12:30Z") == parse_since("2025-03-01 14:30+02:00") == moment


@given(st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)), st.integers(-720, 720))
def test_what_a_clock_writes_is_read_back(when: datetime, minutes: int) -> None:
    aware = when.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_since(aware.isoformat()) == aware.timestamp()


@given(st.floats(1e8, 1e10))
def test_seconds_since_1970_are_read_back(seconds: float) -> None:
    assert parse_since(repr(seconds)) == seconds


@pytest.mark.parametrize("text", ["1735689600", "1735689600000", "1735689600000000"])
def test_other_units_of_the_epoch_are_recognised(text: str) -> None:
    assert parse_since(text) == 1735689600


@pytest.mark.parametrize(
    ("text", "ago"), [("7d", 604800), ("24h", 86400), ("90 m", 5400), ("2W", 1209600), ("1.5h", 5400)]
)
def test_a_span_counts_back_from_now(text: str, ago: float) -> None:
    assert parse_since(text, NOW) == NOW - ago


def test_the_clock_is_asked_where_no_moment_is_given() -> None:
    before = time.time()
    assert before - 60 <= parse_since("1m") <= time.time() - 60


@pytest.mark.parametrize(
    "text", ["", "soon", "2025", "0", "-7d", "7y", "2025-13-01", "20251301", "nan", "inf", "1e9", "7d ago"]
)
def test_what_is_no_moment_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="--since") as raised:
        parse_since(text)
    assert "7d" in raised.value.todo


def test_conditions_are_cut_at_the_first_equals_sign() -> None:
    assert parse_where(["a=b=c", "empty=", "a=b=c"]) == {"a": "b=c", "empty": ""}


@pytest.mark.parametrize("pairs", [["plain"], ["=value"], [""], ["a=1", "a=2"]])
def test_conditions_that_mean_nothing_are_refused(pairs: list[str]) -> None:
    with pytest.raises(UsageError, match="--where"):
        parse_where(pairs)
