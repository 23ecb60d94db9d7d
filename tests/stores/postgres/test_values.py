"""What we read is what the server printed; what we write is what it would print."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.stores.postgres import values
from tests.stores.postgres.server import Server, Session

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=5)
MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))


@pytest.fixture(scope="module")
def session(server: Server) -> Session:
    opened = server.connect()
    opened.execute("SET TimeZone = 'UTC'")
    yield opened
    opened.close()


def printed(session: Session, text: str, type: str) -> str:
    [(found,)] = session.execute(f"SELECT (%s::text)::{type}::text", [text]).fetchall()
    return str(found)


@given(TEXTS.flatmap(lambda text: st.just((text,))) | st.lists(TEXTS, max_size=6).map(tuple))
@settings(max_examples=60)
def test_arrays_are_written_as_the_server_prints_them(session: Session, items: tuple[str, ...]) -> None:
    written = values.write_array(items)
    assert printed(session, written, "text[]") == written
    assert values.read_array(written) == items


@pytest.mark.parametrize("item", ["NULL", "null", "", " ", "\t", "\x0b", "\xa0", "\u2028", '"', "\\", ",", "{}", "a b"])
def test_items_that_need_quotes_get_them(session: Session, item: str) -> None:
    written = values.write_array((item,))
    assert printed(session, written, "text[]") == written
    assert values.read_array(written) == (item,)


@given(OBJECTS)
@settings(max_examples=60)
def test_json_survives_the_server_with_its_types(session: Session, value: dict[str, Any]) -> None:
    back = values.read_object(printed(session, values.write_json(value), "jsonb"))
    assert json.dumps(back, sort_keys=True) == json.dumps(_without_minus_nothing(value), sort_keys=True)


@given(OBJECTS)
@settings(max_examples=60)
def test_json_that_the_server_printed_is_written_the_same(session: Session, value: dict[str, Any]) -> None:
    text = printed(session, values.write_json(value), "jsonb")
    meant = values.read_object(text)
    assert meant is not None
    assert values.write_json(meant) == text


def _without_minus_nothing(value: Any) -> Any:
    """The server knows no -0.0."""
    if isinstance(value, dict):
        return {key: _without_minus_nothing(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_minus_nothing(item) for item in value]
    return value + 0.0 if isinstance(value, float) else value


@given(MOMENTS, st.sampled_from([0, 3, 6]), st.booleans())
@settings(max_examples=60)
def test_times_are_written_as_the_server_prints_them(
    session: Session, moment: datetime, digits: int, zone: bool
) -> None:
    seconds = values.read_time(str(moment))
    assert seconds is not None
    written = values.write_time(seconds, digits, zone=zone)
    assert written is not None
    type = f"timestamp({digits}) with{'' if zone else 'out'} time zone"
    assert printed(session, written, type) == written
    rounded = values.read_time(written)
    assert rounded is not None
    assert values.write_time(rounded, digits, zone=zone) == written
    assert abs(rounded - moment.replace(tzinfo=UTC).timestamp()) <= 0.5 * 10.0**-digits + 1e-4


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@settings(max_examples=60)
def test_vectors_come_back_bit_for_bit(session: Session, numbers: list[float]) -> None:
    vector = np.array(numbers, np.float32)
    back = values.read_vector(printed(session, values.write_vector(vector, array=True), "real[]"))
    assert back is not None
    np.testing.assert_array_equal(back, vector)


@given(st.text(max_size=30))
def test_no_text_breaks_the_readers(text: str) -> None:
    for reader in (values.read_array, values.read_object, values.read_time, values.read_vector):
        reader(text)
        reader("{" + text + "}")
        reader("[" + text + "]")


def test_a_time_beyond_the_servers_text_has_none() -> None:
    assert values.write_time(1e300, 3, zone=False) is None
    assert values.write_time(float("inf"), 3, zone=False) is None
    assert values.write_time(float("nan"), 3, zone=False) is None
