from __future__ import annotations

import pytest

from memdefrag.analysis.merge import SurvivorRule
from memdefrag.presenters.arrange import Facet, Order, ReviewData
from memdefrag.presenters.decisions import Action, Choice
from memdefrag.presenters.review import SURVIVOR_STAYS, ReviewPresenter
from memdefrag.presenters.table import NOT_DUPLICATES, TICKED
from tests.presenters.fakes import FakeView

ABOVE_THE_LIKELY = 0.95


class Desk:
    """A review on a fake view, read by the ids of the memories."""

    def __init__(self, data: ReviewData, saved: dict | None = None) -> None:
        self.view, self.changes, self.plans = FakeView(), 0, 0
        self.review = ReviewPresenter(self.view, self.changed, self.planned)
        self.review.show(data, saved or {})
        self.records = data.analysis.records

    def changed(self) -> None:
        self.changes += 1

    def planned(self) -> None:
        self.plans += 1

    def rows(self) -> list[str]:
        """Ids, with "#" for a group's own row."""
        return [
            "#" if member == -1 else self.records[member].key.id
            for member in self.review.state.cells.rows.member.tolist()
        ]

    def go(self, name: str) -> None:
        self.review.select(self.rows().index(name))

    def ticked(self) -> list[str]:
        """First ids of the ticked groups."""
        table = self.review.table
        return [min(self.ids(group)) for group in range(len(table)) if table.ticked[group]]

    def ids(self, group: int) -> list[str]:
        return [self.records[member].key.id for member in self.review.table.members(group).tolist()]

    def states(self) -> dict[str, str]:
        cells = self.review.state.cells
        return {name: cells.state(row) for row, name in enumerate(self.rows()) if name != "#"}


@pytest.fixture
def desk(data: ReviewData) -> Desk:
    return Desk(data)


def test_the_surest_group_comes_first_and_its_survivor_leads(desk):
    assert desk.rows() == ["#", "a1", "a2", "a3", "#", "b1", "b2"]


def test_only_what_is_sure_is_ticked(desk):
    assert desk.ticked() == ["a1"]
    assert (desk.review.state.consequences.groups, desk.review.state.consequences.removed) == (1, 2)


def test_possible_updates_are_counted_and_never_in_a_group(desk):
    assert desk.review.state.updates == 1
    assert not {"c1", "c2"} & set(desk.rows())


def test_ticking_all_that_is_shown_never_reaches_updates(desk):
    desk.review.tick_shown(True)
    gone = {desk.records[m].key.id for choice in desk.review.decisions for m in choice.gone}
    assert gone == {"b2"}
    assert desk.ticked() == ["a1", "b1"]


def test_the_bulk_button_says_how_far_it_reaches(desk):
    assert desk.review.state.bulk == "Tick 1 of 2 shown groups (−1)"
    desk.review.set_filter("ladder")
    assert desk.review.state.bulk == "Tick 0 of 1 shown group (−0)"


def test_a_bulk_action_is_one_step_back(desk):
    desk.review.tick_shown(False)
    assert desk.ticked() == []
    desk.review.undo()
    assert desk.ticked() == ["a1"]


def test_a_bulk_action_leaves_what_is_not_shown(desk):
    desk.review.set_filter("report")
    desk.review.tick_shown(True)
    desk.review.set_filter("")
    desk.review.tick_shown(False)
    desk.review.set_filter("report")
    desk.review.undo()
    assert desk.ticked() == ["a1", "b1"]


def test_m_merges_the_whole_group_and_goes_on(desk):
    desk.go("a2")
    desk.review.toggle()
    assert desk.states()["a2"] == "kept"
    desk.review.merge_all()
    assert desk.states()["a2"] == "goes"
    assert desk.rows()[desk.review.state.row] == "#"
    assert desk.ids(desk.review.group) == ["b1", "b2"]


def test_space_on_a_member_keeps_it_and_merges_it_again(desk):
    desk.go("a3")
    desk.review.toggle()
    assert desk.states() == {"a1": "survivor", "a2": "goes", "a3": "kept", "b1": "shown", "b2": "shown"}
    assert desk.review.state.consequences.removed == 1
    desk.review.toggle()
    assert desk.states()["a3"] == "goes"


def test_keeping_every_member_leaves_the_group(desk):
    for name in ("a2", "a3"):
        desk.go(name)
        desk.review.toggle()
    assert desk.ticked() == []
    assert desk.review.state.consequences.removed == 0


def test_space_on_a_member_of_an_unticked_group_merges_just_that_one(desk):
    desk.review.step_group(0)
    desk.review.toggle()
    desk.go("a3")
    desk.review.toggle()
    assert desk.states() | {"b1": "", "b2": ""} == {"a1": "survivor", "a2": "kept", "a3": "goes", "b1": "", "b2": ""}


def test_the_survivor_cannot_be_dropped(desk):
    desk.go("a1")
    before = desk.states()
    desk.review.toggle()
    assert desk.states() == before
    assert desk.review.state.notice == SURVIVOR_STAYS


def test_enter_makes_a_survivor_and_ticks_the_group(desk):
    desk.go("b2")
    desk.review.make_survivor()
    assert desk.states()["b2"] == "survivor"
    assert desk.states()["b1"] == "goes"
    assert desk.rows()[desk.review.state.row] == "b2"


def test_a_kept_member_can_become_the_survivor(desk):
    desk.go("a2")
    desk.review.toggle()
    desk.review.make_survivor()
    assert desk.states()["a2"] == "survivor"
    assert desk.states()["a1"] == "goes"


