from hypothesis import given
from hypothesis import strategies as st

from memdefrag.model.plan import Merge
from memdefrag.presenters.decisions import Action, Choice
from memdefrag.presenters.planning import disjoint, plan_of
from memdefrag.presenters.review import ReviewPresenter
from tests.presenters.fakes import FakeView


def opened(data):
    review = ReviewPresenter(FakeView(), lambda: None, lambda: None)
    review.show(data, {})
    return review


def merges(plan):
    return {step.survivor.key.id: [ref.key.id for ref in step.members] for step in plan.steps}


def test_what_is_ticked_is_planned_and_nothing_else(data):
    review = opened(data)
    plan, risks = plan_of(data, review.table, review.decisions)
    assert merges(plan) == {"a1": ["a2", "a3"]}
    assert risks == ()
    assert plan.source_fingerprint == "fingerprint"
    assert plan.settings["reason"] == "optimize"


def test_a_likely_merge_is_a_risk(data):
    review = opened(data)
    review.select(4)
    review.merge_all()
    plan, risks = plan_of(data, review.table, review.decisions)
    assert set(merges(plan)) == {"a1", "b1"}
    assert [risk.partition(":")[0] for risk in risks] == ["Only likely the same"]


def test_kept_memories_are_not_named(data):
    review = opened(data)
    review.select(2)
    review.toggle()
    plan, _ = plan_of(data, review.table, review.decisions)
    assert merges(plan) == {"a1": ["a3"]}


def test_the_persons_wording_is_the_result(data):
    review = opened(data)
    review.edit("The ladder is in the shed.")
    plan, _ = plan_of(data, review.table, review.decisions)
    [step] = plan.steps
    assert isinstance(step, Merge)
    assert step.result.text == "The ladder is in the shed."


def test_an_update_is_planned_and_named_as_a_risk(data):
    review = opened(data)
    names = [record.key.id for record in data.analysis.records]
    old, new = names.index("c1"), names.index("c2")
    text = data.analysis.records[new].text
    review.decide_update(Choice(frozenset({old, new}), Action.MERGE, new, text=text, update=True))
    plan, risks = plan_of(data, review.table, review.decisions)
    assert merges(plan)["c2"] == ["c1"]
    assert risks[0].startswith("The older of two")


def test_a_group_that_shares_a_memory_with_an_update_is_left_as_it_is(data):
    review = opened(data)
    names = [record.key.id for record in data.analysis.records]
    one, other = names.index("a2"), names.index("d1")
    review.decide_update(Choice(frozenset({one, other}), Action.MERGE, other, text="x", update=True))
    review.select(0)
    review.merge_all()
    plan, risks = plan_of(data, review.table, review.decisions)
    assert merges(plan) == {"d1": ["a2"]}
    assert any(risk.startswith("Left as it is") for risk in risks)


@st.composite
def choices(draw):
    members = draw(st.frozensets(st.integers(0, 9), min_size=2, max_size=4))
    return Choice(members, draw(st.sampled_from(Action)), draw(st.sampled_from(sorted(members))))


@given(st.lists(choices(), max_size=8))
def test_no_two_planned_choices_share_a_memory(taken):
    chosen, clashing = disjoint(taken)
    named = [member for choice in chosen for member in choice.gone | {choice.survivor}]
    assert len(named) == len(set(named))
    assert len(chosen) + len(clashing) == sum(choice.action is Action.MERGE for choice in taken)
