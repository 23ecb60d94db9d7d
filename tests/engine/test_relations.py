"""What becomes of links, as plain data: no link is lost without a reason, none is doubled, none hangs in the air."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from memdefrag.engine.relations import Links, expected, hashes, identity, repointed
from memdefrag.model.plan import Changes
from memdefrag.model.records import Key, Relation

A, B, C, D = (Key("memories", name) for name in "abcd")
KEYS = [Key("memories", str(number)) for number in range(8)]

ends = st.sampled_from([*KEYS, "https://example.org"])
relations = st.builds(
    Relation, ends, ends, st.sampled_from(["related", "because"]), st.sampled_from([None, 0.1, 0.5, 0.9])
)
graphs = st.lists(relations, max_size=20)


@st.composite
def merges(draw: st.DrawFn) -> dict[Key, Key]:
    """Members by survivors, none of which disappears itself."""
    survivors = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True))
    members = [key for key in KEYS if key not in survivors]
    gone = draw(st.lists(st.sampled_from(members), max_size=4, unique=True))
    return {key: draw(st.sampled_from(survivors)) for key in gone}


def as_it_is(relation: Relation) -> tuple[Relation, tuple[str, ...]]:
    return relation, ()


def links(*present: Relation, **facts: object) -> Links:
    return replace(Links(present, as_it_is, frozenset([A, B, C, D])), **facts)  # type: ignore[arg-type]


def test_a_members_links_become_the_survivors() -> None:
    out, into = Relation(B, C, "because", 0.3, {"n": 1}, 5.0), Relation(D, B)
    made, removed = repointed([out, into, Relation(C, D)], {B: A})
    assert made == (replace(out, source=A), replace(into, target=A))
    assert removed == (out, into)


def test_no_survivor_is_linked_with_itself() -> None:
    made, removed = repointed([Relation(A, B), Relation(B, B), Relation(C, B)], {B: A, C: A})
    assert made == ()
    assert len(removed) == 3


def test_a_link_that_was_one_with_itself_before_stays() -> None:
    assert repointed([Relation(A, A), Relation(C, C)], {B: A}) == ((), ())


def test_the_survivors_own_link_stays_as_it_is() -> None:
    own, members = Relation(A, C, strength=0.1), Relation(B, C, strength=0.9)
    assert repointed([own, members], {B: A}) == ((), (members,))


def test_of_members_links_that_become_the_same_the_strongest_comes() -> None:
    weak, strong, unknown = (Relation(key, A, strength=value) for key, value in ((B, 0.2), (C, 0.7), (D, None)))
    made, _ = repointed([weak, strong, unknown], {B: D, C: D})
    assert made == ()  # D has one of its own
    made, _ = repointed([weak, strong], {B: D, C: D})
    assert made == (replace(strong, source=D),)


def test_where_there_is_room_for_one_link_its_type_does_not_matter() -> None:
    one, other = Relation(A, C, "because"), Relation(B, C, "although")
    assert repointed([one, other], {B: A})[0] == (replace(other, source=A),)
    assert repointed([one, other], {B: A}, parallel=False)[0] == ()


@given(graphs, merges())
def test_after_merges_no_link_names_who_is_gone_and_every_link_has_its_heir(
    graph: list[Relation], merged: dict[Key, Key]
) -> None:
    made, removed = repointed(graph, merged)
    after = expected(graph, Changes(relate=made, unrelate=removed))
    assert not any(end in merged for each in after for end in (each.source, each.target))
    untouched = [each for each in graph if each.source not in merged and each.target not in merged]
    assert hashes(untouched) <= hashes(after)
    there = {identity(each) for each in after}
    for each in graph:
        source, target = (merged.get(end, end) for end in (each.source, each.target))  # type: ignore[arg-type]
        if source != target:
            assert (source, target, each.type) in there
    new = [identity(each) for each in made]
    assert len(set(new)) == len(new)
    assert {identity(each) for each in untouched}.isdisjoint(new)


@given(graphs, merges(), st.sets(st.sampled_from(KEYS)))
def test_what_is_done_can_be_taken_back_exactly(
    graph: list[Relation], merged: dict[Key, Key], dropped: set[Key]
) -> None:
    gone = frozenset({*merged, *(dropped - set(merged.values()))})
    plan = Links(tuple(graph), as_it_is, frozenset(KEYS), removed=gone, merges=merged)
    relate, unrelate, skipped, _ = plan.settle()
    after = expected(graph, Changes(relate=relate, unrelate=unrelate))
    assert skipped == ()
    assert not any(end in gone for each in after for end in (each.source, each.target))
    undo = Links(
        after, as_it_is, frozenset(KEYS) - gone, added=gone, relate=tuple(unrelate), unrelate=tuple(relate), back=True
    )
    relate, unrelate, skipped, _ = undo.settle()
    assert skipped == ()
    assert hashes(expected(after, Changes(relate=relate, unrelate=unrelate))) == hashes(graph)


def test_links_of_removed_memories_go_with_them() -> None:
    gone, stays = Relation(A, B), Relation(A, C)
    assert links(gone, stays, removed=frozenset([B])).settle() == ((), (gone,), (), {})


def test_links_of_memories_that_are_only_marked_go_where_their_program_removes_them() -> None:
    gone = Relation(A, B)
    assert links(gone).settle().unrelate == ()
    assert links(gone, cut=frozenset([B])).settle().unrelate == (gone,)


def test_a_link_to_a_memory_that_is_not_there_is_not_made() -> None:
    wanted = (Relation(A, Key("memories", "z")), Relation(A, B), Relation(A, "https://example.org"))
    settled = links(relate=wanted, removed=frozenset([B])).settle()
    assert settled.relate == (wanted[2],)
    assert [each.reason for each in settled.skipped] == ["memories/z is not there", "memories/b is not there"]


def test_a_link_to_a_memory_that_comes_is_made() -> None:
    new = Key("memories", "new")
    assert links(relate=(Relation(A, new),), added=frozenset([new])).settle().relate == (Relation(A, new),)


def test_a_link_that_is_there_is_not_made_again() -> None:
    settled = links(Relation(A, B, strength=0.1), relate=(Relation(A, B, strength=0.9), Relation(A, C), Relation(A, C)))
    assert settled.settle().relate == (Relation(A, C),)
    assert [each.reason for each in settled.settle().skipped] == ["there is such a link already"] * 2


def test_a_link_is_changed_by_removing_it_and_making_it_anew() -> None:
    old, new = Relation(A, B, strength=0.1), Relation(A, B, strength=0.9)
    assert links(old, relate=(new,), unrelate=(old,)).settle() == ((new,), (old,), (), {})


def test_a_link_that_says_something_else_by_now_stays() -> None:
    now = Relation(A, B, strength=0.4)
    settled = links(now, unrelate=(Relation(A, B, strength=0.1), Relation(A, C))).settle()
    assert settled.unrelate == ()
    reasons = [each.reason for each in settled.skipped]
    assert reasons == ["the link says something else now", "the link is no longer there"]


def test_of_equal_links_all_go_together() -> None:
    twin = Relation(A, B)
    settled = links(twin, twin, unrelate=(twin,)).settle()
    assert settled.unrelate == (twin, twin)
    assert expected([twin, twin], Changes(unrelate=settled.unrelate)) == ()


def test_what_is_left_out_keeps_its_links() -> None:
    one, other = Relation(B, D), Relation(C, D)
    plan = links(one, other, merges={B: A, C: A}, removed=frozenset([B, C]))
    assert plan.settle(left_out=[C]) == ((Relation(A, D),), (one,), (), {})


def test_what_the_store_has_no_place_for_is_told() -> None:
    def refusing(relation: Relation) -> tuple[None, tuple[str, ...]]:
        return None, ("a link to something that is no memory here",)

    settled = links(relate=(Relation(A, "x"), Relation(B, "x")), fit=refusing).settle()
    assert (settled.relate, settled.losses) == ((), {"a link to something that is no memory here": 2})


@given(graphs, merges(), st.data())
def test_leaving_out_is_as_if_it_had_not_been_planned(
    graph: list[Relation], merged: dict[Key, Key], data: st.DataObject
) -> None:
    left = data.draw(st.sets(st.sampled_from(sorted(merged)))) if merged else set()
    rest = {gone: stays for gone, stays in merged.items() if gone not in left}
    plan = Links(tuple(graph), as_it_is, frozenset(KEYS), removed=frozenset(merged), merges=merged)
    smaller = replace(plan, removed=frozenset(rest), merges=rest)
    assert plan.settle(left) == smaller.settle()
