from __future__ import annotations

import pytest

from memdefrag.presenters.calibration import CalibrationPresenter
from tests.presenters.fakes import FakeView, analysed

ALIKE = tuple(
    (f"{letter}{number}", text, float(number))
    for letter, texts in {
        "a": ("Paul walks his dog along the river every morning", "Each morning Paul and the dog stroll by the river"),
        "b": ("The budget meeting moved to the big room", "Budget talks now happen in the larger room"),
        "c": ("Ines sings in the choir of her village", "The village choir has Ines among its singers"),
        "d": ("Our oven heats unevenly on the left side", "The left half of the oven gets much hotter"),
    }.items()
    for number, text in enumerate(texts, 1)
)


class Desk:
    def __init__(self) -> None:
        self.used, self.left = [], 0
        self.page = CalibrationPresenter(FakeView(), self.used.append, self._leave)

    def _leave(self) -> None:
        self.left += 1


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.page.show(analysed(ALIKE))
    return made


def test_one_pair_after_the_other_is_asked_about(desk):
    state = desk.page.state
    total = int(state.place.rpartition(" ")[2])
    assert state.place == f"Pair 1 of {total}" and total >= 2
    assert state.asks and not state.can_go_back and not state.outcome
    for _ in range(total):
        desk.page.same()
    assert desk.page.state.place == f"That was all: {total} pairs." and not desk.page.state.asks
    assert desk.page.state.answered == total
    desk.page.same()
    assert desk.page.state.answered == total


def test_what_differs_between_the_two_is_marked(desk):
    state = desk.page.state
    assert any(span.own for span in state.one) and any(span.own for span in state.other)


def test_an_answer_shows_what_to_expect_and_can_be_taken_back(desk):
    first = desk.page.state.one
    desk.page.different()
    assert desk.page.state.outcome and desk.page.state.one != first
    desk.page.go_back()
    assert desk.page.state.one == first and desk.page.state.outcome == "" and desk.page.state.answered == 0


def test_a_skipped_pair_counts_for_nothing(desk):
    desk.page.skip()
    assert desk.page.state.answered == 0 and desk.page.state.can_go_back
    desk.page.use()
    assert desk.used == []


def test_the_line_of_the_answers_is_used(desk):
    desk.page.different()
    desk.page.use()
    [fitted] = desk.used
    assert [answer.same for answer in fitted.answers] == [False]
    assert f"{fitted.threshold:.2f}" in desk.page.state.outcome


def test_a_store_without_borderline_pairs_says_so():
    desk = Desk()
    desk.page.show(analysed(ALIKE[:1]))
    assert desk.page.state.place == "There are no borderline pairs in this store."
    assert not desk.page.state.asks
