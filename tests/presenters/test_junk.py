from __future__ import annotations

import json
from pathlib import Path

import pytest

from memdefrag.model.address import Address
from memdefrag.model.plan import Drop
from memdefrag.presenters.junk import JunkPresenter
from memdefrag.presenters.tasks import DirectRunner
from tests.presenters.fakes import FakeView

TEXTS = {"1": "Likes green tea", "2": "", "3": "test 3 " + "word " * 2000, "4": "this is a test"}


class Desk:
    def __init__(self) -> None:
        self.plans = []
        self.page = JunkPresenter(FakeView(), DirectRunner(), self.plans.append, lambda: None, pytest.fail)


@pytest.fixture
def address(tmp_path: Path) -> Address:
    store = tmp_path / "some.jsonl"
    store.write_text("\n".join(json.dumps({"id": id, "text": text}) for id, text in TEXTS.items()), encoding="utf-8")
    return Address("jsonl", str(store))


def test_findings_are_listed_kind_by_kind(address):
    desk = Desk()
    desk.page.show(address)
    state = desk.page.state
    assert [row.kind for row in state.rows] == ["empty", "left over from a test", "oversized"]
    assert state.title.startswith("3 memories to look at") and state.selected == (0,)
    desk.page.select((1,))
    assert desk.page.state.text == "this is a test"


def test_only_what_is_marked_is_planned_to_go(address):
    desk = Desk()
    desk.page.show(address)
    desk.page.select((0, 1))
    assert desk.page.state.removable == 2
    desk.page.plan_removal()
    [plan] = desk.plans
    assert [type(step) for step in plan.steps] == [Drop, Drop]
    assert [step.record.key.id for step in plan.steps] == ["2", "4"]


def test_without_a_mark_nothing_is_planned(address):
    desk = Desk()
    desk.page.show(address)
    desk.page.select(())
    desk.page.plan_removal()
    assert desk.plans == [] and desk.page.state.removable == 0


def test_a_clean_store_is_called_so(tmp_path):
    store = tmp_path / "clean.jsonl"
    store.write_text(json.dumps({"id": "1", "text": "Likes green tea"}), encoding="utf-8")
    desk = Desk()
    desk.page.show(Address("jsonl", str(store)))
    assert desk.page.state.title.startswith("Nothing here") and desk.page.state.rows == ()
