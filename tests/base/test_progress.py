"""Progress tells a listener, and stops when asked."""

import pytest

from memdefrag.base.errors import Cancelled
from memdefrag.base.progress import Cancel, Progress, Tick, shows_waits, wait_for_server


def test_start_and_end_of_a_phase_are_always_told() -> None:
    ticks: list[Tick] = []
    progress = Progress(ticks.append)
    progress.phase("Reading", 1000)
    for _ in range(1000):
        progress.step()
    assert ticks[0] == Tick("Reading", 0, 1000, ticks[0].seconds)
    assert ticks[-1].done == 1000
    assert len(ticks) < 100


def test_step_raises_once_cancelled() -> None:
    cancel = Cancel()
    progress = Progress(cancel=cancel)
    progress.phase("Reading", 10)
    progress.step()
    cancel.set()
    with pytest.raises(Cancelled):
        progress.step()


def test_a_phase_that_must_finish_is_not_interrupted() -> None:
    cancel = Cancel()
    progress = Progress(cancel=cancel)
    progress.phase("Putting in place", cancellable=False)
    cancel.set()
    progress.step()


def test_the_last_chance_to_cancel_is_the_start_of_the_phase_that_must_finish() -> None:
    cancel = Cancel()
    progress = Progress(cancel=cancel)
    progress.phase("Verifying")
    cancel.set()
    with pytest.raises(Cancelled):
        progress.phase("Putting in place", cancellable=False)


@pytest.mark.parametrize(
    ("tick", "left"),
    [
        (Tick("x", 50, 100, 10.0), 10.0),
        (Tick("x", 50, None, 10.0), None),
        (Tick("x", 0, 100, 10.0), None),
        (Tick("x", 50, 100, 1.0), None),
    ],
)
def test_time_left_is_told_when_it_can_be_known(tick: Tick, left: float | None) -> None:
    assert tick.seconds_left == left


def test_one_more_listener_hears_the_same_and_the_switch_stays_the_same() -> None:
    first: list[Tick] = []
    second: list[Tick] = []
    progress = Progress(first.append)
    more = progress.told_also(second.append)
    more.phase("Reading", 1)
    more.step()
    assert first == second != []
    progress.cancel.set()
    with pytest.raises(Cancelled):
        more.check()


def test_a_wait_is_told_with_its_reason_and_what_is_done_so_far() -> None:
    ticks: list[Tick] = []
    progress = Progress(ticks.append)
    progress.phase("Writing", 10)
    progress.wait(0.11, "the server is slow")
    assert (ticks[-1].phase, ticks[-1].total, ticks[-1].note) == ("Writing", 10, "the server is slow")
    progress.wait(0.001, "nobody notices")
    assert ticks[-1].note == "the server is slow"


def test_a_wait_ends_when_the_person_stops_it() -> None:
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        Progress(cancel=cancel).wait(3600.0, "long")


def test_waits_for_a_server_are_told_to_the_work_under_way_alone() -> None:
    ticks: list[Tick] = []
    with shows_waits(Progress(ticks.append)):
        wait_for_server(0.11)
    wait_for_server(0.11)
    assert [tick.note for tick in ticks] == ["the server asks to wait"]
