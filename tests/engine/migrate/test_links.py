"""Which links go along."""

from __future__ import annotations

from memdefrag.engine.migrate.links import NO_END, NO_PLACE, SECOND, TO_ITSELF, linked, missing
from memdefrag.model.plan import Relate
from memdefrag.model.records import Key, Relation

A, B, C = (Key("old", name) for name in "abc")
NEW_A, NEW_B = Key("new", "a"), Key("new", "b")
PLACED = {A: NEW_A, B: NEW_B}


def keeps(relation: Relation) -> tuple[Relation | None, tuple[str, ...]]:
    return relation, ()


def weakens(relation: Relation) -> tuple[Relation | None, tuple[str, ...]]:
    return Relation(relation.source, relation.target, relation.type, 0.0), ("its strength", "its time")


def test_a_link_follows_both_its_memories() -> None:
    done = linked([Relation(A, B, "causes", 0.5)], PLACED, [], keeps)
    assert (done.made, done.lost, done.losses) == ([Relate(Relation(NEW_A, NEW_B, "causes", 0.5))], 0, {})


def test_a_link_to_a_memory_that_is_not_there_is_lost() -> None:
    done = linked([Relation(A, C)], PLACED, [], keeps)
    assert (done.made, done.lost, done.losses) == ([], 1, {NO_END: 1})


def test_a_link_to_something_foreign_stays_what_it_is() -> None:
    assert linked([Relation(A, "context:7")], PLACED, [], keeps).made == [Relate(Relation(NEW_A, "context:7"))]


def test_a_link_that_is_there_is_neither_made_nor_lost() -> None:
    there = [Relation(NEW_A, NEW_B, strength=0.9)]
    for fit in (keeps, weakens):
        done = linked([Relation(A, B, strength=0.1)], PLACED, there, fit)
        assert (done.made, done.lost, done.losses) == ([], 0, {})


def test_a_store_without_a_place_for_links_loses_all() -> None:
    done = linked([Relation(A, B), Relation(B, A)], PLACED, [], None)
    assert (done.made, done.lost, done.losses) == ([], 2, {NO_PLACE: 2})


def test_a_link_that_the_store_refuses_is_lost() -> None:
    done = linked([Relation(A, B)], PLACED, [], lambda relation: (None, ("it",)))
    assert (done.made, done.lost, done.losses) == ([], 1, {"it": 1})


def test_what_a_link_loses_on_the_way_is_counted_by_kind() -> None:
    done = linked([Relation(A, B), Relation(B, A)], PLACED, [], weakens)
    assert (len(done.made), done.lost, done.losses) == (2, 0, {"its strength": 2, "its time": 2})


def test_two_memories_that_became_one_are_not_linked_with_themselves() -> None:
    done = linked([Relation(A, B)], {A: NEW_A, B: NEW_A}, [], keeps)
    assert (done.made, done.lost) == ([], 0)


def test_missing_links_are_counted() -> None:
    wanted = [Relate(Relation(NEW_A, NEW_B)), Relate(Relation(NEW_B, NEW_A))]
    assert missing(wanted, [Relation(NEW_A, NEW_B, strength=1.0)]) == 1


def test_where_two_memories_have_room_for_one_link_the_others_are_lost() -> None:
    first, second = Relation(A, B, "supports"), Relation(A, B, "contradicts")
    done = linked([first, second], PLACED, [], keeps, parallel=False)
    assert (done.made, done.losses) == ([Relate(Relation(NEW_A, NEW_B, "supports"))], {SECOND: 1})
    done = linked([first], PLACED, [Relation(NEW_A, NEW_B, "related")], keeps, parallel=False)
    assert (done.made, done.lost, done.losses) == ([], 1, {SECOND: 1})


def test_a_link_of_a_memory_with_itself_is_told() -> None:
    done = linked([Relation(A, A)], PLACED, [], keeps)
    assert (done.made, done.lost, done.losses) == ([], 1, {TO_ITSELF: 1})
