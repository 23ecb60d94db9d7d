import pytest

from memdefrag.presenters.decisions import Action
from memdefrag.presenters.review import ReviewPresenter
from memdefrag.presenters.tasks import DirectRunner
from memdefrag.presenters.updates import UpdatesPresenter
from tests.presenters.fakes import FakeView


@pytest.fixture
def both(data):
    review = ReviewPresenter(FakeView(), lambda: None, lambda: None)
    review.show(data, {})
    updates = UpdatesPresenter(FakeView(), DirectRunner(), review, pytest.fail)
    updates.refresh()
    return review, updates


def test_the_older_and_the_newer_are_told_apart(both):
    _, updates = both
    [row] = updates.state.rows
    assert (row.old_text[-5:], row.new_text[-5:]) == ("8080.", "8081.")
    assert row.differs_in == "port: 8080 → 8081"
    assert row.dates == "2025-01-07 → 2025-01-08"
    assert row.decided == ""


def test_the_newer_replaces_the_older_with_its_own_words(both):
    review, updates = both
    updates.replace_old()
    [choice] = review.decisions
    names = [record.key.id for record in review.data.analysis.records]
    assert choice.action is Action.MERGE
    assert [names[member] for member in choice.gone] == ["c1"]
    assert choice.text == "The staging server listens on port 8081."
    assert updates.state.rows[0].decided == "new replaces old"


def test_both_can_stay_and_be_undecided_again(both):
    review, updates = both
    updates.keep_both()
    assert updates.state.rows[0].decided == "both stay"
    updates.undecide()
    assert updates.state.rows[0].decided == ""
    assert not any(choice.gone for choice in review.decisions)


def test_decisions_are_shown_when_the_list_is_made_again(both):
    _, updates = both
    updates.replace_old()
    updates.refresh()
    assert updates.state.rows[0].decided == "new replaces old"


def test_without_rows_nothing_can_be_decided(both):
    review, updates = both
    review.set_threshold(0.999)
    updates.refresh()
    assert updates.state.rows == ()
    updates.replace_old()
    assert len(review.decisions) == 0
