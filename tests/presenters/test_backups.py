from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memdefrag.base.errors import MemdefragError
from memdefrag.base.logs import JobLog
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine.backups import acceptance
from memdefrag.engine.backups.create import create
from memdefrag.presenters.asking import Question
from memdefrag.presenters.backups import BackupsPresenter
from memdefrag.presenters.logged import LoggedRunner
from memdefrag.presenters.tasks import DirectRunner
from memdefrag.stores.registry import open_store, resolve
from tests.presenters.fakes import FakeView, both_kinds
from tests.presenters.stores import drop, texts


class Desk:
    """The page, and what it hands on."""

    def __init__(self) -> None:
        self.restored: list[str] = []
        self.errors: list[MemdefragError] = []
        self.questions: list[Question] = []
        self.log = JobLog("window", print)
        self.page = BackupsPresenter(
            FakeView(),
            LoggedRunner(DirectRunner(), self.log),
            self.restored.append,
            self.restored.append,
            self._ask,
            self.errors.append,
        )

    def _ask(self, question: Question, agreed) -> None:
        self.questions.append(question)
        self.agree = agreed

    @property
    def message(self) -> str:
        assert self.errors == []
        return self.page.state.message


@pytest.fixture
def desk() -> Desk:
    return Desk()


def backed_up(desk: Desk, store: Path) -> str:
    """Back the store up; returns the new backup's id."""
    desk.page.show(str(resolve(str(store))))
    desk.page.back_up()
    assert desk.message
    return desk.page.state.chosen.id


def test_without_backups_and_stores_there_is_nothing_to_do(desk):
    desk.page.show("")
    desk.page.back_up()
    desk.page.verify()
    desk.page.restore()
    assert desk.page.state.shelf.rows == ()
    assert desk.page.state.target == ""
    assert desk.restored == desk.errors == []
    assert not (data_dir() / "backups").exists()


@both_kinds
def test_a_backup_made_now_holds_both_layers_and_is_selected(desk, store):
    drop(store)
    backed_up(desk, store)
    newest, before = desk.page.state.shelf.rows
    assert desk.page.state.chosen == newest
    assert (newest.reason, newest.memories, newest.holds) == ("by hand", "5", "files and memories")
    assert newest.checked and not newest.damage
    assert before.reason == "before optimize"
    assert "5 memories" in desk.message and "state of" in desk.message
    assert "in use" not in desk.message
    assert str(data_dir() / "backups") in desk.page.state.shelf.room


def test_without_an_open_store_the_one_of_the_selected_backup_is_backed_up(desk, store):
    backed_up(desk, store)
    desk.page.show("")
    assert desk.page.state.target == str(resolve(str(store)))
    desk.page.back_up()
    assert len(desk.page.state.shelf.rows) == 2


@pytest.mark.case(17)
@both_kinds
def test_a_store_in_use_is_backed_up_and_its_user_named(desk, store):
    code = "import sys; f = open(sys.argv[1], 'rb'); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        backed_up(desk, store)
    assert f"(process {process.pid})" in desk.message and "in use by" in desk.message


def test_both_ways_of_verifying_say_what_they_found(desk, store):
    backed_up(desk, store)
    desk.page.verify()
    assert "every byte is as it was written" in desk.message
    desk.page.verify(deep=True)
    assert "holds the same memories, 6 of them" in desk.message


