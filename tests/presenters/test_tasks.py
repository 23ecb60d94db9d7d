import pytest

from memdefrag.base.errors import Cancelled, InternalError, StoreInUse
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.presenters.tasks import DirectRunner, as_memdefrag_error, job_progress


def test_a_result_reaches_done():
    got = []
    DirectRunner().run(lambda progress: 42, got.append, got.append)
    assert got == [42]


def test_an_error_reaches_failed_as_it_is():
    error, got = StoreInUse("busy"), []

    def task(progress: Progress) -> None:
        raise error

    DirectRunner().run(task, lambda _: pytest.fail("done"), got.append)
    assert got == [error]


def test_what_nobody_expected_becomes_an_internal_error_that_promises_nothing_of_the_store():
    cause = ZeroDivisionError("by zero")
    error = as_memdefrag_error(cause)
    assert isinstance(error, InternalError)
    assert "ZeroDivisionError" in error.message
    assert error.__cause__ is cause
    assert "not changed" not in error.safe


def test_later_waits_until_time_elapses():
    runner, calls = DirectRunner(), []
    runner.later(1.0, lambda: calls.append(1))
    assert calls == []
    runner.elapse()
    runner.elapse()
    assert calls == [1]


def test_a_job_says_how_far_how_fast_and_how_long_still():
    job = job_progress("Analysing", Tick("Reading", 2_000, 6_000, 4.0), stopping=False)
    assert job.share == pytest.approx(1 / 3)
    assert job.figures == "2,000 of 6,000, 500 per second, about 8 seconds left"
    assert job.cancellable


def test_a_job_without_a_known_end_has_no_share():
    job = job_progress("Analysing", Tick("Grouping", 0, None, 0.0), stopping=False)
    assert job.share is None
    assert job.figures == ""


def test_a_phase_that_must_not_be_interrupted_says_so():
    ticks = []
    progress = Progress(ticks.append, Cancel())
    progress.phase("Putting the new store in place", cancellable=False)
    assert not job_progress("Optimizing", ticks[-1], stopping=False).cancellable


def test_a_cancelled_task_fails_with_cancelled():
    got = []

    def task(progress: Progress) -> None:
        progress.cancel.set()
        progress.check()

    DirectRunner().run(task, got.append, got.append)
    assert isinstance(got[0], Cancelled)
