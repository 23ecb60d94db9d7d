import pytest

from memdefrag.base.progress import Cancel
from memdefrag.engine import workspace
from memdefrag.model.address import parse
from memdefrag.presenters.autosave import TOPIC, Autosave, saved_count
from memdefrag.presenters.tasks import DirectRunner


@pytest.fixture
def saved(tmp_path):
    runner, values = DirectRunner(), []
    store = parse(str(tmp_path / "store.db"))
    autosave = Autosave(runner, store, lambda: lambda: {"choices": list(values)}, pytest.fail)
    return autosave, runner, values, lambda: workspace.load(store, TOPIC)


def test_many_changes_are_written_once_a_moment_later(saved):
    autosave, runner, values, load = saved
    for number in range(5):
        values.append(number)
        autosave.touch()
    assert load() == {}
    assert len(runner.waiting) == 1
    runner.elapse()
    assert load() == {"choices": [0, 1, 2, 3, 4]}


def test_the_next_change_is_written_too(saved):
    autosave, runner, values, load = saved
    autosave.touch()
    runner.elapse()
    values.append("new")
    autosave.touch()
    runner.elapse()
    assert saved_count(load()) == 1


def test_at_the_end_what_waits_is_written_at_once_and_only_then(saved):
    autosave, runner, values, load = saved
    autosave.flush()
    assert load() == {}
    values.append("last")
    autosave.touch()
    autosave.flush()
    assert load() == {"choices": ["last"]}
    values.append("not asked for")
    runner.elapse()
    assert load() == {"choices": ["last"]}


def test_a_save_that_is_overtaken_by_the_last_one_does_not_replace_it(tmp_path):
    class Slow(DirectRunner):
        def run(self, task, *rest, **more):
            self.waiting.append(lambda: DirectRunner.run(self, task, *rest, **more))
            return Cancel()

    store, runner, decided = parse(f"jsonl:{tmp_path / 'm.jsonl'}"), Slow(), {"choices": [1]}

    def saved():
        now = {"choices": list(decided["choices"])}
        return lambda: now

    autosave = Autosave(runner, store, saved, pytest.fail)
    autosave.touch()
    runner.elapse()
    decided["choices"].append(2)
    autosave.flush()
    runner.elapse()
    assert workspace.load(store, TOPIC) == {"choices": [1, 2]}
