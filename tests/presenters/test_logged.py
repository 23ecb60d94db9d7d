from __future__ import annotations

import pytest

from memdefrag.base.errors import StoreInUse
from memdefrag.base.logs import JobLog
from memdefrag.base.progress import Progress, Tick
from memdefrag.presenters.logged import LoggedRunner
from memdefrag.presenters.tasks import DirectRunner


@pytest.fixture
def runner() -> LoggedRunner:
    return LoggedRunner(DirectRunner(), JobLog("window", print))


def said(runner: LoggedRunner) -> str:
    return runner.log.keep().read_text(encoding="utf-8")


def test_phases_are_noted_once_and_still_heard(runner):
    ticks: list[Tick] = []

    def task(progress: Progress) -> int:
        progress.phase("Reading", 3)
        progress.step(3)
        return 42

    got: list[int] = []
    runner.run(task, got.append, pytest.fail, ticks.append)
    assert got == [42]
    assert [tick.done for tick in ticks] == [0, 3]
    assert said(runner).count("phase: Reading (3)") == 1


def test_a_failure_is_noted_but_needs_no_file(runner):
    def task(progress: Progress) -> None:
        raise StoreInUse("busy")

    got: list[object] = []
    runner.run(task, pytest.fail, got.append)
    assert len(got) == 1
    assert runner.log.path is None
    assert "failed: store_in_use: busy" in said(runner)


def test_a_fault_of_ours_leaves_its_trace_in_a_file(runner):
    def task(progress: Progress) -> None:
        raise ZeroDivisionError("by zero")

    runner.run(task, pytest.fail, lambda error: None)
    assert runner.log.path is not None
    assert "in task" in said(runner) and "ZeroDivisionError: by zero" in said(runner)


def test_what_is_to_leave_a_log_does_so_before_it_begins(runner):
    def task(progress: Progress) -> str:
        assert runner.log.path is not None
        return "made"

    got: list[str] = []
    runner.run(runner.leaving("making it", task), got.append, pytest.fail)
    assert got == ["made"]
    lines = [line.split(" ", 1)[1] for line in said(runner).splitlines()[1:]]
    assert lines == ["making it", "done: making it"]
