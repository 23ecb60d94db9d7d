"""From the results and the open store to the pages that look at them in another way."""

from __future__ import annotations

import json

import pytest

from memdefrag.base.errors import ConfirmationNeeded
from memdefrag.engine import apart, calibration, compare, workspace
from memdefrag.model.plan import Merge
from memdefrag.presenters.looking import Looking
from memdefrag.presenters.pages import Page
from memdefrag.presenters.review import LOOKING_ONLY
from tests.presenters.fakes import tick_everything
from tests.presenters.stores import texts, with_twins


def test_a_line_drawn_by_answers_holds_here_and_the_next_time(shell, window, store):
    shell.start(str(store))
    shell.summary.start_analysis()
    shell.side.calibrate()
    assert window.page is Page.CALIBRATION
    shell.side.calibration.different()
    shell.side.calibration.use()
    assert window.page is Page.REVIEW
    remembered = calibration.recall(shell.opened.address)
    assert remembered and remembered.fitted.threshold == shell.review.state.threshold
    assert calibration.threshold_of(shell.opened.address) == shell.review.state.threshold


def test_there_is_nothing_to_calibrate_before_an_analysis(shell, window, store):
    shell.start(str(store))
    shell.side.calibrate()
    assert window.page is Page.SUMMARY


def test_junk_is_removed_by_a_plan_and_the_way_back_leads_to_the_list(shell, window, store):
    with store.open("a", encoding="utf-8") as file:
        file.write('\n{"id": "junk", "text": "this is a test"}\n')
    shell.start(str(store))
    shell.side.show_junk()
    assert window.page is Page.JUNK
    shell.side.junk.plan_removal()
    assert window.page is Page.PLAN
    shell.plan.go_back()
    assert window.page is Page.JUNK
    shell.side.junk.plan_removal()
    shell.plan.optimize()
    assert window.page is Page.RESULT
    assert "this is a test" not in texts(store)


def test_the_way_back_from_the_junk(shell, window, store):
    shell.start(str(store))
    shell.side.show_junk()
    shell.leave()
    assert window.page is Page.SUMMARY


@pytest.fixture
def notes(tmp_path):
    """Two pairs that say the same, one of them tagged; made on four days."""
    said = (("one", "Nora feeds the grey cat at seven.", ["home"]), ("two", "The rent is due on the first.", []))
    lines = [
        {
            "id": f"{name}{day}", "text": text, "tags": tags, "embedding": [1.0, float(at)],
            "created_at": f"2026-03-0{day + 2 * at}T12:00:00+00:00",
        }
        for at, (name, text, tags) in enumerate(said)
        for day in (1, 2)
    ]
    path = tmp_path / "notes.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def looked_at(shell, **looking) -> set[str]:
    """The ids of the memories that a look is about."""
    shell.summary.look_as_usual()
    shell.summary.look(**looking)
    shell.go(Page.SUMMARY)
    shell.summary.start_analysis()
    return {record.key.id for record in shell.review.data.analysis.records}


def test_only_what_is_in_scope_is_looked_at(shell, window, notes):
    shell.start(str(notes))
    assert looked_at(shell) == {"one1", "one2", "two1", "two2"}
    assert looked_at(shell, tags="home") == {"one1", "one2"}
    assert "2 of 4 memories are looked at" in window.notice.message
    assert looked_at(shell, since="2026-03-02", until="2026-03-03") == {"one2", "two1"}


def test_the_method_is_the_chosen_one(shell, notes):
    shell.start(str(notes))
    looked_at(shell, method="fuzzy")
    options = shell.review.data.analysis.options
    assert (options.method.value, options.use_vectors) == ("fuzzy", False)


@pytest.fixture
def two_collections(tmp_path):
    from tests.stores.chroma.folders import made

    return made().copy(tmp_path / "chroma")


def test_collections_are_compared_with_each_other_only_when_that_is_chosen(shell, two_collections):
    shell.start(str(two_collections))
    looked_at(shell)
    assert not shell.review.data.analysis.options.across_collections
    looked_at(shell, across=True)
    assert shell.review.data.analysis.options.across_collections


