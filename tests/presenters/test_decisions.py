import json
from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.apart import content_key, pair_of
from memdefrag.model.hashing import record_hash
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.presenters.decisions import Action, Choice, Decisions, move_apart, pack

RECORDS = tuple(MemoryRecord(Key("m", f"id-{n}"), f"text {n}", created=float(n)) for n in range(6))


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    members = draw(st.frozensets(st.integers(0, 5), min_size=2))
    survivor = draw(st.sampled_from(sorted(members)))
    kept = draw(st.frozensets(st.sampled_from(sorted(members)))) - {survivor}
    text = draw(st.none() | st.text())
    return Choice(members, draw(st.sampled_from(Action)), survivor, kept, text, draw(st.booleans()))


@given(st.lists(st.lists(choices(), min_size=1, max_size=3), max_size=6))
def test_undoing_every_step_leaves_nothing(steps):
    decisions = Decisions()
    states = []
    for step in steps:
        states.append(list(decisions))
        decisions.take(step)
    for before in reversed(states):
        decisions.undo()
        assert set(decisions) == set(before)
    assert not decisions.can_undo


@given(st.lists(choices(), max_size=6))
def test_what_was_saved_is_there_again(taken):
    decisions, again = Decisions(), Decisions()
    decisions.take(taken)
    saved = json.loads(json.dumps(decisions.dump(RECORDS)()))
    again.load(saved, RECORDS)
    apart = {choice for choice in decisions if choice.action is Action.APART}
    assert set(again) == set(decisions) - apart
    assert {tuple(pair) for pair in saved["apart"]} == {
        pair_of(content_key(f"text {one}"), content_key(f"text {other}"))
        for choice in apart
        for one, other in combinations(choice.members, 2)
    }


def test_memories_without_text_are_told_apart_by_their_keys():
    silent = (replace(RECORDS[0], text=None), *RECORDS[1:])
    decisions, again = Decisions(), Decisions()
    decisions.take([Choice(frozenset({0, 1, 2}), Action.APART, 0)])
    saved = decisions.dump(silent)()
    assert saved["apart"] == []
    again.load(saved, silent)
    assert set(again) == set(decisions)


def old_choice(action, *members):
    """As decisions were saved when texts were told apart for one store alone."""
    named = [[*RECORDS[member].key, record_hash(RECORDS[member])] for member in members]
    return {"members": named, "action": action, "survivor": named[0], "kept": [], "text": None, "update": False}


def test_texts_that_were_told_apart_store_by_store_move_over():
    saved = {"format": 1, "rule": "oldest", "choices": [old_choice("apart", 0, 1), old_choice("merge", 2, 3)]}
    pairs, left = move_apart(saved, RECORDS)
    assert pairs == {pair_of(content_key("text 0"), content_key("text 1"))}
    assert left == saved | {"choices": [saved["choices"][1]]}
    assert move_apart(left, RECORDS) == (frozenset(), left)
    assert move_apart({}, RECORDS) == (frozenset(), {})


def test_what_was_told_apart_of_memories_that_are_gone_stays_where_it_is():
    saved = {"format": 1, "choices": [old_choice("apart", 0, 5)]}
    assert move_apart(saved, RECORDS[:5]) == (frozenset(), saved)


def test_a_decision_about_a_memory_that_says_something_else_now_is_forgotten():
    decisions, again = Decisions(), Decisions()
    decisions.take([Choice(frozenset({0, 1}), Action.MERGE, 0), Choice(frozenset({2, 3}), Action.LEAVE, 2)])
    changed = (replace(RECORDS[0], text="something else"), *RECORDS[1:])
    again.load(decisions.dump(RECORDS)(), changed)
    assert [choice.members for choice in again] == [frozenset({2, 3})]


def test_a_decision_about_a_memory_that_is_gone_is_forgotten():
    decisions, again = Decisions(), Decisions()
    decisions.take([Choice(frozenset({0, 5}), Action.MERGE, 0)])
    again.load(decisions.dump(RECORDS)(), RECORDS[:5])
    assert len(again) == 0


def test_what_is_saved_is_what_was_decided_at_that_moment():
    decisions = Decisions()
    decisions.take([Choice(frozenset({0, 1}), Action.MERGE, 0)])
    dump = decisions.dump(RECORDS)
    decisions.take([Choice(frozenset({2, 3}), Action.MERGE, 2)])
    assert len(dump()["choices"]) == 1


def test_a_file_of_another_format_is_not_read():
    decisions = Decisions()
    decisions.load({"format": 99, "choices": [{}]}, RECORDS)
    assert len(decisions) == 0


def test_typing_on_is_no_step_of_its_own():
    decisions = Decisions()
    first = Choice(frozenset({0, 1}), Action.MERGE, 0, text="a")
    decisions.take([first])
    decisions.replace_last(replace(first, text="ab"))
    decisions.undo()
    assert len(decisions) == 0


@given(choices())
def test_the_survivor_and_the_kept_never_go(choice):
    assert choice.survivor not in choice.gone
    assert not choice.gone & choice.kept
    assert choice.action is Action.MERGE or not choice.gone


@given(st.lists(choices(), max_size=5))
def test_packed_choices_say_the_same(taken):
    packed = pack(taken)
    assert len(packed) == len(taken)
    for number, choice in enumerate(taken):
        members = packed.members[packed.starts[number] : packed.starts[number + 1]]
        assert frozenset(members.tolist()) == choice.members
        assert list(Action)[packed.action[number]] is choice.action
        assert packed.survivor[number] == choice.survivor
        assert frozenset(packed.kept[packed.kept_of == number].tolist()) == choice.kept
