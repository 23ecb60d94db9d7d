"""How long to wait between two batches: what was asked for, and as long as a server took too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.engine.pace import BATCH, FIRST, SLOW, Pacer
from memdefrag.model.migration import GENTLE, Pace


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def pauses(pace: Pace, batches: list[tuple[int, float]], *, server: bool = True) -> list[float]:
    """What is waited after batches of so many records that took so many seconds."""
    clock = Clock()
    pacer = Pacer(pace, server=server, clock=clock)
    found = []
    for records, seconds in batches:
        pacer.begin()
        clock.now += seconds
        found.append(pacer.pause(records))
        clock.now += found[-1]
    return found


def test_nothing_is_waited_where_nothing_is_asked_and_the_server_is_steady() -> None:
    assert pauses(Pace(), [(200, 1.0)] * 20) == [0.0] * 20


def test_a_batch_is_as_large_as_it_was_asked_to_be() -> None:
    assert tuple(Pacer(pace, server=True).size for pace in (None, Pace(batch=7), GENTLE)) == (BATCH, 7, 10)


def test_the_delay_is_waited_after_every_batch() -> None:
    assert pauses(GENTLE, [(10, 0.1)] * 3) == [1.0] * 3


def test_a_batch_that_takes_more_than_twice_as_long_is_waited_for_as_long_as_the_excess() -> None:
    assert pauses(Pace(), [(200, 1.0), (200, 1.0), (200, 1.9), (200, 5.0)]) == pytest.approx([0.0, 0.0, 0.0, 4.0])


def test_a_batch_of_more_records_may_take_longer() -> None:
    assert pauses(Pace(), [(10, 1.0), (100, 10.0)]) == [0.0, 0.0]


def test_what_is_usual_is_told_by_the_first_batches_alone() -> None:
    slower = [(10, 1.0)] * FIRST + [(10, 3.0)] * 50
    assert pauses(Pace(), slower)[FIRST:] == pytest.approx([2.0] * 50)


def test_a_store_of_this_machine_is_not_waited_for() -> None:
    assert pauses(Pace(), [(10, 1.0), (10, 30.0)], server=False) == [0.0, 0.0]
    assert pauses(Pace(delay=2.0), [(10, 1.0), (10, 30.0)], server=False) == [2.0, 2.0]


def test_one_slow_batch_among_the_first_changes_little() -> None:
    assert pauses(Pace(), [(10, 1.0), (10, 30.0), (10, 1.0), (10, 3.0)]) == pytest.approx([0.0, 29.0, 0.0, 2.0])


@given(
    rate=st.floats(1, 1000),
    batches=st.lists(st.tuples(st.integers(1, 500), st.floats(0, 5)), min_size=1, max_size=30),
)
def test_no_more_records_than_allowed_are_written_in_a_second(rate: float, batches: list[tuple[int, float]]) -> None:
    waited = pauses(Pace(max_rate=rate), batches)
    for (records, seconds), pause in zip(batches, waited, strict=True):
        assert records <= rate * (seconds + pause) * 1.000001


@given(batches=st.lists(st.tuples(st.integers(1, 500), st.floats(0.001, 5)), min_size=1, max_size=30))
def test_never_more_is_waited_than_the_last_batch_took(batches: list[tuple[int, float]]) -> None:
    for (_, seconds), pause in zip(batches, pauses(Pace(), batches), strict=True):
        assert 0.0 <= pause < seconds
        assert pause == 0.0 or pause >= seconds / SLOW