def test_a_store_is_compared_with_another_one_for_looking_only(shell, window, runner, notes, tmp_path):
    other = with_twins(tmp_path)
    shell.start(str(notes))
    looked_at(shell)
    shell.review.merge_all()
    shell.flush()
    decided = workspace.load(shell.opened.address, "decisions")
    assert len(decided["choices"]) == 1
    looked_at(shell, against=str(other))
    assert window.page is Page.REVIEW and shell.review.looking_only and len(shell.review.decisions) == 0
    assert shell.known.state.summary.startswith("2 there word for word")
    tick_everything(shell)
    shell.review.optimize()
    assert (window.page, window.notice.message) == (Page.REVIEW, LOOKING_ONLY)
    shell.side.calibrate()
    assert window.page is Page.REVIEW
    runner.elapse()
    shell.flush()
    assert workspace.load(shell.opened.address, "decisions") == decided
    looked_at(shell)
    assert not shell.review.looking_only and len(shell.review.decisions) == 1


def test_a_store_is_not_compared_with_itself(shell, window, notes):
    shell.start(str(notes))
    shell.summary.look(against=str(notes))
    shell.summary.start_analysis()
    assert window.page is Page.SUMMARY and "this store itself" in window.notice.message


def test_a_merged_memory_carries_the_chosen_time(shell, notes):
    shell.start(str(notes))
    created = {}
    for rule in type(shell.review.state.created):
        shell.go(Page.SUMMARY)
        shell.summary.start_analysis()
        shell.review.set_created(rule)
        shell.review.optimize()
        created[rule.value] = [step.result.created for step in shell.plan._plan.steps if isinstance(step, Merge)]
        shell.plan.go_back()
        shell.flush()
    assert [late - early for early, late in zip(*created.values(), strict=True)] == [86_400.0] * 2
    shell.go(Page.SUMMARY)
    shell.summary.start_analysis()
    assert shell.review.state.created.value == "latest", "the choice is remembered"


def test_long_work_is_asked_about_with_its_minutes_and_begins_only_then(shell, window, notes, monkeypatch):
    asked = []

    def long_work(snapshots, options, model, progress):
        asked.append(model)
        if model.use and not model.long_work:
            raise compare.LongEmbedding(12_345, 840)
        return analyse(snapshots, options, compare.ModelOptions(use=False), progress)

    analyse = compare.compare
    monkeypatch.setattr(compare, "compare", long_work)
    shell.start(str(notes))
    shell.summary.start_analysis()
    assert window.page is Page.SUMMARY
    assert "12,345 memories" in shell.summary.state.question and "14 minutes" in shell.summary.state.question
    shell.summary.cancel()
    assert (window.page, shell.summary.state.question, len(asked)) == (Page.SUMMARY, "", 1)
    shell.summary.start_analysis()
    shell.summary.look(threads=2, model="mine")
    shell.summary.start_analysis(long_work=True)
    assert window.page is Page.REVIEW
    assert (asked[-1].long_work, asked[-1].threads, asked[-1].name) == (True, 2, "mine")
    assert issubclass(compare.LongEmbedding, ConfirmationNeeded)


def test_methods_are_compared_and_the_way_back_leads_to_the_review(shell, window, store):
    shell.start(str(store))
    shell.side.compare_methods()
    assert window.page is Page.SUMMARY
    shell.summary.start_analysis()
    shell.side.compare_methods()
    assert window.page is Page.METHODS and len(shell.side.methods.state.rows) == 5
    shell.side.methods.leave()
    assert window.page is Page.REVIEW


def test_only_the_combined_method_is_compared_with_others(shell, window, store):
    shell.start(str(store))
    looked_at(shell, method="exact")
    shell.side.compare_methods()
    assert window.page is Page.REVIEW and "How to look" in window.notice.message


def test_what_was_just_told_apart_is_in_the_list_and_forgotten_there_for_good(shell, window, runner, store):
    shell.start(str(store))
    shell.summary.start_analysis()
    shell.review.set_threshold(shell.review.data.lowest)
    shell.review.not_duplicates()
    shell.side.show_apart()
    assert window.page is Page.APART and len(shell.side.apart.state.rows) == 1
    shell.side.apart.forget()
    assert shell.side.apart.state.rows == ()
    shell.leave()
    assert window.page is Page.REVIEW
    shell.review.set_threshold(0.9)
    runner.elapse()
    shell.flush()
    assert apart.told() == []


def test_what_is_no_date_is_said_before_anything_begins(shell, window, store):
    shell.start(str(store))
    shell.summary.look(since="soon")
    shell.summary.start_analysis()
    assert window.page is Page.SUMMARY and "no date" in shell.summary.state.problem
    assert shell.summary.state.looking == Looking(since="soon")
