from __future__ import annotations

import threading
import time

import pytest

from memdefrag.base.errors import Cancelled, InternalError
from memdefrag.base.progress import Progress, Tick
from memdefrag.gui.tasks import Tasks

PATIENCE_MS = 20_000


@pytest.fixture
def tasks(qtbot):
    made = Tasks()
    yield made
    made.stop()
    qtbot.waitUntil(lambda: not made.busy, timeout=PATIENCE_MS)


def test_work_runs_elsewhere_and_its_result_arrives_here(qtbot, tasks):
    seen = []
    tasks.run(
        lambda progress: threading.current_thread(),
        lambda worker: seen.append((worker, threading.current_thread())),
        pytest.fail,
    )
    qtbot.waitUntil(lambda: bool(seen), timeout=PATIENCE_MS)
    [(worker, here)] = seen
    assert here is threading.main_thread()
    assert worker is not here


def test_errors_arrive_here_in_words(qtbot, tasks):
    errors = []

    def task(progress: Progress) -> None:
        raise ValueError("unforeseen")

    tasks.run(task, pytest.fail, lambda error: errors.append((error, threading.current_thread())))
    qtbot.waitUntil(lambda: bool(errors), timeout=PATIENCE_MS)
    assert isinstance(errors[0][0], InternalError)
    assert errors[0][1] is threading.main_thread()


def test_one_store_has_one_job_at_a_time(qtbot, tasks):
    running, most, done = [], [], []

    def task(progress: Progress) -> None:
        running.append(1)
        most.append(len(running))
        time.sleep(0.02)
        running.pop()

    for _ in range(5):
        tasks.run(task, lambda _: done.append(1), pytest.fail, lane="store")
    qtbot.waitUntil(lambda: len(done) == 5, timeout=PATIENCE_MS)
    assert max(most) == 1


def test_different_stores_do_not_wait_for_each_other(qtbot, tasks):
    meet, done = threading.Barrier(2, timeout=10), []
    for lane in ("one", "other"):
        tasks.run(lambda progress: meet.wait(), done.append, pytest.fail, lane=lane)
    qtbot.waitUntil(lambda: len(done) == 2, timeout=PATIENCE_MS)


def endless(progress: Progress) -> None:
    progress.phase("Waiting", 10**9)
    while True:
        progress.step()


def test_a_job_can_be_cancelled(qtbot, tasks):
    errors = []
    cancel = tasks.run(endless, pytest.fail, errors.append)
    qtbot.wait(50)
    cancel.set()
    qtbot.waitUntil(lambda: bool(errors), timeout=PATIENCE_MS)
    assert isinstance(errors[0], Cancelled)


def test_a_job_cancelled_while_it_waits_never_begins(qtbot, tasks):
    errors, begun = [], []
    first = tasks.run(endless, pytest.fail, errors.append, lane="store")
    second = tasks.run(begun.append, pytest.fail, errors.append, lane="store")
    second.set()
    first.set()
    qtbot.waitUntil(lambda: len(errors) == 2, timeout=PATIENCE_MS)
    assert begun == []


def test_ticks_come_at_most_ten_times_a_second(qtbot, tasks):
    ticks, ended = [], []

    def busy(progress: Progress) -> None:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            progress.phase("Quick", 1)
            progress.step()

    def ticked(tick: Tick) -> None:
        ticks.append(threading.current_thread())

    tasks.run(busy, lambda _: ended.append(1), pytest.fail, ticked)
    qtbot.waitUntil(lambda: bool(ended), timeout=PATIENCE_MS)
    assert 1 <= len(ticks) <= 8
    assert set(ticks) == {threading.main_thread()}


def test_stopping_ends_everything_and_says_so(qtbot):
    tasks, answers = Tasks(), []
    tasks.run(endless, answers.append, answers.append, lane="store")
    tasks.run(endless, answers.append, answers.append, lane="store")
    tasks.later(0.01, lambda: answers.append("late"))
    with qtbot.waitSignal(tasks.idle, timeout=PATIENCE_MS):
        tasks.stop()
    assert not tasks.busy
    qtbot.wait(50)
    assert answers == []
    tasks.run(endless, answers.append, answers.append)
    assert not tasks.busy


def test_later_is_later(qtbot, tasks):
    calls = []
    tasks.later(0.01, lambda: calls.append(threading.current_thread()))
    assert calls == []
    qtbot.waitUntil(lambda: bool(calls), timeout=PATIENCE_MS)
    assert calls == [threading.main_thread()]
