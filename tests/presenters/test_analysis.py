from memdefrag.base.errors import Cancelled
from memdefrag.base.progress import Cancel, Progress
from memdefrag.presenters.analysis import WorkPresenter
from memdefrag.presenters.tasks import DirectRunner
from tests.presenters.fakes import FakeView


class Waiting:
    """A runner that lets the test say when and how a task ends."""

    def run(self, task, done, failed, ticked=None, *, lane=""):
        self.task, self.done, self.failed, self.ticked = task, done, failed, ticked
        self.cancel = Cancel()
        return self.cancel

    def later(self, seconds, call):
        raise AssertionError


def work(runner):
    view = FakeView()
    return WorkPresenter(view, runner), view


def task(progress: Progress) -> str:
    progress.phase("Reading", 2)
    progress.step(2)
    progress.phase("Grouping")
    return "found"


def test_phases_that_are_over_are_listed():
    presenter, view = work(DirectRunner())
    got = []
    assert not presenter.start("Analysing", task, got.append, got.append, lane="store")
    assert got == ["found"]
    assert view.last.phases == ("Reading",)
    assert view.last.job.phase == "Grouping"


def test_a_stop_is_asked_for_at_once_and_takes_effect_when_it_may():
    runner = Waiting()
    presenter, view = work(runner)
    errors = []
    assert presenter.start("Analysing", task, errors.append, errors.append, lane="store")
    presenter.stop()
    assert runner.cancel.is_set
    assert view.last.job.stopping
    assert presenter.running
    runner.failed(Cancelled())
    assert not presenter.running
    assert isinstance(errors[0], Cancelled)


def test_nothing_is_stopped_when_nothing_runs():
    presenter, view = work(DirectRunner())
    presenter.stop()
    assert view.states == []
