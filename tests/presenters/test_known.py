from __future__ import annotations

from dataclasses import replace

import pytest

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.base.progress import Progress
from memdefrag.presenters.arrange import prepare
from memdefrag.presenters.details import DetailsPresenter
from memdefrag.presenters.known import ALL, KnownPresenter
from memdefrag.presenters.review import LOOKING_ONLY, ReviewPresenter
from memdefrag.presenters.tasks import DirectRunner
from memdefrag.presenters.updates import UpdatesPresenter
from tests.presenters.fakes import MEMORIES, FakeView, snapshot

INCOMING = (
    ("a1", MEMORIES[0][1], 9.0),
    ("a9", MEMORIES[1][1] + "!!", 9.0),
    ("c1", "The staging server listens on port 8082.", 9.0),
    ("n1", "Ines sings in the choir of her village.", 9.0),
)


class Desk:
    """A review of memories that are compared with a store that holds `MEMORIES`."""

    def __init__(self) -> None:
        ours, theirs = snapshot(INCOMING), replace(snapshot(), address="jsonl:/nowhere/known.jsonl")
        found = analyze([ours, theirs], AnalysisOptions(against=1))
        self.view, self.changes = FakeView(), []
        self.review = ReviewPresenter(self.view, lambda: self.changes.append(1), lambda: None)
        self.review.show(prepare(found, "", Progress()), {})
        self.known = KnownPresenter(FakeView(), DirectRunner(), self.review, pytest.fail)
        self.known.refresh()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_every_memory_of_this_store_is_listed_with_what_the_other_says(desk):
    standing = {row.line: row.standing for row in desk.known.state.rows}
    assert standing[INCOMING[0][1]] == "there word for word"
    assert standing[INCOMING[1][1]] == "surely there"
    assert standing[INCOMING[2][1]] == "contradicting"
    assert standing[INCOMING[3][1]] == "new"
    assert len(standing) == len(INCOMING)


def test_the_counts_stand_above_and_one_standing_can_be_chosen(desk):
    counts = ("1 there word for word", "1 surely there", "0 likely there", "1 contradicting", "1 new")
    assert desk.known.state.summary == " · ".join(counts)
    desk.known.choose("new")
    [row] = desk.known.state.rows
    assert (row.line, row.partner, row.nearest, row.score) == (INCOMING[3][1], None, "", "")
    desk.known.choose(ALL)
    assert len(desk.known.state.rows) == 4


def test_another_line_makes_another_list(desk):
    desk.review.set_threshold(1.0)
    desk.known.refresh()
    assert "1 contradicting" not in desk.known.state.summary


def test_groups_say_which_memory_is_from_which_store(desk):
    cells = desk.review.state.cells
    said = {cells.text(row, 0) for row in range(len(cells))}
    assert said == {"Alike", "This store", "Other store"}
    assert not cells.can_tick


def test_nothing_can_be_decided_and_nothing_is_saved(desk):
    review = desk.review
    for act in (review.merge_all, review.not_duplicates, review.toggle, lambda: review.tick_shown(True),
                lambda: review.edit("mine")):  # fmt: skip
        act()
        assert review.state.notice == LOOKING_ONLY
    review.select(1)
    review.make_survivor()
    assert review.state.consequences.groups == 0 and len(review.decisions) == 0 and desk.changes == []
    updates = UpdatesPresenter(FakeView(), DirectRunner(), review, pytest.fail)
    updates.refresh()
    updates.replace_old()
    assert updates.state.notice == LOOKING_ONLY


def test_a_pair_is_shown_beside_the_list(desk):
    details = DetailsPresenter(FakeView(), desk.review)
    row = desk.known.state.rows[1]
    details.show_known(row.member, row.partner)
    assert details.details.survivor_name.startswith("This store")
    assert details.details.member_name.startswith("Other store")
    assert not details.details.editable
    details.show_known(desk.known.state.rows[-1].member, None)
    assert details.details.member_name == "" and details.details.survivor[0].text == INCOMING[3][1]


def test_a_group_is_shown_without_a_merged_text_to_edit(desk):
    details = DetailsPresenter(FakeView(), desk.review)
    details.refresh()
    assert {details.details.survivor_name[:5], details.details.member_name[:5]} == {"This ", "Other"}
    assert details.details.merged_note == LOOKING_ONLY and not details.details.editable
