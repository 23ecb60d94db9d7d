from __future__ import annotations

import pytest

from memdefrag.base.progress import Progress
from memdefrag.presenters import inside
from memdefrag.presenters.inside import CHANGED, GONE, SAME, UNKNOWN, InsidePresenter
from memdefrag.presenters.tasks import DirectRunner
from tests.presenters.fakes import FakeView, both_kinds
from tests.presenters.stores import drop


class Desk:
    def __init__(self) -> None:
        self.restored, self.opened = [], []
        self.page = InsidePresenter(
            FakeView(),
            DirectRunner(),
            lambda id, keys: self.restored.append((id, keys)),
            self.opened.append,
            pytest.fail,
        )


@pytest.fixture
def desk() -> Desk:
    return Desk()


@both_kinds
def test_what_is_gone_comes_first_and_can_be_brought_back(desk, store):
    backup = drop(store, 2).backup
    desk.page.show(backup)
    state = desk.page.state
    assert [row.now for row in state.rows] == [GONE, GONE, SAME, SAME, SAME, SAME]
    assert "6 memories, 2 gone" in state.title
    assert state.selected == (0,) and state.text.startswith(state.rows[0].line[:10])
    assert state.restorable == 1
    desk.page.select((0, 1))
    assert desk.page.state.restorable == 2
    desk.page.restore()
    assert desk.restored == [(backup, {row.key for row in state.rows[:2]})]


def test_a_memory_that_says_something_else_now_is_told(desk, jsonl_file):
    backup = drop(jsonl_file).backup
    path = jsonl_file
    path.write_text(path.read_text(encoding="utf-8").replace("tabs over spaces", "spaces over tabs"), encoding="utf-8")
    desk.page.show(backup)
    assert [row.now for row in desk.page.state.rows][:3] == [GONE, CHANGED, SAME]


def test_without_its_store_a_backup_can_still_be_read(desk, store):
    backup = drop(store).backup
    store.unlink()
    desk.page.show(backup)
    assert {row.now for row in desk.page.state.rows} == {UNKNOWN}
    assert desk.page.state.restorable == 1


def test_memories_are_found_by_text_and_tag_in_whatever_case(desk, store):
    desk.page.show(drop(store).backup)
    desk.page.set_filter("MAKEFILES")
    assert len(desk.page.state.rows) == 1
    desk.page.set_filter("NOTE-3")
    assert len(desk.page.state.rows) == 1
    desk.page.set_filter("nowhere to be found")
    assert desk.page.state.rows == () and desk.page.state.selected == ()
    desk.page.restore()
    assert desk.restored == []


def test_a_very_long_list_is_cut_with_a_word(desk, store, monkeypatch):
    monkeypatch.setattr(inside, "MOST_SHOWN", 4)
    desk.page.show(drop(store).backup)
    assert len(desk.page.state.rows) == 4
    assert "The first 4 of 6 are shown" in desk.page.state.notice


def test_a_backup_is_opened_as_a_store(desk, store):
    backup = drop(store).backup
    desk.page.open_as_store()
    desk.page.show(backup)
    desk.page.open_as_store()
    assert desk.opened == [f"backup:{backup}"]


def test_what_cannot_be_read_is_told_and_looking_ends(store):
    failures = []
    backup = inside.read(drop(store).backup, Progress()).id
    page = InsidePresenter(FakeView(), DirectRunner(), pytest.fail, pytest.fail, failures.append)
    page.show(backup[:-1] + "zz")
    assert len(failures) == 1
    assert not page.state.looking