@pytest.mark.case(14)
@pytest.mark.parametrize("deep", [False, True])
def test_a_damaged_backup_stays_in_the_list_with_the_reason(desk, store, deep):
    id = backed_up(desk, store)
    file = next(Path(desk.page.state.chosen.folder, "files").rglob("*.zst"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    desk.page.verify(deep=deep)
    [error] = desk.errors
    assert desk.page.state.job is None
    [row] = desk.page.state.shelf.rows
    assert (row.id, row.damage) == (id, error.message)
    assert row.damage


@pytest.mark.case(32)
def test_a_backup_whose_manifest_does_not_hold_is_listed_as_damaged(desk, store):
    id = backed_up(desk, store)
    Path(desk.page.state.chosen.folder, "manifest.json").write_text("{}")
    desk.page.show("")
    [row] = desk.page.state.shelf.rows
    assert (row.id, row.address) == (id, "")
    assert row.damage and row.created and row.size
    assert desk.page.state.target == "", "it cannot tell any more what it was made of"


@both_kinds
def test_a_backup_is_unpacked_beside_everything_else(desk, store, tmp_path):
    backed_up(desk, store)
    target = tmp_path / "elsewhere" / store.name
    desk.page.restore_to("")
    assert desk.message.startswith("Backed up")
    desk.page.restore_to(str(target))
    assert "6 memories" in desk.message and str(target) in desk.message
    assert texts(target) == texts(store)


def test_a_backup_leaves_in_a_file_and_comes_back_from_it(desk, store, tmp_path):
    id = backed_up(desk, store)
    file = tmp_path / "carried.tar.zst"
    desk.page.export(str(file))
    assert str(file) in desk.message and "in plain" in desk.message
    shutil.rmtree(desk.page.state.chosen.folder)
    desk.page.refresh()
    assert desk.page.state.shelf.rows == ()
    desk.page.import_("")
    desk.page.import_(str(file))
    assert "Taken in" in desk.message
    assert desk.page.state.chosen.id == id


@pytest.mark.case(31)
def test_what_is_no_backup_is_not_taken_in(desk, tmp_path):
    (tmp_path / "notes.tar.zst").write_bytes(b"not a backup")
    desk.page.show("")
    desk.page.import_(str(tmp_path / "notes.tar.zst"))
    assert len(desk.errors) == 1
    assert desk.page.state.shelf.rows == ()


def test_cleaning_up_lists_first_and_removes_only_what_was_agreed_to(desk, jsonl_file):
    store = jsonl_file
    for _ in range(3):
        acceptance.answer(drop(store).step, True)
    desk.page.show("")
    desk.page.clean_up()
    assert desk.questions == []
    assert "Nothing to clean up: all 3 are needed" in desk.message
    many = _old_backups(store, 14)
    desk.page.clean_up()
    [question] = desk.questions
    going = len(question.lines)
    assert 0 < going < many
    assert question.agree == f"Remove {going} backup{'s' if going > 1 else ''}"
    assert all(store.name in line for line in question.lines)
    before = len(list((data_dir() / "backups").glob("*/*")))
    assert before == many
    desk.agree()
    assert f"{going} backup" in desk.message and "removed" in desk.message
    assert len(desk.page.state.shelf.rows) == many - going


def test_what_was_not_listed_is_not_removed(desk, store):
    acceptance.answer(drop(store).step, True)
    _old_backups(store, 14)
    desk.page.show("")
    desk.page.clean_up()
    many = _old_backups(store, 1)
    desk.agree()
    assert "Nothing was removed" in desk.message
    assert len(desk.page.state.shelf.rows) == many
    desk.page.clean_up()
    desk.agree()
    assert len(desk.page.state.shelf.rows) < many


def _old_backups(store: Path, number: int) -> int:
    """Further automatic backups of the same day; returns how many there are now."""
    for _ in range(number):
        with open_store(str(store)) as opened:
            create(opened, None, "before optimize", Progress())
    return len(list((data_dir() / "backups").glob("*/*")))


def test_too_much_room_is_told_with_a_way_out(desk, store, monkeypatch):
    monkeypatch.setenv("MEMDEFRAG_BACKUP_LIMIT", "1")
    backed_up(desk, store)
    assert "Clean Up" in desk.page.state.shelf.warning
    monkeypatch.setenv("MEMDEFRAG_BACKUP_LIMIT", "many")
    desk.page.refresh()
    assert "no size" in desk.page.state.shelf.warning
    monkeypatch.delenv("MEMDEFRAG_BACKUP_LIMIT")
    desk.page.refresh()
    assert desk.page.state.shelf.warning == ""


def test_what_writes_is_logged_and_what_looks_is_not(desk, store):
    desk.page.show(str(resolve(str(store))))
    desk.page.clean_up()
    assert desk.log.path is None
    desk.page.back_up()
    said = desk.log.path.read_text(encoding="utf-8")
    assert "Backing up" in said and "done: " in said


def test_the_selected_backup_stays_selected_when_the_list_changes(desk, store):
    backed_up(desk, store)
    backed_up(desk, store)
    desk.page.select(1)
    chosen = desk.page.state.chosen
    drop(store)
    desk.page.refresh()
    assert desk.page.state.chosen == chosen
    assert desk.page.state.selected == 2


def test_restoring_and_looking_inside_are_handed_on(desk, store):
    id = backed_up(desk, store)
    desk.page.restore()
    desk.page.look_inside()
    assert desk.restored == [id, id]
