"""The migration page's way from the sources to the result and back, on real stores, without a window."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path

import keyring
import pytest

from memdefrag.base import secrets, settings
from memdefrag.base.errors import Cancelled
from memdefrag.base.progress import Progress
from memdefrag.engine import resume
from memdefrag.engine.compare import LongEmbedding
from memdefrag.model.address import Address
from memdefrag.model.profiles import Profile
from memdefrag.presenters import migration_jobs as jobs
from memdefrag.presenters.migration_result import CATCH_UP, COMPARE, STOP
from memdefrag.presenters.migration_state import Step
from memdefrag.presenters.pages import Page
from tests.engine.stores import make_store
from tests.faults.harness import in_child
from tests.faults.migrating import Migration
from tests.presenters.stores import add_memory, texts


@pytest.fixture
def page(shell):
    """The page, as the person comes to it from the menu."""
    shell.side.show_migration()
    return shell.side.migration


@pytest.fixture
def hdev(tmp_path) -> Path:
    """A folder of hdev notes."""
    folder = tmp_path / "notes"
    (folder / "work").mkdir(parents=True)
    for name in ("ladder", "cello", "harbour"):
        (folder / "work" / f"{name}.md").write_text(f"There is a {name} in the attic.", encoding="utf-8")
    return folder


def rehearsed(page, *sources, target, **fields):
    """From the first step to the rehearsal."""
    for source in sources:
        page.add_source(str(source))
    page.next()
    page.set_target(str(target))
    page.next()
    page.put(**fields)
    page.next()
    page.next()
    return page.state.rehearsal


def migrated(page, *sources, target, **fields):
    assert rehearsed(page, *sources, target=target, **fields).ready
    page.next()
    assert page.state.step is Step.RESULT
    return page.result


def test_the_open_store_is_proposed_and_closing_leads_back_to_it(shell, window, store):
    shell.open(str(store))
    shell.side.show_migration()
    assert window.page is Page.MIGRATION
    assert shell.side.migration.state.form.sources == (str(shell.opened.address),)
    shell.side.migration.back()
    assert window.page is Page.SUMMARY


def test_a_notes_folder_becomes_a_file(page, window, hdev, tmp_path):
    target = tmp_path / "notes.jsonl"
    found = rehearsed(page, f"hdev:{hdev}", target=target)
    assert dict(found.facts)["Would be copied"] == "3" and not target.exists()
    assert {check.mark for check in found.checks} <= {"pass", "?"} and len(found.checks) > 4
    page.next()
    assert window.page is Page.MIGRATION and page.state.step is Step.RESULT
    assert page.result.state.title == "Migrated" and page.result.state.went_well
    assert texts(target) == texts(f"hdev:{hdev}")
    assert page.result.state.strides == (), "nobody switches over to a file that is handed on"
    assert "Copied: 3" in page.result.report_text()


def test_nothing_goes_on_without_a_source_or_a_target(page):
    page.next()
    assert page.state.step is Step.SOURCE and "at least one store" in page.state.problem
    page.add_source("/nowhere/at/all.jsonl")
    assert page.state.problem == ""


def test_a_source_that_is_not_there_is_told_with_what_to_do(page, window):
    page.add_source("/nowhere/at/all.jsonl")
    page.next()
    assert page.state.step is Step.SOURCE and window.page is Page.MIGRATION
    assert window.notice.is_error and "nothing at /nowhere" in window.notice.message


def test_what_was_rehearsed_is_stale_once_something_is_changed(page, store, tmp_path):
    rehearsed(page, store, target=tmp_path / "copy.jsonl")
    page.go_to(Step.SOURCE)
    page.add_source(str(tmp_path / "other.jsonl"))
    page.go_to(Step.REHEARSAL)
    assert page.state.step is Step.SOURCE


def test_several_sources_go_one_after_another_each_under_its_names(page, store, hdev, tmp_path):
    target = tmp_path / "all.jsonl"
    page.add_source(str(store))
    page.add_source(f"hdev:{hdev}")
    page.next()
    page.rename(1, "notes")
    assert [each.name for each in page.state.names] == ["memories", "notes"]
    result = migrated(page, target=target)
    assert texts(target) == sorted(texts(store) + texts(f"hdev:{hdev}"))
    assert '"notes"' in target.read_text(encoding="utf-8")
    assert dict(result.state.facts)["Found"] == str(len(texts(target)))


def test_a_collection_can_be_left_out(page, store, hdev, tmp_path):
    page.add_source(str(store))
    page.add_source(f"hdev:{hdev}")
    page.next()
    page.take(0, False)
    migrated(page, target=tmp_path / "all.jsonl")
    assert texts(tmp_path / "all.jsonl") == texts(f"hdev:{hdev}")


def test_a_failed_check_stops_before_anything_is_written(page, store):
    found = rehearsed(page, store, target=store)
    assert not found.ready and [check.name for check in found.checks if check.mark == "fail"] == ["two stores"]
    assert all(check.remedy for check in found.checks if check.mark == "fail")
    before = store.read_bytes()
    page.next()
    assert page.state.step is Step.REHEARSAL and store.read_bytes() == before


def test_a_date_that_is_none_is_told_at_the_options(page, store, tmp_path):
    rehearsed(page, store, target=tmp_path / "x.jsonl", since="soon")
    assert page.state.step is Step.OPTIONS and "'soon'" in page.state.problem


def test_conflicts_are_listed_and_filtered(page, store, tmp_path):
    target = tmp_path / "target.jsonl"
    target.write_bytes(store.read_bytes().replace(b"8080", b"9090"))
    found = rehearsed(page, store, target=target)
    assert dict(found.facts)["Conflicts, left alone"] == "1"
    page.filter("conflict", "")
    [row] = [page.state.rehearsal.entries.text(row, 0) for row in range(len(page.state.rehearsal.entries))]
    assert row == "conflict"
    page.filter("conflict", "no such text")
    assert len(page.state.rehearsal.entries) == 0


@pytest.mark.parametrize("made", [True, False])
def test_it_is_taken_back_also_from_a_store_that_it_made(shell, window, page, store, tmp_path, made):
    target = tmp_path / "new" / "store.jsonl"
    target.parent.mkdir()
    before = [] if made else texts(make_store("jsonl", target.parent, 4).path)
    result = migrated(page, store, target=target)
    assert texts(target) == sorted(before + texts(store))
    result.take_back()
    assert "Take back what was copied" in window.question.text
    shell.answer(True)
    assert texts(target) == before
    assert result.state.title == "Taken back: what was copied is gone" and not result.state.can_take_back
    assert result.state.facts == () and len(result.state.entries) == 0, "nothing is told of what is no more"


def test_declining_leaves_what_was_copied(shell, page, store, tmp_path):
    result = migrated(page, store, target=tmp_path / "new.jsonl")
    result.take_back()
    shell.answer(False)
    assert texts(tmp_path / "new.jsonl") == texts(store) and result.state.can_take_back


def test_the_way_to_switch_over_catches_up_compares_and_removes(shell, window, page, store, tmp_path):
    target = f"hdev:{tmp_path / 'new'}"
    result = migrated(page, store, target=target)
    assert [stride.button for stride in result.state.strides] == ["", "Catch Up", "Compare", "", ""]
    result.tick(STOP, True)
    add_memory(store)
    result.stride(COMPARE)
    assert result.state.title == "1 memory to catch up with" and COMPARE not in result.state.ticked
    result.stride(CATCH_UP)
    assert result.state.title == "Caught up: 1 memory copied"
    assert texts(target) == texts(store)
    result.stride(COMPARE)
    assert result.state.ticked == {STOP, CATCH_UP, COMPARE}
    lines = store.read_text(encoding="utf-8").splitlines()
    store.write_text("\n".join(line for line in lines if "piano" not in line) + "\n", encoding="utf-8")
    result.catch_up()
    assert result.state.gone == 1 and texts(target) != texts(store)
    result.mirror()
    assert "Remove 1 memory" in window.question.text and len(window.question.lines) == 1
    shell.answer(True)
    assert result.state.gone == 0 and texts(target) == texts(store)


def test_cancelling_leads_back_and_says_so(page, window, store, tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise Cancelled("Stopped.", safe="Nothing stays.")

    rehearsed(page, store, target=tmp_path / "new.jsonl")
    monkeypatch.setattr("memdefrag.engine.migrate.run.apply", stopped)
    page.next()
    assert page.state.step is Step.REHEARSAL and window.page is Page.MIGRATION
    assert (window.notice.message, window.notice.is_error) == ("Stopped.", False)
    assert not (tmp_path / "new.jsonl").exists()


def test_long_work_is_begun_only_after_a_question(shell, page, window, store, tmp_path, monkeypatch):
    from memdefrag.engine.migrate import run

    real, asked = run.migrate, []

    def migrate(source, target, options, means, progress):
        asked.append(means.model.long_work)
        if not means.model.long_work:
            raise LongEmbedding(12_345, 900.0)
        return real(source, target, options, means, progress)

    rehearsed(page, store, target=tmp_path / "new.jsonl")
    monkeypatch.setattr(run, "migrate", migrate)
    page.next()
    assert "15 minutes" in window.question.text and not (tmp_path / "new.jsonl").exists()
    shell.answer(True)
    assert asked == [False, True] and page.state.step is Step.RESULT
    assert texts(tmp_path / "new.jsonl") == texts(store)


@pytest.fixture
def killed(tmp_path) -> Migration:
    """From a file into a new folder, killed half-way."""
    made = Migration(make_store("jsonl", tmp_path), Address("hdev", str(tmp_path / "new")), 5)
    assert in_child("", partial(made.begin, 10)) == -signal.SIGKILL
    return made


def test_an_interrupted_migration_is_offered_at_the_start_and_gone_on_with(shell, window, killed):
    shell.start()
    assert "was interrupted" in window.question.text
    shell.answer(True)
    page = shell.side.migration
    assert window.page is Page.MIGRATION and len(page.state.interrupted) == 1
    page.go_on(0)
    assert page.state.step is Step.RESULT and page.state.interrupted == ()
    assert len(texts(str(killed.target))) == 20 and resume.pending(killed.target) is None
    assert page.result.state.title == "Migrated" and page.result.state.can_take_back
    page.result.take_back()
    shell.answer(True)
    assert texts(str(killed.target)) == []


def test_an_interrupted_migration_is_taken_back_once_agreed(shell, window, killed, page):
    page.take_back_interrupted(0)
    assert len(texts(str(killed.target))) > 0
    shell.answer(True)
    assert page.state.interrupted == () and "undone" in window.notice.message
    assert texts(str(killed.target)) == []


def test_it_is_gone_on_with_as_its_person_had_asked(killed, page, tmp_path):
    from memdefrag.engine import workspace
    from memdefrag.presenters.migration_form import Form

    form = Form(sources=(str(killed.source),), target=str(killed.target), prefix="id00", gentle=False)
    workspace.save(killed.target, jobs.TOPIC, form.as_dict())
    page.go_on(0)
    assert page.state.form == form and dict(page.result.state.facts)["Found"] == "10"


# Servers


def test_a_server_is_kept_by_name_and_its_key_in_the_keyring(page, ring, tmp_path):
    server = Profile("Work", "chroma", "http://chroma.example:8000", "team")
    page.add_server(Step.SOURCE, server, "canary-key", remember=True)
    assert page.state.form.sources == ("chroma+http://chroma.example:8000/?tenant=team",)
    assert page.state.profiles == (server,) and "canary-key" in ring.held.values()
    written = [path.read_bytes() for path in settings.data_dir().rglob("*") if path.is_file()]
    assert written and not any(b"canary-key" in each for each in written)
    page.forget_server(server)
    assert page.state.profiles == () and ring.held == {}


def test_without_a_keyring_the_key_is_good_for_this_sitting(page, window, ring):
    from keyring.backends.fail import Keyring as NoKeyring

    keyring.set_keyring(NoKeyring())
    page.add_server(Step.TARGET, Profile("", "hdev", "http://hdev.example"), "canary-key", remember=True)
    assert page.state.form.target == "hdev+http://hdev.example"
    assert "keyring" in window.notice.message and "until this window is closed" in window.notice.safe
    found = secrets.find("http://hdev.example")
    assert found is not None and found.reveal() == "canary-key"


def test_what_is_no_server_is_told_beside_the_fields(page):
    page.add_server(Step.SOURCE, Profile(url=""), "", remember=False)
    assert "No server was named" in page.state.problem and page.state.form.sources == ()


def test_an_older_folder_needs_a_choice_before_the_rehearsal(page, store, tmp_path, monkeypatch):
    from memdefrag.presenters.rehearsal import WriterChoice

    ways = (WriterChoice("upgrade", "Upgrade", "Once"), WriterChoice("python", "Use …", "One", asks="python"))
    target = jobs.Target(str(Address("jsonl", str(tmp_path / "x.jsonl"))), "held", ways)
    monkeypatch.setattr(jobs, "look_at_target", lambda *_: target)
    rehearsed(page, store, target="x")
    assert page.state.step is Step.OPTIONS and "older folder" in page.state.problem
    page.choose_writer(1, "/usr/bin/python3")
    assert page._means().writer.python == Path("/usr/bin/python3")
    page.next()
    assert page.state.step is Step.REHEARSAL


def test_nothing_is_asked_of_the_stores_that_were_not_named(page, store):
    listing = sorted(path.name for path in store.parent.iterdir())
    jobs.look_around(Progress())
    assert json.loads(store.read_text(encoding="utf-8").splitlines()[-1])
    assert sorted(path.name for path in store.parent.iterdir()) == listing