def test_n_says_they_are_not_duplicates_and_bulk_actions_respect_it(desk):
    desk.go("a1")
    desk.review.not_duplicates()
    assert desk.ticked() == []
    assert NOT_DUPLICATES in desk.review.table.said.tolist()
    desk.review.tick_shown(True)
    assert desk.ticked() == ["b1"]


def test_the_focus_goes_to_the_next_undecided_group(desk):
    desk.go("b1")
    desk.review.merge_all()
    desk.go("a1")
    desk.review.merge_all()
    assert desk.ids(desk.review.group) == ["a1", "a2", "a3"]


def test_undo_takes_one_decision_back_and_goes_there(desk):
    desk.go("a1")
    desk.review.not_duplicates()
    desk.review.merge_all()
    assert desk.ticked() == ["b1"]
    desk.review.undo()
    assert desk.ids(desk.review.group) == ["b1", "b2"]
    desk.review.undo()
    assert desk.ticked() == ["a1"]
    assert not desk.review.state.can_undo


def test_editing_ticks_the_group_and_typing_is_one_step(desk):
    desk.go("b1")
    desk.review.edit("The report")
    desk.review.edit("The report is due.")
    assert desk.ticked() == ["a1", "b1"]
    assert desk.review.choice.text == "The report is due."
    desk.review.undo()
    assert desk.review.choice.text is None


def test_the_automatic_text_can_come_back(desk):
    desk.go("b1")
    desk.review.edit("Mine")
    desk.review.edit(None)
    assert desk.review.choice.text is None


def test_a_higher_threshold_takes_groups_away_and_a_lower_one_brings_them_back(desk):
    desk.review.set_threshold(ABOVE_THE_LIKELY)
    assert desk.rows() == ["#", "a1", "a2", "a3"]
    desk.review.set_threshold(0.8)
    assert desk.rows() == ["#", "a1", "a2", "a3", "#", "b1", "b2"]


def test_the_person_stays_at_the_same_memory_when_groups_change(desk):
    desk.go("a3")
    desk.review.set_threshold(ABOVE_THE_LIKELY)
    assert desk.rows()[desk.review.state.row] == "a3"
    desk.review.set_rule(SurvivorRule.NEWEST)
    assert desk.rows()[desk.review.state.row] == "a3"
    assert desk.rows() == ["#", "a3", "a2", "a1"]


def test_a_decision_survives_the_threshold(desk):
    desk.go("b1")
    desk.review.merge_all()
    desk.review.set_threshold(ABOVE_THE_LIKELY)
    assert desk.review.state.consequences.groups == 1
    desk.review.set_threshold(0.8)
    assert desk.ticked() == ["a1", "b1"]


def test_facets_show_what_they_count(desk):
    for facet, number in desk.review.state.facets:
        desk.review.set_facet(facet)
        assert desk.rows().count("#") == number == desk.review.state.shown
    desk.review.set_facet(Facet.LIKELY)
    assert desk.rows() == ["#", "b1", "b2"]


def test_decided_groups_leave_the_undecided(desk):
    desk.go("b1")
    desk.review.merge_all()
    desk.review.set_facet(Facet.UNDECIDED)
    assert desk.rows() == ["#", "a1", "a2", "a3"]
    assert TICKED in desk.review.table.said.tolist()


def test_the_filter_finds_groups_by_any_of_their_memories(desk):
    desk.review.set_filter("EVERY WEEK")
    assert desk.rows() == ["#", "b1", "b2"]
    desk.review.set_filter("no such words")
    assert desk.rows() == []
    assert desk.review.state.row == -1
    desk.review.merge_all()
    desk.review.toggle()
    assert not desk.review.state.can_undo


def test_orders(desk):
    desk.review.set_order(Order.NEWEST)
    assert desk.rows()[1] == "b1"
    desk.review.set_order(Order.LARGEST)
    assert desk.rows()[1] == "a1"


def test_stepping_through_groups_stops_at_the_ends(desk):
    desk.review.step_group(1)
    assert desk.review.state.row == 4
    desk.review.step_group(1)
    assert desk.review.state.row == 4
    desk.review.select(6)
    desk.review.step_group(-1)
    assert desk.review.state.row == 4
    desk.review.step_group(-1)
    desk.review.step_group(-1)
    assert desk.review.state.row == 0


def test_every_decision_is_told_so_that_it_is_saved(desk):
    desk.go("b1")
    for call in (desk.review.merge_all, desk.review.undo, desk.review.toggle):
        before = desk.changes
        call()
        assert desk.changes == before + 1


def test_another_sitting_goes_on_where_this_one_stopped(data, desk):
    desk.go("a1")
    desk.review.merge_all()
    desk.go("b2")
    desk.review.make_survivor()
    desk.review.set_rule(SurvivorRule.LONGEST)
    desk.review.set_threshold(0.9)
    again = Desk(data, desk.review.saved()())
    assert again.ticked() == desk.ticked() == ["a1", "b1"]
    assert again.states() == desk.states()
    assert again.review.state.rule is SurvivorRule.LONGEST
    assert again.review.state.threshold == 0.9


def test_two_updates_never_take_the_same_memory(desk):
    c1, c2, d1 = (next(i for i, r in enumerate(desk.records) if r.key.id == name) for name in ("c1", "c2", "d1"))
    assert desk.review.decide_update(Choice(frozenset({c1, c2}), Action.MERGE, c2, update=True)) == ""
    refused = desk.review.decide_update(Choice(frozenset({d1, c1}), Action.MERGE, d1, update=True))
    assert "already takes part" in refused
    assert len(desk.review.decisions) == 1
