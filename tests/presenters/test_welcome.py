import shutil

import pytest

from memdefrag.engine import workspace
from memdefrag.presenters.tasks import DirectRunner
from memdefrag.presenters.welcome import WelcomePresenter
from tests.presenters.fakes import FakeView
from tests.stores.chroma.folders import made


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home and a working folder without any store."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for name in ("MCP_MEMORY_CHROMA_PATH", "mcpMemoryChromaPath", "MCP_MEMORY_BASE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(home)
    return home


def refreshed():
    presenter = WelcomePresenter(FakeView(), DirectRunner(), lambda _: None, lambda: None, pytest.fail, pytest.fail)
    presenter.refresh()
    return presenter.state


def test_with_nothing_around_nothing_is_shown(home):
    state = refreshed()
    assert (state.recent, state.found, state.looking) == ((), (), False)


def test_a_store_in_a_usual_place_is_found_with_its_facts(home, export_file):
    shutil.copy(export_file, home / "memory_export.db")
    [card] = refreshed().found
    assert card.title == "memory_export.db"
    assert "6 memories" in card.facts
    assert "changed 20" in card.facts
    assert card.origin == "Memory Defragmenter's export"


def test_looking_around_leaves_no_trace(home, export_file):
    shutil.copy(export_file, home / "memory_export.db")
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    refreshed()
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


def test_recent_stores_come_with_their_facts_and_are_not_found_twice(home, export_file):
    place = home / "memory_export.db"
    shutil.copy(export_file, place)
    workspace.add_recent(f"memory-export:{place}")
    state = refreshed()
    assert [card.place for card in state.recent] == [str(place)]
    assert state.found == ()


def test_a_recent_store_that_is_gone_says_so(home):
    workspace.add_recent(f"jsonl:{home / 'gone.jsonl'}")
    [card] = refreshed().recent
    assert not card.readable
    assert "nothing" in card.facts


def test_an_environment_variable_names_a_store(home, tmp_path, monkeypatch):
    folder = made().copy(tmp_path / "elsewhere")
    monkeypatch.setenv("MCP_MEMORY_CHROMA_PATH", str(folder))
    [card] = refreshed().found
    assert card.place == str(folder)
    assert card.facts.startswith("Chroma folder")
