from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from memdefrag.engine import writers
from memdefrag.model.address import parse
from memdefrag.presenters.pages import Page
from memdefrag.presenters.plan import PlanPresenter
from memdefrag.presenters.rehearsal import WriterChoice, writer_options
from memdefrag.presenters.shell import Shell
from memdefrag.presenters.tasks import DirectRunner
from tests.presenters.fakes import FakeView
from tests.presenters.stores import texts
from tests.presenters.test_shell import FakeWindow
from tests.stores.chroma.folders import OLD_PYTHON, made, made_by_old_chroma, traces


def planned(folder: Path, *, no_model: bool = False) -> tuple[Shell, FakeWindow]:
    """The plan page for a Chroma folder of which everything suggested is ticked."""
    window = FakeWindow()
    shell = Shell(window, DirectRunner())
    shell.open(str(folder))
    shell.summary.set_no_model(no_model)
    shell.summary.start_analysis()
    shell.review.tick_shown(True)
    shell.review.optimize()
    shell.plan.agree_to_shrink(True)
    return shell, window


@pytest.fixture
def new_folder(tmp_path: Path) -> Path:
    return made().copy(tmp_path / "chroma")


@pytest.fixture
def old_folder(tmp_path: Path) -> Path:
    return made_by_old_chroma().copy(tmp_path / "chroma")


@pytest.mark.parametrize("picked", ["chroma/chroma.sqlite3", "chroma", "."])
def test_the_right_folder_is_opened_whatever_was_picked(new_folder, tmp_path, picked):
    shell = Shell(FakeWindow(), DirectRunner())
    shell.open(str(tmp_path / picked))
    assert shell.opened.address.path == new_folder


def test_a_folder_of_the_built_in_chroma_needs_no_choice(new_folder):
    shell, window = planned(new_folder)
    assert shell.plan.state.writers == ()
    assert shell.plan.state.ready
    before = texts(new_folder)
    shell.plan.set_compact(True)
    shell.plan.optimize()
    assert window.page is Page.RESULT, window.notice
    assert len(texts(new_folder)) < len(before)
    assert any("Start your assistant" in line for line in shell.result.state.next_steps)
    assert any("log" in line for line in shell.result.state.next_steps)


def test_an_older_folder_asks_how_it_is_to_be_written(old_folder):
    shell, window = planned(old_folder)
    state = shell.plan.state
    assert {way.kind for way in state.writers} == {"python", "environment", "output", "upgrade"}
    assert all(way.warning for way in state.writers if way.kind == "upgrade")
    assert not state.ready
    before = traces(old_folder)
    shell.plan.optimize()
    assert window.page is Page.PLAN
    assert traces(old_folder) == before


def test_an_older_folder_is_written_by_the_python_that_was_named_which_is_remembered(old_folder):
    shell, window = planned(old_folder)
    before = texts(old_folder)
    way = next(n for n, way in enumerate(shell.plan.state.writers) if way.asks == "python")
    shell.plan.choose_writer(way)
    assert shell.plan.state.waiting_for == "Name the Python."
    shell.plan.choose_writer(way, str(OLD_PYTHON))
    assert shell.plan.state.ready
    assert shell.plan.state.compact, "much is removed, and an old index then loses records"
    shell.plan.optimize()
    assert window.page is Page.RESULT, window.notice
    assert len(texts(old_folder)) < len(before)
    shell.result.undo()
    assert window.page is Page.RESULT, window.notice
    assert texts(old_folder) == before


def test_the_result_can_go_to_a_new_folder(old_folder, tmp_path):
    shell, window = planned(old_folder)
    before = traces(old_folder)
    way = next(n for n, way in enumerate(shell.plan.state.writers) if way.asks == "folder")
    shell.plan.choose_writer(way, str(tmp_path / "result"))
    shell.plan.optimize()
    assert window.page is Page.RESULT, window.notice
    assert traces(old_folder) == before
    assert 0 < len(texts(tmp_path / "result")) < len(texts(old_folder))
    assert shell.result.state.step is None


def test_a_confirmed_python_is_chosen_the_next_time(old_folder):
    from memdefrag.engine import workspace

    workspace.save(parse(str(old_folder)), writers.TOPIC, {"python": str(OLD_PYTHON)})
    shell, _ = planned(old_folder)
    state = shell.plan.state
    assert state.writers[state.writer].value == str(OLD_PYTHON)
    assert state.ready


def test_a_store_that_is_gone_meanwhile_is_not_made_anew(new_folder):
    shell, _ = planned(new_folder)
    shutil.rmtree(new_folder)
    shell.plan.optimize()
    assert not new_folder.exists()


