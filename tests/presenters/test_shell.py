from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memdefrag.engine import apart, catalogue, workspace
from memdefrag.engine.journal import Job
from memdefrag.engine.recover import Outcome
from memdefrag.model.address import parse
from memdefrag.model.hashing import record_hash
from memdefrag.presenters import jobs
from memdefrag.presenters.pages import Page
from memdefrag.presenters.shell import Shell
from memdefrag.presenters.tasks import DirectRunner
from tests.presenters.fakes import FakeWindow, both_kinds, optimize, tick_everything
from tests.presenters.stores import TWINS, add_memory, forget, texts, with_twins


@both_kinds
def test_the_whole_job_and_back(shell, window, store):
    before = texts(store)
    shell.open(str(store))
    assert window.page is Page.SUMMARY
    shell.summary.start_analysis()
    assert window.page is Page.REVIEW
    tick_everything(shell)
    planned = shell.review.state.consequences.removed
    assert planned > 0
    optimize(shell)
    assert window.page is Page.RESULT
    assert len(texts(store)) == len(before) - planned
    shell.result.undo()
    assert shell.result.state.title == "Undone"
    assert texts(store) == before


def test_contradicting_memories_survive_everything_that_is_done_in_bulk(shell, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    tick_everything(shell)
    optimize(shell)
    assert sum("port 8080" in text for text in texts(store)) == 1
    assert sum("port 8081" in text for text in texts(store)) == 1
    assert not any("8080" in text and "8081" in text for text in texts(store))


@both_kinds
def test_looking_leaves_no_trace_in_the_store(shell, store):
    listing = sorted(path.name for path in store.parent.iterdir())
    content = store.read_bytes()
    shell.open(str(store))
    shell.summary.start_analysis()
    tick_everything(shell)
    shell.review.optimize()
    assert store.read_bytes() == content
    assert sorted(path.name for path in store.parent.iterdir() if path.name != "memdefrag-data") == [
        name for name in listing if name != "memdefrag-data"
    ]


def test_a_store_named_from_here_is_found_again_from_elsewhere(shell, store, tmp_path, monkeypatch):
    monkeypatch.chdir(store.parent)
    shell.open(store.name)
    monkeypatch.chdir("/")
    assert workspace.recent() == [str(shell.opened.address)]
    shell.open(workspace.recent()[0])
    assert shell.opened.address.path == store


def test_nothing_ticked_is_no_plan(shell, window, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    shell.review.tick_shown(False)
    shell.review.optimize()
    assert window.page is Page.REVIEW
    assert "Nothing is ticked" in window.notice.message


def test_a_review_goes_on_where_it_was_left(shell, window, runner, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    shell.review.set_threshold(shell.review.data.lowest)
    shell.review.merge_all()
    runner.elapse()
    again = Shell(FakeWindow(), DirectRunner())
    again.open(str(store))
    assert again.summary.state.decided == 1
    again.summary.start_analysis()
    assert again.review.saved()() == shell.review.saved()()


def test_a_decision_made_a_moment_before_the_end_is_not_lost(shell, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    shell.review.set_threshold(shell.review.data.lowest)
    shell.review.merge_all()
    assert workspace.load(parse(str(store)), "decisions") == {}
    shell.flush()
    assert len(workspace.load(parse(str(store)), "decisions")["choices"]) == 1


def test_an_unknown_file_is_refused_in_three_sentences(shell, window, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    shell.open(str(tmp_path / "photo.png"))
    assert window.page is Page.WELCOME
    assert window.notice.is_error
    assert window.notice.message and window.notice.safe and window.notice.todo


@both_kinds
def test_trying_on_a_copy_leaves_the_store_alone(shell, window, store):
    before = store.read_bytes()
    shell.open(str(store))
    shell.try_on_copy()
    assert shell.summary.state.is_copy
    assert shell.opened.address.path != store
    shell.summary.start_analysis()
    tick_everything(shell)
    optimize(shell)
    assert window.page is Page.RESULT
    assert store.read_bytes() == before
    assert len(texts(shell.opened.address.path)) < len(texts(store))


def test_the_demo_is_always_fresh(shell, window):
    shell.open_demo()
    count = shell.summary.state.facts[0]
    shell.summary.start_analysis()
    optimize(shell)
    assert window.page is Page.RESULT
    shell.open_demo()
    assert shell.summary.state.facts[0] == count
    assert workspace.recent() == []


def optimized(shell: Shell, store: Path) -> list[str]:
    """Optimize the store as far as it goes; returns the texts from before."""
    before = texts(store)
    shell.open(str(store))
    shell.summary.start_analysis()
    tick_everything(shell)
    optimize(shell)
    assert shell.page is Page.RESULT
    assert len(texts(store)) < len(before)
    return before


@both_kinds
def test_a_restore_asks_first_and_brings_everything_back(shell, window, store):
    before = optimized(shell, store)
    shell.show_backups()
    assert shell.backups.state.chosen.memories == str(len(before))
    shell.backups.restore()
    assert window.page is Page.BACKUPS
    assert f"{len(before)} memories" in window.question.text
    assert "will come back" in window.question.text
    assert texts(store) != before
    shell.answer(True)
    assert shell.result.state.title == "Restored"
    assert texts(store) == before


def test_a_restore_that_is_declined_changes_nothing(shell, window, store):
    optimized(shell, store)
    after = texts(store)
    shell.show_backups()
    shell.backups.restore()
    shell.answer(False)
    assert window.question is None
    shell.answer(True)
    assert texts(store) == after


def test_a_question_is_gone_once_its_page_is_left(shell, window, store):
    optimized(shell, store)
    after = texts(store)
    shell.show_backups()
    shell.backups.restore()
    shell.leave()
    assert window.question is None
    shell.answer(True)
    assert texts(store) == after


@both_kinds
def test_what_came_since_is_counted_before_a_restore_and_brought_back_after_it(shell, window, store):
    before = optimized(shell, store)
    add_memory(store)
    shell.show_backups()
    shell.backups.restore()
    assert "1 memory that came since will go" in window.question.text
    shell.answer(True)
    assert texts(store) == before
    assert shell.result.state.added_since == 1
    shell.result.bring_back()
    assert window.page is Page.RESULT, window.notice
    assert texts(store) == sorted([*before, "The cat sleeps on the piano."])


def test_a_change_can_be_undone_and_done_again_from_the_list(shell, window, store):
    before = optimized(shell, store)
    after = texts(store)
    shell.show_changes()
    [step] = shell.changes.state.steps
    assert (step.state, step.undoable, step.redoable) == ("applied", True, False)
    assert step.what.startswith("optimize: ")
    shell.changes.undo()
    assert shell.result.state.title == "Undone"
    assert texts(store) == before
    shell.show_changes()
    undo, first = shell.changes.state.steps
    assert (first.id, first.state) == (step.id, "undone, redo possible")
    assert not first.undoable
    assert undo.state == "undo"
    shell.changes.select(1)
    assert shell.changes.state.chosen.id == step.id
    shell.changes.redo()
    assert "removes" in window.question.text, "so much goes that the engine wants an agreement"
    assert texts(store) == before
    shell.answer(True)
    assert shell.result.state.title == "Done again", window.notice
    assert texts(store) == after


def test_a_backup_is_looked_into_and_opened_as_a_store_that_is_never_changed(shell, window, store):
    optimized(shell, store)
    shell.show_backups()
    shell.backups.look_inside()
    assert window.page is Page.INSIDE
    shell.leave()
    assert window.page is Page.BACKUPS
    shell.backups.look_inside()
    shell.inside.open_as_store()
    assert window.page is Page.SUMMARY
    assert shell.summary.state.is_backup and not shell.summary.state.is_copy
    assert "never changed" in shell.summary.state.notes[0]
    shell.summary.start_analysis()
    tick_everything(shell)
    shell.review.optimize()
    assert window.page is Page.REVIEW
    assert "only be looked at" in window.notice.message
    assert len(workspace.recent()) == 1 and workspace.recent()[0].endswith(str(store))


@both_kinds
def test_one_memory_of_a_backup_comes_back(shell, window, store):
    before = optimized(shell, store)
    after = texts(store)
    shell.show_backups()
    shell.backups.look_inside()
    gone = next(row for row in shell.inside.state.rows if row.now == "gone")
    shell.inside.set_filter(gone.key.id)
    shell.inside.restore()
    assert window.page is Page.RESULT, window.notice
    assert texts(store) == sorted([*after, next(text for text in before if text.startswith(gone.line[:20]))])


def test_the_way_back_from_the_changes(shell, window, store):
    shell.open(str(store))
    shell.show_changes()
    shell.show_backups()
    shell.leave()
    assert window.page is Page.SUMMARY


@pytest.fixture
def holder(store: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another program that has the store's file open until its input ends."""
    code = "import sys; f = open(sys.argv[1], 'rb'); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        yield process


@both_kinds
def test_a_program_that_holds_the_store_is_named_and_waited_for(shell, window, runner, store, holder):
    shell.open(str(store))
    shell.summary.start_analysis()
    tick_everything(shell)
    shell.review.optimize()
    shell.plan.agree_to_shrink(True)
    assert str(holder.pid) in shell.plan.state.holders[0]
    assert not shell.plan.state.ready
    shell.plan.optimize()
    assert window.page is Page.PLAN
    runner.elapse()
    assert shell.plan.state.holders
    assert holder.poll() is None
    holder.stdin.close()
    holder.wait()
    runner.elapse()
    assert shell.plan.state.holders == ()
    assert shell.plan.state.ready


def test_nobody_looks_any_more_once_the_page_was_left(shell, runner, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    tick_everything(shell)
    shell.review.optimize()
    shell.plan.go_back()
    shell.flush()
    runner.elapse()
    assert runner.waiting == []


def test_removing_much_has_to_be_agreed_to(shell, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    tick_everything(shell)
    shell.review.optimize()
    state = shell.plan.state
    if state.concerns:
        assert not state.ready
        assert any("removes" in concern for concern in state.concerns)
        shell.plan.agree_to_shrink(True)
    assert shell.plan.state.ready


def plan_to_merge_the_twins(shell: Shell, store: Path) -> None:
    shell.open(str(store))
    shell.summary.start_analysis()
    shell.review.tick_shown(True)
    shell.review.optimize()
    assert shell.page is Page.PLAN


@pytest.fixture
def twins(shell: Shell, tmp_path: Path) -> Path:
    """A store with a backup."""
    store = with_twins(tmp_path)
    shell.open(str(store))
    shell.show_backups()
    shell.backups.back_up()
    assert "13 memories" in shell.backups.state.message
    return store


def test_a_store_that_lost_much_since_its_last_backup_is_looked_at_before_it_is_tidied(shell, window, twins):
    forget(twins, 5, spare=TWINS)
    plan_to_merge_the_twins(shell, twins)
    [concern] = shell.plan.state.concerns
    assert "5 of the 13 memories in the last backup are no longer in the store" in concern
    assert not shell.plan.state.ready
    shell.plan.optimize()
    assert window.page is Page.PLAN
    shell.plan.agree_to_shrink(True)
    shell.plan.optimize()
    assert window.page is Page.RESULT, window.notice
    assert len(texts(twins)) == 6


def test_both_concerns_are_told_before_an_agreement(shell, twins):
    forget(twins, 10, spare=TWINS)
    add_memory(twins)
    plan_to_merge_the_twins(shell, twins)
    removed, lost = shell.plan.state.concerns
    assert "removes" in removed and "no longer in the store" in lost


def test_what_the_engine_learns_only_while_writing_is_agreed_to_on_the_page(shell, window, twins):
    plan_to_merge_the_twins(shell, twins)
    assert shell.plan.state.concerns == ()
    assert shell.plan.state.ready
    forget(twins, 5, spare=TWINS)
    left = texts(twins)
    shell.plan.optimize()
    assert window.page is Page.PLAN
    assert "no longer in the store" in window.notice.message
    assert "--" not in window.notice.todo
    assert texts(twins) == left
    assert shell.plan.state.concerns and not shell.plan.state.ready


def test_too_many_backups_are_told_before_a_write_and_after_it(shell, twins, monkeypatch):
    plan_to_merge_the_twins(shell, twins)
    assert shell.plan.state.warning == ""
    monkeypatch.setenv("MEMDEFRAG_BACKUP_LIMIT", "1")
    plan_to_merge_the_twins(shell, twins)
    assert "more than the 1 byte meant for them" in shell.plan.state.warning
    assert "Clean Up" in shell.plan.state.warning
    shell.plan.optimize()
    assert any("meant for them" in problem for problem in shell.result.state.problems)


def test_what_recovery_set_aside_or_left_alone_is_told(shell, window, store, monkeypatch):
    outcome = Outcome("job", str(store), "applied", "A program had made a new store meanwhile; it is kept in /aside.")
    monkeypatch.setattr(jobs, "recover", lambda progress: [outcome])
    shell.start(str(store))
    assert str(store) in window.notice.message and "kept in /aside" in window.notice.message


def test_what_cannot_be_recovered_is_told_at_the_start(shell, window, store):
    job = Job(store)
    catalogue.record("job", id="crashed", path=str(store), store=str(store))
    job.begin(id="crashed", kind="file", source_hash="0" * 64)
    job.note("swap", new_hash="1" * 64)
    shell.start()
    assert window.notice.is_error
    assert "neither the store from before" in window.notice.message
    assert "backup restore" in window.notice.todo
    assert job.folder.exists(), "nothing was touched"


def test_writing_leaves_a_log_and_looking_does_not(shell, window, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    assert shell.log.path is None
    tick_everything(shell)
    optimize(shell)
    said = shell.log.path.read_text(encoding="utf-8")
    assert f"optimize {parse(shell.plan._plan.target)}" in said
    assert "merge into" in said and "phase: Backing up" in said
    assert "port 8080" not in said, "no texts"


def test_a_failure_offers_the_log(shell, window, store):
    optimized(shell, store)
    shell.open(str(store.parent / "nowhere"))
    assert window.notice.log == str(shell.log.path)
    assert "failed: not_a_store" in shell.log.path.read_text(encoding="utf-8")


def test_the_assistants_answer_is_asked_once_for_each_store(shell, window, store):
    before = optimized(shell, store)
    shell.close_store()
    [asked] = shell.welcome.state.asked
    shell.welcome.answer(asked, works=False)
    assert shell.welcome.state.asked == ()
    assert window.question.agree == "Undo"
    shell.answer(True)
    assert window.page is Page.RESULT, window.notice
    assert texts(store) == before


def test_f5_analyses_again_with_the_decisions_just_made(shell, window, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    shell.review.set_threshold(shell.review.data.lowest)
    shell.review.merge_all()
    shell.analyse_again()
    assert window.page is Page.REVIEW
    assert len(shell.review.decisions) == 1


def test_what_was_told_apart_is_told_apart_for_good_and_in_every_store(shell, window, runner, store, tmp_path):
    copy = tmp_path / "elsewhere.jsonl"
    copy.write_bytes(store.read_bytes())
    shell.open(str(store))
    shell.summary.start_analysis()
    groups = len(shell.review.table)
    shell.review.not_duplicates()
    runner.elapse()
    for each in (store, copy):
        shell.open(str(each))
        shell.summary.start_analysis()
        assert len(shell.review.table) == groups - 1
    assert len(apart.told()) == 1


def test_what_was_told_apart_by_mistake_is_taken_back_from_the_list(shell, runner, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    shell.review.not_duplicates()
    runner.elapse()
    shell.review.undo()
    runner.elapse()
    assert apart.told() == []


def test_what_was_told_apart_for_one_store_moves_to_the_list_for_all(shell, store):
    address = parse(str(store))
    shell.open(str(store))
    shell.summary.start_analysis()
    groups, records = len(shell.review.table), shell.review.data.analysis.records
    members = [[*records[at].key, record_hash(records[at])] for at in shell.review.table.members(0).tolist()]
    old = {"members": members, "action": "apart", "survivor": members[0], "kept": [], "text": None, "update": False}
    workspace.save(address, "decisions", {"format": 1, "choices": [old]})
    shell.analyse_again()
    assert len(shell.review.table) == groups - 1
    assert len(apart.told()) == 1
    assert workspace.load(address, "decisions")["choices"] == []


def test_closing_the_store_leads_to_the_first_page(shell, window, store):
    shell.open(str(store))
    shell.close_store()
    assert window.page is Page.WELCOME
    assert shell.welcome.state.recent[0].place == str(store)


def test_the_way_back_from_the_backups(shell, window, store):
    shell.open(str(store))
    shell.show_backups()
    shell.leave()
    assert window.page is Page.SUMMARY


def test_what_a_crash_left_is_settled_at_the_start_and_told(shell, window, store):
    before = texts(store)
    job = Job(store)
    catalogue.record("job", id="crashed", path=str(store), store=str(store))
    job.begin(id="crashed", kind="file", source_hash="")
    shell.start(str(store))
    assert not job.folder.exists()
    assert window.page is Page.SUMMARY
    assert "interrupted write" in window.notice.message
    assert texts(store) == before


def test_a_start_without_anything_to_settle_says_nothing(shell, window, store):
    shell.start(str(store))
    assert window.page is Page.SUMMARY
    assert [notice for notice in window.told if notice] == []
