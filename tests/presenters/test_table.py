import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.result import RecordGrouping
from memdefrag.presenters.decisions import Action, Choice, pack
from memdefrag.presenters.table import HEADER, LEFT, NOT_DUPLICATES, OPEN, TICKED, GroupTable


def grouping(labels: list[int], sure: list[bool]) -> RecordGrouping:
    label = np.array(labels, np.int32)
    groups = len(sure)
    size = np.bincount(label[label >= 0], minlength=groups).astype(np.int32)
    return RecordGrouping(label, size, np.array(sure, np.bool_), np.linspace(1, 0.8, groups).astype(np.float32))


def table(labels: list[int], sure: list[bool], *choices: Choice) -> GroupTable:
    n = len(labels)
    return GroupTable(grouping(labels, sure), np.arange(n, dtype=np.int32), np.full(n, 10, np.int64), pack(choices))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[int], list[bool]]:
    """Groups of two or more, their members scattered."""
    sizes = draw(st.lists(st.integers(2, 5), max_size=5))
    labels = [g for g, size in enumerate(sizes) for _ in range(size)] + [-1] * draw(st.integers(0, 4))
    return draw(st.permutations(labels)), draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))


@given(tables())
def test_every_group_has_a_header_followed_by_all_its_members(made):
    labels, sure = made
    shown = table(labels, sure)
    rows = shown.rows(np.arange(len(sure), dtype=np.int32))
    assert len(rows) == len(sure) + sum(label >= 0 for label in labels)
    for group in range(len(sure)):
        members = rows.member[rows.group == group].tolist()
        assert members[0] == HEADER
        assert sorted(members[1:]) == [at for at, label in enumerate(labels) if label == group]


@given(tables(), st.data())
def test_consequences_are_those_counted_one_by_one(made, data):
    labels, sure = made
    choices = []
    for group in range(len(sure)):
        members = [at for at, label in enumerate(labels) if label == group]
        if data.draw(st.booleans()):
            survivor = data.draw(st.sampled_from(members))
            kept = frozenset(data.draw(st.lists(st.sampled_from(members), max_size=2))) - {survivor}
            choices.append(Choice(frozenset(members), data.draw(st.sampled_from(Action)), survivor, kept))
    shown = table(labels, sure, *choices)
    said = {choice.members: choice for choice in choices}
    removed = groups = risky = 0
    for group in range(len(sure)):
        members = frozenset(at for at, label in enumerate(labels) if label == group)
        choice = said.get(members)
        ticked = choice.action is Action.MERGE if choice else sure[group]
        groups += ticked
        risky += ticked and not sure[group]
        removed += (len(choice.gone) if choice else len(members) - 1) if ticked else 0
    found = shown.consequences()
    assert (found.groups, found.removed, found.risky) == (groups, removed, risky)
    assert found.bytes == removed * 10


@given(tables(), st.data())
def test_many_choices_at_once_are_the_same_as_one_by_one(made, data):
    labels, sure = made
    choices = [
        Choice(frozenset(members), data.draw(st.sampled_from(Action)), members[0])
        for group in range(len(sure))
        if (members := [at for at, label in enumerate(labels) if label == group]) and data.draw(st.booleans())
    ]
    together, single = table(labels, sure, *choices), table(labels, sure)
    for choice in choices:
        single.take(pack([choice]))
    for name in ("ticked", "said", "survivor", "kept", "edited", "doubted"):
        assert (getattr(together, name) == getattr(single, name)).all(), name


def test_only_sure_groups_are_ticked_by_themselves():
    shown = table([0, 0, 1, 1], [True, False])
    assert shown.ticked.tolist() == [True, False]
    assert shown.said.tolist() == [OPEN, OPEN]


def test_each_action_is_shown():
    shown = table(
        [0, 0, 1, 1, 2, 2],
        [True, True, False],
        Choice(frozenset({0, 1}), Action.LEAVE, 0),
        Choice(frozenset({2, 3}), Action.APART, 2),
        Choice(frozenset({4, 5}), Action.MERGE, 5),
    )
    assert shown.said.tolist() == [LEFT, NOT_DUPLICATES, TICKED]
    assert shown.ticked.tolist() == [False, False, True]
    assert shown.survivor.tolist() == [0, 2, 5]


def test_a_group_that_holds_what_was_told_apart_is_not_ticked():
    shown = table([0, 0, 0, 1, 1], [True, True], Choice(frozenset({0, 2}), Action.APART, 0))
    assert shown.ticked.tolist() == [False, True]
    assert shown.doubted.tolist() == [True, False]


def test_a_group_that_holds_a_memory_of_an_update_is_not_ticked():
    shown = table([0, 0, -1], [True], Choice(frozenset({1, 2}), Action.MERGE, 1, update=True))
    assert shown.ticked.tolist() == [False]


def test_a_decision_about_other_memories_changes_nothing():
    shown = table([0, 0, 0], [False], Choice(frozenset({0, 1}), Action.MERGE, 0))
    assert shown.ticked.tolist() == [False]
    assert shown.said.tolist() == [OPEN]


def test_nothing_at_all_is_fine():
    shown = table([-1, -1], [])
    assert shown.consequences().groups == 0
    assert len(shown.rows(np.zeros(0, np.int32))) == 0
