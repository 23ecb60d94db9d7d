"""Proof of what searches find before and after, on self-made memories."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.merge import CONFLICT_TAG, MERGED_FROM, mean_vector
from memdefrag.base.errors import Cancelled, ModelUnavailable, SearchLoss
from memdefrag.base.progress import Cancel, Progress
from memdefrag.base.wording import day
from memdefrag.engine.own_queries import Query
from memdefrag.engine.search_proof import ProofOptions, prove, shortfall
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.recall import Recall
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot, State, Vector

DAY = 86_400.0


def memory(id: str, vector: Sequence[float] | None = None, collection: str = "notes", **said: object) -> MemoryRecord:
    embedding = None if vector is None else np.array(vector, np.float32)
    usual = {"text": f"This is {id}.", "embedding": embedding}
    return MemoryRecord(Key(collection, id), **(usual | said))  # type: ignore[arg-type]


def store(*records: MemoryRecord, metric: str = "cosine") -> Snapshot:
    names = sorted({record.key.collection for record in records})
    return Snapshot("x", tuple(CollectionInfo(name, 0, 0, 0, metric=metric) for name in names), records)


def merging(*groups: tuple[MemoryRecord, ...]) -> tuple[Changes, list[tuple[Key, ...]]]:
    """The first of each group becomes its second form, the others go: (survivor, what it becomes, member, …)."""
    puts = tuple(Put(group[1], "") for group in groups)
    gone = tuple(Ref(member.key, "") for group in groups for member in group[2:])
    return Changes(puts, gone), [(group[0].key, *(member.key for member in group[2:])) for group in groups]


def proof(before: Snapshot, *groups: tuple[MemoryRecord, ...], **options: object) -> Recall:
    embed = options.pop("embed", None)
    pending = options.pop("pending", ())
    changes, units = merging(*groups)
    found = prove(before, changes, units, ProofOptions(**options), Progress(), embed=embed, pending=pending)  # type: ignore[arg-type]
    assert found
    return found


A, B = memory("a", (1, 0, 0)), memory("b", (0.8, 0.6, 0))
BETWEEN = replace(A, embedding=np.array((0.95, 0.31, 0), np.float32))
FAR = replace(A, embedding=np.array((0, 0, 1), np.float32))
NEAR_B = [memory(f"near{number}", (0.8, 0.6, 0.01 * number)) for number in range(1, 7)]


def test_a_dropped_memory_counts_as_found_by_its_survivor() -> None:
    found = proof(store(A, B, memory("c", (0, 0, 1))), (A, BETWEEN, B))
    assert (found.queries, found.at_1, found.at_k, found.lost) == (2, 1.0, 1.0, ())


def test_each_lost_hit_is_told_with_its_ranks() -> None:
    found = proof(store(A, B, *NEAR_B), (A, BETWEEN, B))
    assert (found.at_1, found.at_k) == (0.5, 0.5)
    [lost] = found.lost
    assert (lost.memory, lost.survivor, lost.before, lost.after) == ("notes/b", "notes/a", 1, 7)


def test_more_places_find_more() -> None:
    assert proof(store(A, B, *NEAR_B), (A, BETWEEN, B), k=7).at_k == 1.0


def test_the_survivors_own_old_form_is_asked_for_too() -> None:
    others = [memory(f"near{number}", (1, 0.01 * number, 0)) for number in range(1, 7)]
    found = proof(store(A, B, *others), (A, FAR, B))
    assert {lost.memory for lost in found.lost} == {"notes/a", "notes/b"}


def test_what_was_not_found_before_is_no_loss() -> None:
    louder = [memory(f"loud{number}", (9, number, 0)) for number in range(6)]
    found = proof(store(A, B, *louder, metric="ip"), (A, FAR, B))
    assert (found.queries, found.at_k, found.lost) == (2, 1.0, ())


@pytest.mark.parametrize(("metric", "kept"), [("cosine", True), ("l2", False)])
def test_a_collections_own_metric_decides(metric: str, kept: bool) -> None:
    stretched = replace(A, embedding=np.array((90, 1, 0), np.float32))
    others = [memory(f"o{number}", (0.9, 0.3, 0.01 * number)) for number in range(6)]
    found = proof(store(A, memory("b", (1, 0.001, 0)), *others, metric=metric), (A, stretched, memory("b")))
    assert (found.lost == ()) is kept


def test_another_collections_memories_stand_before_nobody() -> None:
    elsewhere = [replace(record, key=Key("other", record.key.id)) for record in NEAR_B]
    assert proof(store(A, B, *elsewhere), (A, BETWEEN, B)).lost == ()


def test_a_survivor_in_another_collection_is_not_found_in_the_first() -> None:
    moved = memory("m", (1, 0, 0), collection="other")
    found = proof(store(A, moved), (A, A, moved))
    assert [(lost.memory, lost.after) for lost in found.lost] == [("other/m", None)]


@pytest.mark.parametrize("state", [State.DELETED, State.SUPERSEDED])
def test_what_no_search_returns_is_neither_asked_nor_in_the_way(state: State) -> None:
    hidden = [replace(record, state=state) for record in NEAR_B]
    found = proof(store(A, B, *hidden), (A, BETWEEN, B))
    assert (found.queries, found.lost) == (2, ())
    assert proof(store(A, replace(B, state=state)), (A, A, B)).queries == 1


def test_vectors_of_another_dimension_or_without_direction_are_left_out() -> None:
    odd = [memory("short", (1, 0)), memory("zero", (0, 0, 0)), memory("nan", (np.nan, 0, 0))]
    assert proof(store(A, B, *odd), (A, BETWEEN, B)).lost == ()


def test_a_member_with_a_vector_is_lost_when_its_survivor_has_none_to_find() -> None:
    nothing = replace(A, embedding=np.zeros(3, np.float32))
    found = proof(store(A, B), (A, nothing, B))
    assert [lost.after for lost in found.lost] == [None, None]


def test_without_vectors_words_are_compared() -> None:
    one, other = memory("a", text="Ann likes green tea."), memory("b", text="Ann likes tea and old gates.")
    fillers = [memory(f"f{number}", text=f"Ann likes tea and old gates {number}.") for number in range(6)]
    whole = replace(one, text="Ann likes green tea. Ann likes tea and old gates.")
    assert proof(store(one, other, *fillers), (one, whole, other)).lost == ()
    assert [lost.memory for lost in proof(store(one, other, *fillers), (one, one, other)).lost] == ["notes/b"]


def test_vectors_that_a_rehearsal_does_not_make_are_told_and_not_counted() -> None:
    found = proof(store(A, B), (A, FAR, B), pending=[A.key])
    assert (found.queries, found.lost) == (0, ())
    assert "2 memories cannot be asked for yet" in found.notes[0]


def test_nothing_to_prove_is_no_proof() -> None:
    assert prove(store(A, B), Changes(delete=(Ref(A.key, ""),)), [(A.key,)], ProofOptions(), Progress()) is None


def test_it_can_be_stopped() -> None:
    cancel = Cancel()
    cancel.set()
    changes, units = merging((A, BETWEEN, B))
    with pytest.raises(Cancelled):
        prove(store(A, B, *NEAR_B), changes, units, ProofOptions(), Progress(cancel=cancel))


@given(seed=st.integers(0, 2**32), metric=st.sampled_from(["cosine", "l2", "ip"]))
def test_ranks_are_those_of_two_whole_searches(seed: int, metric: str) -> None:
    rng = np.random.default_rng(seed)
    records = [memory(f"r{number:02}", rng.normal(size=3).tolist()) for number in range(24)]
    groups = [tuple(records[start : start + 3]) for start in (0, 3, 6)]
    merged = []
    for group in groups:
        vectors: list[Vector] = [each.embedding for each in group if each.embedding is not None]
        merged.append((group[0], replace(group[0], embedding=mean_vector(vectors, metric)), *group[1:]))
    before = store(*records, metric=metric)
    found = proof(before, *merged, k=3)
    after = [each[1] for each in merged] + records[9:]

    def rank(query: MemoryRecord, wanted: Key, among: list[MemoryRecord]) -> int:
        q = np.asarray(query.embedding, np.float64)
        near = {}
        for each in among:
            x = np.asarray(each.embedding, np.float64)
            cosine = float(x @ q / np.linalg.norm(x) / np.linalg.norm(q))
            near[each.key] = {"cosine": cosine, "l2": -float(((x - q) ** 2).sum()), "ip": float(x @ q)}[metric]
        return 1 + sum(value > near[wanted] + 1e-5 for value in near.values())

    ranks = [(rank(each, each.key, records), rank(each, group[0].key, after)) for group in groups for each in group]
    assert found.at_k == pytest.approx(
        sum(b <= 3 and a <= 3 for b, a in ranks) / max(1, sum(b <= 3 for b, _ in ranks)) if ranks else 1
    )
    assert sorted((lost.before, lost.after) for lost in found.lost) == sorted(
        (b, a) for b, a in ranks if b <= 3 and a > 3
    )


# ── the person's own queries ─────────────────────────────────────────────────────────────────────────────


def facing(*vector: float) -> object:
    """A model that sees every query there."""
    return lambda texts, neighbours: np.array([vector] * len(texts), np.float32)


def test_own_queries_keep_what_they_found() -> None:
    found = proof(store(A, B), (A, BETWEEN, B), queries=(Query("Where?"),), embed=facing(0.8, 0.6, 0))
    assert found.own and (found.own.queries, found.own.at_1, found.own.at_k) == (1, 1.0, 1.0)


def test_an_own_query_that_loses_a_hit_is_named() -> None:
    found = proof(store(A, B, *NEAR_B), (A, FAR, B), queries=(Query("Where?"),), embed=facing(0.8, 0.6, 0))
    assert found.own and found.own.at_k == 0.8
    assert [(lost.query, lost.memory, lost.before) for lost in found.lost][:1] == [("Where?", "notes/b", 1)]
    assert found.lowest <= 0.8


@pytest.mark.parametrize(("expected", "lost"), [("b", True), ("notes/b", True), ("near1", False)])
def test_only_what_is_expected_counts(expected: str, lost: bool) -> None:
    queries = (Query("Where?", (expected,)),)
    found = proof(store(A, B, *NEAR_B), (A, FAR, B), queries=queries, embed=facing(0.8, 0.6, 0))
    assert found.own and (found.own.at_k < 1) is lost


def test_an_expected_memory_that_was_merged_earlier_is_its_survivor() -> None:
    survivor = replace(B, metadata={MERGED_FROM: ["long-gone"]})
    queries = (Query("Where?", ("long-gone",)),)
    found = proof(store(A, survivor, *NEAR_B), (A, FAR, survivor), queries=queries, embed=facing(0.8, 0.6, 0))
    assert found.own and found.own.at_k == 0.0


def test_an_expectation_that_is_not_met_even_now_is_told() -> None:
    queries = (Query("Where?", ("nowhere",)),)
    found = proof(store(A, B), (A, BETWEEN, B), queries=queries, embed=facing(1, 0, 0))
    assert "1 of your queries does not find what you expect" in found.notes[0]


def test_a_query_loses_a_memory_that_is_dropped_for_good() -> None:
    changes = Changes(delete=(Ref(A.key, ""),))
    options = ProofOptions(queries=(Query("Where?"),))
    found = prove(store(A, B), changes, [(A.key,)], options, Progress(), embed=facing(1, 0, 0))  # type: ignore[arg-type]
    assert found and [(lost.memory, lost.after) for lost in found.lost] == [("notes/a", None)]


def missing(texts: object, neighbours: object) -> np.ndarray:
    raise ModelUnavailable("There is no such model.")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"embed": missing}, "There is no such model."),
        ({"embed": facing(1, 0, 0), "by_words": True}, "no model was wanted"),
    ],
)
def test_words_stand_in_for_a_model_and_that_is_said(options: dict[str, object], why: str) -> None:
    one, other = replace(A, text="Ann likes green tea."), replace(B, text="The gate is old.")
    others = [replace(NEAR_B[number], text=f"The gate has colour {number}.") for number in range(5)]
    found = proof(store(one, other, *others), (one, one, other), queries=(Query("old gate"),), **options)
    assert why in found.notes[0]
    assert [(lost.query, lost.memory) for lost in found.lost] == [("old gate", "notes/b"), ("notes/b", "notes/b")]


# ── days, tags, types ────────────────────────────────────────────────────────────────────────────────────


def test_the_day_of_a_member_no_longer_leads_to_its_survivor() -> None:
    one, other = replace(A, created=1.7e9), replace(B, created=1.7e9 + 3 * DAY)
    found = proof(store(one, other), (one, replace(BETWEEN, created=1.7e9), other))
    [lost] = found.days_lost
    assert (lost.memory, lost.survivor) == ("notes/b", "notes/a")
    assert (lost.was, lost.now) == (day(1.7e9 + 3 * DAY), day(1.7e9))


def test_a_memory_of_the_same_day_or_of_no_day_loses_none() -> None:
    noon = time.mktime((2024, 5, 17, 12, 0, 0, 0, 0, -1))
    one, other, timeless = replace(A, created=noon), replace(B, created=noon + 3_600), memory("c", (1, 0, 0))
    assert proof(store(one, other, timeless), (one, one, other, timeless)).days_lost == ()


def test_tags_that_are_not_united_are_lost_but_for_the_mark_that_a_merge_resolves() -> None:
    one, other = replace(A, tags=("x",)), replace(B, tags=("x", "y", CONFLICT_TAG))
    assert [lost.was for lost in proof(store(one, other), (one, one, other)).tags_lost] == ["y"]
    united = replace(one, tags=("x", "y"))
    assert proof(store(one, other), (one, united, other)).tags_lost == ()


def test_a_members_type_no_longer_leads_to_its_survivor() -> None:
    one, other = replace(A, metadata={"memory_type": "note"}), replace(B, metadata={"memory_type": "task"})
    [lost] = proof(store(one, other), (one, one, other)).types_lost
    assert (lost.memory, lost.was, lost.now) == ("notes/b", "task", "note")


def test_a_type_that_stands_under_two_keys_is_lost_once() -> None:
    one = replace(A, metadata={"memory_type": "note", "type": "note"})
    other = replace(B, metadata={"memory_type": "task", "type": "task"})
    assert [(lost.was, lost.now) for lost in proof(store(one, other), (one, one, other)).types_lost] == [
        ("task", "note")
    ]


# ── refusing ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("least", "refused"), [(0.0, False), (0.5, False), (0.51, True), (1.0, True)])
def test_a_plan_is_refused_below_the_wanted_share(least: float, refused: bool) -> None:
    found = proof(store(A, B, *NEAR_B), (A, BETWEEN, B))
    assert bool(shortfall(found, ProofOptions(min_recall=least))) is refused


def test_a_refusal_names_the_figures_and_the_first_loss() -> None:
    message = shortfall(proof(store(A, B, *NEAR_B), (A, BETWEEN, B)), ProofOptions(min_recall=0.99))
    assert "50.0%" in message and "99.0%" in message and "notes/b" in message
    assert "--min-recall" in SearchLoss(message).todo


def test_the_figures_for_the_history_hold_no_text() -> None:
    found = proof(store(A, B, *NEAR_B), (A, BETWEEN, B), queries=(Query("Where?"),))
    figures = found.figures()
    assert (figures["at_k"], figures["lost"], figures["own"]["queries"]) == (0.5, len(found.lost), 1)
    assert "Where?" not in str(figures) and "notes/" not in str(figures)
