from __future__ import annotations

import pytest

from memdefrag.base.wording import count, day, moment, size


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1_234_567, "1.2 MB"), (99_600, "100 kB"), (5e15, "5000 TB")],
)
def test_sizes_are_decimal_with_two_digits_that_count(number: float, words: str) -> None:
    assert size(number) == words


def test_counts_agree_with_their_noun() -> None:
    assert (count(1, "memory", "memories"), count(2000, "memory", "memories")) == ("1 memory", "2,000 memories")


@pytest.mark.parametrize("seconds", [None, 0.0, 1e300, float("nan")])
def test_an_unknown_or_impossible_time_is_nothing(seconds: float | None) -> None:
    assert moment(seconds) == day(seconds) == ""


def test_a_day_is_the_beginning_of_its_moment() -> None:
    assert moment(1735689600.0).startswith(day(1735689600.0))
