from __future__ import annotations

import json
from pathlib import Path

import pytest

from memdefrag.analysis.apart import content_key, pair_of
from memdefrag.engine import apart
from memdefrag.model.address import Address
from memdefrag.presenters.apart import ApartPresenter
from memdefrag.presenters.tasks import DirectRunner
from tests.presenters.fakes import FakeView

TEXTS = {"1": "Likes green tea", "2": "Likes the green tea", "3": "Drinks coffee at noon"}


class Desk:
    def __init__(self, address: Address) -> None:
        self.failures = []
        self.page = ApartPresenter(FakeView(), DirectRunner(), lambda: None, self.failures.append)
        self.page.show(address)

    def lines(self) -> list[tuple[str, str]]:
        return [row.lines for row in self.page.state.rows]


def told(one: str, other: str) -> tuple[str, str]:
    return pair_of(content_key(one), content_key(other))


@pytest.fixture
def address(tmp_path: Path) -> Address:
    store = tmp_path / "some.jsonl"
    store.write_text("\n".join(json.dumps({"id": id, "text": text}) for id, text in TEXTS.items()), encoding="utf-8")
    return Address("jsonl", str(store))


@pytest.fixture
def desk(address: Address) -> Desk:
    apart.add([told(TEXTS["1"], TEXTS["2"])], str(address))
    apart.add([told(TEXTS["1"], TEXTS["3"]), told("of another store", "and its neighbour")], str(address))
    return Desk(address)


def test_the_pairs_of_the_store_are_listed_the_newest_first(desk):
    assert [set(pair) for pair in desk.lines()] == [{TEXTS["1"], TEXTS["3"]}, {TEXTS["1"], TEXTS["2"]}]
    assert desk.page.state.title.startswith("2 pairs") and not desk.page.state.looking


def test_both_texts_of_the_marked_pair_are_shown_with_what_differs(desk):
    desk.page.select((1,))
    shown = ["".join(span.text for span in spans) for spans in (desk.page.state.one, desk.page.state.other)]
    assert set(shown) == {TEXTS["1"], TEXTS["2"]}
    own = [span.text.strip() for span in (*desk.page.state.one, *desk.page.state.other) if span.own]
    assert own == ["the"]


def test_what_is_forgotten_is_gone_for_all_stores(desk):
    desk.page.select((0, 1))
    desk.page.forget()
    assert desk.page.state.message == "Forgotten: 2 pairs." and desk.page.state.rows == ()
    assert [each.pair for each in apart.told()] == [told("of another store", "and its neighbour")]


def test_without_a_mark_nothing_is_forgotten(desk):
    desk.page.select(())
    desk.page.forget()
    assert len(apart.told()) == 3


def test_the_list_is_carried_to_another_computer(desk, address, tmp_path):
    file = tmp_path / "list.json"
    desk.page.export(str(file))
    assert "3 pairs" in desk.page.state.message
    apart.forget([each.pair for each in apart.told()], "")
    other = Desk(address)
    assert other.page.state.title.startswith("Nothing in this store was told apart")
    other.page.import_(str(file))
    assert "3 pairs more" in other.page.state.message and len(other.lines()) == 2


def test_giving_up_on_a_name_does_nothing(desk):
    before = desk.page.state
    desk.page.export("")
    desk.page.import_("")
    assert desk.page.state is before


def test_a_file_that_is_no_list_is_refused_and_the_list_stays(desk, tmp_path):
    file = tmp_path / "other.json"
    file.write_text("{}", encoding="utf-8")
    desk.page.import_(str(file))
    [error] = desk.failures
    assert "no list of texts told apart" in error.message
    assert len(desk.lines()) == 2 and not desk.page.state.looking