def test_the_figures_name_the_backup_and_the_free_space(new_folder):
    shell, _ = planned(new_folder)
    facts = dict(shell.plan.state.facts)
    assert "free" in facts["Backups"]
    assert "now" in facts["Size"]
    assert shell.plan.state.compact_text.startswith("Also compact") or not shell.plan.state.compact_text


@pytest.fixture
def lossy(tmp_path):
    """Two memories of the same words whose vectors lie far apart, each among others: their mean is near neither."""
    same = {"text": "The garden gate is painted green."}
    lines = [{"created_at": 1.7e9, "embedding": [1, 0]} | same, {"created_at": 1.6e9, "embedding": [0, 1]} | same]
    lines += [{"text": f"Note {'abcdefgh'[n] * 9}", "embedding": [1, 0.01 * n]} for n in range(1, 7)]
    lines += [{"text": f"Other {'stuvwxyz'[n] * 9}", "embedding": [0.01 * n, 1]} for n in range(1, 7)]
    store = tmp_path / "lossy.jsonl"
    store.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return store


def test_what_searches_would_lose_has_to_be_agreed_to(lossy):
    shell, window = planned(lossy)
    shell.plan.agree_to_shrink(False)
    state = shell.plan.state
    assert "Searches would lose too much" in state.concerns[-1]
    assert "0.0% of those among the first 5" in dict(state.facts)["Searches for what is merged"]
    gate = "“The garden gate is painted green.”"
    assert any(line.startswith(f"Asked for itself, {gate} is number 1 now, ") for line in state.losses)
    assert any(line.startswith(f"No longer found by its day: {gate} (") for line in state.losses)
    assert "searches lose" in state.shrink_text
    shell.plan.optimize()
    assert (window.page, len(texts(lossy))) == (Page.PLAN, 14)
    shell.plan.agree_to_shrink(True)
    shell.plan.optimize()
    assert (window.page, len(texts(lossy))) == (Page.RESULT, 13)


def test_where_searches_lose_nothing_nobody_is_asked(jsonl_file):
    shell, _ = planned(jsonl_file)
    assert shell.plan.state.concerns == ()
    assert "100.0% of those among the first 5" in dict(shell.plan.state.facts)["Searches for what is merged"]
    assert not any("afterwards" in line for line in shell.plan.state.losses)


def test_the_own_questions_take_part_and_are_remembered_for_the_store(lossy):
    shell, _ = planned(lossy, no_model=True)
    shell.plan.want(questions="Which colour has the garden gate?\n\n", first=3)
    assert shell.plan.state.waiting_for.startswith("What must still be found was changed")
    shell.plan.ask_again()
    facts = dict(shell.plan.state.facts)
    assert any("by words: no model was wanted" in line for line in shell.plan.state.losses)
    assert facts["Your questions"].startswith("1 search: ")
    assert "among the first 3" in facts["Your questions"]
    again, _ = planned(lossy, no_model=True)
    assert again.plan.state.wanted == shell.plan.state.wanted
    assert "Your questions" in dict(again.plan.state.facts)


@pytest.mark.parametrize(("name", "least"), [("lossy", 0.0), ("jsonl_file", 0.99)])
def test_what_is_wanted_holds_for_the_write_unless_the_loss_was_agreed_to(request, name, least):
    shell, _ = planned(request.getfixturevalue(name))
    handed = []
    page = PlanPresenter(FakeView(), DirectRunner(), lambda *call: handed.append(call), lambda: None, pytest.fail)
    page.show(shell.plan._plan)
    page.agree_to_shrink(True)
    page.optimize()
    [(_, options)] = handed
    assert options.proof.min_recall == least


def test_with_less_wanted_nobody_is_asked(lossy):
    shell, window = planned(lossy)
    shell.plan.want(percent=0)
    shell.plan.ask_again()
    assert shell.plan.state.concerns == ()
    shell.plan.optimize()
    assert (window.page, len(texts(lossy))) == (Page.RESULT, 13)


@pytest.mark.parametrize(
    ("choice", "options"),
    [
        (None, writers.WriterOptions()),
        (WriterChoice("python", "", "", "/p"), writers.WriterOptions(python=Path("/p"))),
        (WriterChoice("environment", "", ""), writers.WriterOptions(make_environment=True)),
        (WriterChoice("output", "", "", "/o"), writers.WriterOptions(output=Path("/o"))),
        (WriterChoice("upgrade", "", ""), writers.WriterOptions(upgrade=True)),
    ],
)
def test_every_choice_has_its_options(choice, options):
    assert writer_options(choice) == options
