"""Which links go along."""

from __future__ import annotations

from memdefrag.engine.migrate.links import linked, missing
from memdefrag.model.plan import Relate
from memdefrag.model.records import Key, Relation

A, B, C = (Key("old", name) for name in "abc")
NEW_A, NEW_B = Key("new", "a"), Key("new", "b")
PLACED = {A: NEW_A, B: NEW_B}


def keeps(relation: Relation) -> tuple[Relation | None, tuple[str, ...]]:
    return relation, ()


def test_a_link_follows_both_its_memories() -> None:
    made, lost = linked([Relation(A, B, "causes", 0.5)], PLACED, [], keeps)
    assert (made, lost) == ([Relate(Relation(NEW_A, NEW_B, "causes", 0.5))], 0)


def test_a_link_to_a_memory_that_is_not_there_is_lost() -> None:
    assert linked([Relation(A, C)], PLACED, [], keeps) == ([], 1)


def test_a_link_to_something_foreign_stays_what_it_is() -> None:
    made, _ = linked([Relation(A, "context:7")], PLACED, [], keeps)
    assert made == [Relate(Relation(NEW_A, "context:7"))]


def test_a_link_that_is_there_is_neither_made_nor_lost() -> None:
    assert linked([Relation(A, B, strength=0.1)], PLACED, [Relation(NEW_A, NEW_B, strength=0.9)], keeps) == ([], 0)


def test_a_store_without_a_place_for_links_loses_all() -> None:
    assert linked([Relation(A, B), Relation(B, A)], PLACED, [], None) == ([], 2)


def test_a_link_that_the_store_refuses_is_lost() -> None:
    assert linked([Relation(A, B)], PLACED, [], lambda relation: (None, ("it",))) == ([], 1)


def test_two_memories_that_became_one_are_not_linked_with_themselves() -> None:
    assert linked([Relation(A, B)], {A: NEW_A, B: NEW_A}, [], keeps) == ([], 0)


def test_missing_links_are_counted() -> None:
    wanted = [Relate(Relation(NEW_A, NEW_B)), Relate(Relation(NEW_B, NEW_A))]
    assert missing(wanted, [Relation(NEW_A, NEW_B, strength=1.0)]) == 1


def test_where_two_memories_have_room_for_one_link_the_others_are_lost() -> None:
    first, second = Relation(A, B, "supports"), Relation(A, B, "contradicts")
    made, lost = linked([first, second], PLACED, [], keeps, parallel=False)
    assert (made, lost) == ([Relate(Relation(NEW_A, NEW_B, "supports"))], 1)
    assert linked([first], PLACED, [Relation(NEW_A, NEW_B, "related")], keeps, parallel=False) == ([], 1)


def test_a_link_of_a_memory_with_itself_is_told() -> None:
    assert linked([Relation(A, A)], PLACED, [], keeps) == ([], 1)
