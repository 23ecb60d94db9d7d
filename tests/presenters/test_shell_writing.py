"""What is asked and told around a write: who holds the store, what is removed, what was left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memdefrag.engine import catalogue
from memdefrag.engine.journal import Job
from memdefrag.engine.recover import Outcome
from memdefrag.model.address import parse
from memdefrag.presenters import jobs
from memdefrag.presenters.pages import Page
from memdefrag.presenters.shell import Shell
from tests.presenters.fakes import both_kinds, optimize, optimized, tick_everything
from tests.presenters.stores import TWINS, add_memory, forget, texts, with_twins


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
