"""JSON that strangers wrote."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.foreign_json import DEEPEST, parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(VALUES)
def test_usual_values_are_read(value: object) -> None:
    assert parse(json.dumps(value)) == value
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("wrap", [str, str.encode])
def test_what_is_nested_too_deeply_is_refused(opening: str, wrap: type) -> None:
    closing = "]" if opening == "[" else "}"
    for depth, fits in ((DEEPEST, True), (DEEPEST + 1, False), (990, False), (100_000, False)):
        text = wrap(opening * depth + "1" + closing * depth)
        if fits:
            parse(text)
        else:
            with pytest.raises(ValueError):
                parse(text)


def test_wide_is_not_deep() -> None:
    assert parse(json.dumps([[1]] * 5000)) == [[1]] * 5000
    assert parse(json.dumps("[" * 5000)) == "[" * 5000


def test_an_endless_number_is_refused() -> None:
    with pytest.raises(ValueError):
        parse("9" * 5000)
