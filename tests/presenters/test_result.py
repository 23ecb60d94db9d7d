from dataclasses import replace

from memdefrag.model.report import ApplyReport, Skipped
from memdefrag.presenters.result import SHOWN_SKIPPED, ResultPresenter, result_state
from tests.presenters.fakes import FakeView

REPORT = ApplyReport(
    store="chroma:/data/db",
    reason="optimize",
    dry_run=False,
    records_before=1_000,
    records_after=900,
    merged=60,
    written=60,
    removed=100,
    bytes_before=2_000_000,
    bytes_after=1_500_000,
    step="step-1",
    backup="b",
    backup_folder="/backups/b",
    next_steps=("Start the service again.",),
    seconds=3.2,
)


def test_the_report_in_words():
    state = result_state(REPORT)
    facts = dict(state.facts)
    assert state.title == "Optimized"
    assert facts["Memories"] == "1,000 before, 900 now"
    assert facts["Size"] == "2.0 MB before, 1.5 MB now"
    assert facts["Backup"] == "/backups/b"
    assert state.next_steps == ("Start the service again.",)


def test_what_was_not_done_is_listed_up_to_a_point():
    skipped = tuple(Skipped(f"m/{n}", "it was changed") for n in range(SHOWN_SKIPPED + 5))
    state = result_state(replace(REPORT, skipped=skipped))
    assert state.problems[0] == "Left as it is: m/0 (it was changed)"
    assert state.problems[-1] == "… and 5 more were left as they are."


def test_a_report_without_a_step_cannot_be_undone():
    undone = []
    presenter = ResultPresenter(FakeView(), undone.append, lambda _: None, lambda: None)
    presenter.show(replace(REPORT, step=None))
    presenter.undo()
    assert undone == []
    assert presenter.state.title == "Nothing had to be changed"
    presenter.show(REPORT)
    presenter.undo()
    assert undone == ["step-1"]
