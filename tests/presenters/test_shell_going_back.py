"""From the open store to its backups and changes, and back to what was."""

from __future__ import annotations

from memdefrag.engine import workspace
from memdefrag.presenters.pages import Page
from tests.presenters.fakes import both_kinds, optimized, tick_everything
from tests.presenters.stores import add_memory, texts


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
