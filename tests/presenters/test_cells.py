import pytest

from memdefrag.presenters.cells import COLUMNS, DATE, SCORE, STATE, TEXT, WHY
from memdefrag.presenters.review import ReviewPresenter
from tests.presenters.fakes import FakeView


@pytest.fixture
def review(data):
    review = ReviewPresenter(FakeView(), lambda: None, lambda: None)
    review.show(data, {})
    return review


def test_a_group_says_how_many_become_one_and_why(review):
    cells = review.state.cells
    assert cells.text(0, STATE) == "Merge"
    assert cells.text(0, TEXT) == "3 memories become 1"
    assert cells.text(0, SCORE) == "1.00"
    assert "only case, spaces or punctuation differ" in cells.text(0, WHY)
    assert cells.tier(0) == "sure"
    assert cells.text(4, STATE) == "Undecided"
    assert cells.tier(4) == "likely"


def test_what_is_left_and_what_is_apart_is_told_from_what_is_undecided(review):
    review.select(4)
    review.toggle()
    review.toggle()
    assert review.state.cells.text(4, STATE) == "Leave"
    review.not_duplicates()
    assert review.state.cells.text(4, STATE) == "Apart"


def test_the_last_row_of_a_group(review):
    assert [review.state.cells.last_of_group(row) for row in (0, 2, 4)] == [3, 3, 6]


def test_a_memory_says_what_becomes_of_it(review):
    cells = review.state.cells
    assert cells.text(1, STATE) == "★ Survivor"
    assert cells.text(1, WHY) == ""
    assert cells.text(2, STATE) == "→ Merged in"
    assert cells.text(2, TEXT) == "nora keeps the blue ladder in the shed"
    assert cells.text(2, DATE) == "2025-01-03"


def test_a_group_with_a_kept_memory_counts_without_it(review):
    review.select(2)
    review.toggle()
    assert review.state.cells.text(0, TEXT) == "2 memories become 1 · decided"
    assert review.state.cells.text(2, STATE) == "○ Kept"


def test_what_was_said_stands_in_the_group(review):
    review.select(0)
    review.not_duplicates()
    assert review.state.cells.text(0, TEXT) == "3 memories · not duplicates"


def test_a_row_can_be_read_out(review):
    spoken = review.state.cells.spoken(2)
    assert spoken.startswith("→ Merged in, nora keeps")
    assert len(COLUMNS) == 5
