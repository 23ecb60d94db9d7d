import shutil

import pytest

from memdefrag.engine import catalogue, workspace
from memdefrag.presenters.tasks import DirectRunner
from memdefrag.presenters.welcome import AskedCard, WelcomePresenter
from tests.presenters.fakes import FakeView
from tests.presenters.stores import drop
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


class Asked:
    """The first page, and the changes that the person is in doubt of."""

    def __init__(self) -> None:
        self.doubted: list[AskedCard] = []
        self.page = WelcomePresenter(
            FakeView(), DirectRunner(), lambda _: None, lambda: None, self.doubted.append, pytest.fail
        )
        self.page.refresh()


def test_the_newest_change_of_each_store_is_asked_about_until_it_is_answered(home, jsonl_file, export_file):
    drop(jsonl_file)
    newest = [drop(jsonl_file).step, drop(export_file).step]
    first = Asked()
    assert [card.step for card in first.page.state.asked] == newest
    assert str(jsonl_file) in first.page.state.asked[0].text
    again = Asked()
    assert len(again.page.state.asked) == 2
    again.page.answer(again.page.state.asked[0], works=True)
    assert again.doubted == []
    assert [card.step for card in Asked().page.state.asked] == newest[1:], "a yes settles what came before it, too"


def test_a_no_leads_to_the_way_back_and_is_not_asked_again(home, jsonl_file):
    drop(jsonl_file)
    asked = Asked()
    [card] = asked.page.state.asked
    asked.page.answer(card, works=False)
    assert asked.doubted == [card]
    assert Asked().page.state.asked == ()


def test_it_is_noted_once_that_the_person_was_asked(home, jsonl_file):
    drop(jsonl_file)
    Asked()
    Asked()
    assert sum(event["event"] == "asked" for event in catalogue.events()) == 1
