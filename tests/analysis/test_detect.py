from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis import guard
from memdefrag.analysis.detect import analyze
from memdefrag.analysis.guard import differences
from memdefrag.analysis.language.words import Words
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.result import Analysis
from memdefrag.base.errors import Cancelled
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot, State, Vector

TEA = "Maria likes green tea in the morning."


def near(seed: int, noise: float = 0.1) -> Vector:
    """A vector near the one axis; noise 0.1 in 16 dimensions leaves cosines of about 0.9."""
    vector = np.random.default_rng(seed).normal(size=16) * noise
    vector[0] += 1
    return vector.astype(np.float32)


def far(seed: int) -> Vector:
    return np.random.default_rng(seed).normal(size=16).astype(np.float32)


def memory(
    id: str, text: str | None, vector: Vector | None = None, collection: str = "notes", **more: object
) -> MemoryRecord:
    return MemoryRecord(Key(collection, id), text, embedding=vector, **more)  # type: ignore[arg-type]


def snapshot(*records: MemoryRecord, address: str = "here", models: dict[str, str] | None = None) -> Snapshot:
    names = sorted({record.key.collection for record in records})
    infos = tuple(CollectionInfo(name, 0, 0, 0, model=(models or {}).get(name)) for name in names)
    return Snapshot(address, infos, records)


def grouped(analysis: Analysis, threshold: float | None = None) -> set[frozenset[str]]:
    return {frozenset(analysis.records[k].key.id for k in group.members) for group in analysis.groups(threshold)}


def test_equal_texts_are_one_sure_group_whatever_their_vectors() -> None:
    found = analyze([snapshot(memory("a", TEA, far(1)), memory("b", TEA.upper(), far(2)), memory("c", "Rain", far(3)))])
    (group,) = found.groups()
    assert group.members == (0, 1)
    assert (group.tier, group.score, group.sure) == ("sure", 1.0, ((0, 1),))


def test_texts_that_differ_in_a_set_phrase_are_sure_whatever_their_vectors() -> None:
    found = analyze([snapshot(memory("a", TEA, far(1)), memory("b", "Note: " + TEA, far(2)))])
    (group,) = found.groups()
    assert (group.members, group.tier) == ((0, 1), "sure")


def test_similar_vectors_and_words_are_a_likely_group() -> None:
    other = "Maria really loves green tea in the morning."
    found = analyze([snapshot(memory("a", TEA, near(1)), memory("b", other, near(2)), memory("c", "Rain", far(3)))])
    (group,) = found.groups()
    assert (group.members, group.tier, group.sure) == ((0, 1), "likely", ())
    cosine = near(1) @ near(2) / np.linalg.norm(near(1)) / np.linalg.norm(near(2))
    assert group.cosine == pytest.approx(float(cosine), abs=1e-5)
    assert found.groups(1.0) == []


def test_a_contradiction_is_a_conflict_with_the_newer_first_and_never_a_group() -> None:
    old = memory("old", "The staging server listens on port 8080.", near(1), created=1.0)
    new = memory("new", "The staging server listens on port 8081.", near(1), created=1.0, updated=9.0)
    found = analyze([snapshot(old, new)])
    assert found.groups(0.0) == []
    (conflict,) = found.conflicts()
    assert [found.records[k].key.id for k in conflict.members] == ["new", "old"]
    assert conflict.differs_in == ("port: 8080 → 8081",)
    assert found.conflicts(limit=0) == []
    (undated,) = analyze([snapshot(replace(old, created=None), replace(new, created=None, updated=None))]).conflicts()
    assert undated.differs_in == ("port: 8080 / 8081",)
    assert found.conflicts(1.0) == []


def test_what_tells_two_apart_is_worked_out_once_however_often_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    old = memory("old", "The staging server listens on port 8080.", near(1), created=1.0)
    new = memory("new", "The staging server listens on port 8081.", near(1), created=2.0)
    found = analyze([snapshot(old, new)])
    first = found.conflicts()
    monkeypatch.setattr(guard, "differences", lambda a, b: pytest.fail("worked out again"))
    assert found.conflicts() == first and len(found.as_dict()["conflicts"]) == 1


def test_a_group_with_a_sure_part_names_it() -> None:
    records = [
        memory("a", TEA, near(1)),
        memory("b", "Note: " + TEA, near(1)),
        memory("c", "Maria really loves green tea in the morning.", near(2)),
    ]
    (group,) = analyze([snapshot(*records)]).groups()
    assert (group.members, group.tier, group.sure) == ((0, 1, 2), "likely", ((0, 1),))


@pytest.mark.parametrize("state", [State.DELETED, State.SUPERSEDED, State.CHUNK])
def test_only_live_records_take_part(state: State) -> None:
    found = analyze([snapshot(memory("a", TEA, near(1)), memory("b", TEA, near(1), state=state))])
    assert len(found.records) == 1
    assert found.groups() == []


def test_records_of_different_owners_are_never_compared() -> None:
    owners = ["ann", "bob", None]
    records = [memory(str(k), TEA, near(1), owner=owner) for k, owner in enumerate(owners)]
    assert analyze([snapshot(*records)]).groups(0.0) == []


def test_memories_with_vectors_of_different_models_are_compared_by_their_words_alone() -> None:
    one = memory("a", TEA, near(1))
    other = memory("b", "Maria really loves green tea in the morning.", near(2), collection="more")
    assert grouped(analyze([snapshot(one, other)])) == {frozenset("ab")}
    [group] = analyze([snapshot(one, other, models={"notes": "x", "more": "y"})]).groups(0.0)
    assert group.cosine is None
    unlike = memory("b", "Quite another sentence about rain.", near(1), collection="more")
    assert len(analyze([snapshot(one, unlike)]).pairs) == 1
    assert len(analyze([snapshot(one, unlike, models={"notes": "x", "more": "y"})]).pairs) == 0


def test_collections_can_be_kept_apart() -> None:
    records = snapshot(memory("a", TEA, near(1)), memory("b", TEA, near(1), collection="more"))
    assert len(analyze([records]).groups()) == 1
    assert analyze([records], AnalysisOptions(across_collections=False)).groups(0.0) == []


def test_records_without_a_usable_vector_take_part_by_their_text() -> None:
    wide = np.ones(3, np.float32)
    records = [
        memory("a", TEA, near(1)),
        memory("b", "Maria likes green tea in the mornings", None),
        memory("c", "Maria likes green tea in mornings!", np.full(16, np.nan, np.float32)),
        memory("d", "Something else is said here", wide),
    ]
    found = analyze([snapshot(*records)])
    assert grouped(found) == {frozenset("abc")}
    assert found.groups()[0].cosine is None


def test_vectors_can_be_left_out() -> None:
    records = snapshot(memory("a", "Maria likes tea", near(1)), memory("b", "A quite different sentence", near(1)))
    assert len(analyze([records]).pairs) == 1
    assert len(analyze([records], AnalysisOptions(use_vectors=False)).pairs) == 0


def test_records_without_text_are_compared_by_their_vectors_but_never_sure() -> None:
    found = analyze([snapshot(memory("a", None, near(1)), memory("b", "  ", near(1)), memory("c", None, far(2)))])
    (group,) = found.groups()
    assert (group.members, group.tier) == ((0, 1), "likely")


def test_nothing_to_analyse() -> None:
    for found in (analyze([]), analyze([snapshot()]), analyze([snapshot(memory("a", TEA, near(1)))])):
        assert found.groups() == []
        assert found.conflicts() == []
        assert len(found.grouping()) == 0


def test_thousands_of_equal_texts_are_one_group() -> None:
    vector = near(1)
    found = analyze([snapshot(*(memory(str(k), TEA, vector) for k in range(5_000)))])
    assert len(found.pairs) == 0
    assert [len(group.members) for group in found.groups()] == [5_000]


def test_cancel_in_any_phase_raises() -> None:
    records = snapshot(memory("a", TEA, near(1)), memory("b", TEA + " Yes.", near(2)), memory("c", TEA + " No.", None))
    phases: list[str] = []
    analyze([records], progress=Progress(lambda tick: phases.append(tick.phase)))
    for phase in dict.fromkeys(phases):
        cancel = Cancel()

        def listener(tick: Tick, phase: str = phase, cancel: Cancel = cancel) -> None:
            if tick.phase == phase and tick.done == 0:
                cancel.set()

        if phase != "Grouping":
            with pytest.raises(Cancelled):
                analyze([records], progress=Progress(listener, cancel))


RECORDS = st.lists(
    st.tuples(
        st.sampled_from([TEA, "Maria likes tea", "Maria likes teas", "Maria likes 3 teas", "Maria likes 4 teas", ""]),
        st.one_of(st.none(), st.integers(0, 5)),
        st.sampled_from([None, "ann"]),
    ),
    max_size=14,
)


@given(RECORDS, st.floats(0, 1))
def test_groups_at_any_threshold(rows: list[tuple[str, int | None, str | None]], threshold: float) -> None:
    records = [
        memory(str(k), text, None if seed is None else near(seed), owner=owner)
        for k, (text, seed, owner) in enumerate(rows)
    ]
    found = analyze([snapshot(*records)])
    groups = found.groups(threshold)
    everyone = [member for group in groups for member in group.members]
    assert len(everyone) == len(set(everyone))
    for group in groups:
        assert len(group.members) > 1
        assert len({found.records[member].owner for member in group.members}) == 1
        in_cliques = [member for clique in group.sure for member in clique]
        assert len(in_cliques) == len(set(in_cliques))
        assert set(in_cliques) <= set(group.members)
        assert (group.tier == "sure") == (set(group.sure) == {group.members})
        nodes = sorted({int(found.node[member]) for member in group.members})
        for at, one in enumerate(nodes):
            for other in nodes[at + 1 :]:
                pair = found.pairs.find(one, other)
                assert pair is not None and not found.pairs.barred[pair]
                assert found.pairs.score[pair] >= max(np.float32(threshold), np.float32(group.score))
    grouping = found.grouping(threshold)
    by_label = {n: tuple(np.flatnonzero(grouping.label == n).tolist()) for n in range(len(grouping))}
    assert sorted(by_label.values()) == sorted(group.members for group in groups)
    tiers = {members: (bool(grouping.sure[n]), float(grouping.score[n])) for n, members in by_label.items()}
    assert tiers == {group.members: (group.tier == "sure", group.score) for group in groups}
    assert grouping.size.tolist() == [len(members) for members in by_label.values()]


def test_reasons_say_why() -> None:
    records = [
        memory("a", TEA, near(1)),
        memory("b", TEA, near(1)),
        memory("c", TEA.upper(), near(1)),
        memory("d", "[2024-01-01] " + TEA, near(1)),
        memory("e", TEA + " She owns a shop.", near(1)),
        memory("f", "Maria loves green tea in the morning.", near(2)),
        memory("g", "Rain", far(3)),
        memory("h", "Maria enjoys green tea in the mornnig.", near(1)),
    ]
    found = analyze([snapshot(*records)])
    assert found.reasons(0, 1) == ["the same text"]
    assert found.reasons(0, 2) == ["same words; only case, spaces or punctuation differ"]
    assert found.reasons(0, 3) == ["same words; only a time stamp or a set phrase around them differs"]
    assert found.reasons(0, 4) == [
        "all that the shorter one says stands in the longer one",
        "1.00 similar in meaning, 100 % of the words the same",
    ]
    likeness, difference = found.reasons(0, 5)
    assert likeness.endswith("% of the words the same")
    assert difference == "word: likes / loves"
    assert found.reasons(0, 6) == []
    assert found.reasons(0, 7)[1] == "taken for the same word: likes / enjoys, morning / mornnig"


FACTS = st.lists(
    st.tuples(
        st.sampled_from(["Maria", "John", "maria", "The office"]),
        st.sampled_from(["has", "does not have", "had"]),
        st.sampled_from(["3 cats", "4 cats", "three cats", "a cat on port 80", "a cat since 2024-01-05"]),
        st.one_of(st.none(), st.floats(1, 9)),
    ),
    max_size=10,
)


@given(FACTS, st.sampled_from([0.7, 0.85, 0.95]))
def test_what_contradicts_is_listed_by_time_and_never_grouped(
    facts: list[tuple[str, str, str, float | None]], threshold: float
) -> None:
    records = [memory(str(k), " ".join(fact[:3]), near(k), created=fact[3]) for k, fact in enumerate(facts)]
    found = analyze([snapshot(*records)])
    groups = found.groups(threshold)
    for group in groups:
        words = [Words.of(found.records[member].text or "") for member in group.members]
        assert not any(told.bars for one in words for other in words for told in differences(one, other))
    conflicts = found.conflicts(threshold)
    times = [[found.records[member].created or 0.0 for member in conflict.members] for conflict in conflicts]
    assert all(newer >= older for newer, older in times)
    assert [newer for newer, _ in times] == sorted((newer for newer, _ in times), reverse=True)
    for conflict, (newer, older) in zip(conflicts, times, strict=True):
        assert conflict.differs_in
        assert (" → " in conflict.differs_in[0]) == (newer != older)
        assert not any(set(conflict.members) <= set(group.members) for group in groups)


def test_group_ids_depend_on_the_members_alone() -> None:
    a, b, c = memory("a", TEA, near(1)), memory("b", TEA, near(1)), memory("c", "Rain", far(3))
    (one,) = analyze([snapshot(a, b, c)]).groups()
    (other,) = analyze([snapshot(c, b, a)]).groups(0.99)
    (third,) = analyze([snapshot(a, b, c, address="there")]).groups()
    assert one.id == other.id != third.id


def test_json_follows_the_contract() -> None:
    records = [
        memory("a", TEA, near(1), created=1.0),
        memory("b", TEA, near(1), created=2.0),
        memory("c", "The server listens on port 8080.", far(4)),
        memory("d", "The server listens on port 8081.", far(4)),
    ]
    found = analyze([snapshot(*records)]).as_dict(0.8)
    assert json.loads(json.dumps(found)) == found
    assert found["stores"] == ["here"]
    assert (found["count"], found["threshold"]) == (4, 0.8)
    (group,) = found["groups"]
    assert group["members"] == ["b", "a"]
    assert (group["tier"], group["sure"], group["score"]) == ("sure", [["a", "b"]], 1.0)
    assert group["reasons"] == [{"members": ["b", "a"], "text": "the same text"}]
    (conflict,) = found["conflicts"]
    assert conflict["members"] == ["c", "d"]
    assert conflict["differs_in"] == ["port: 8080 / 8081"]


def test_names_tell_collections_and_stores_apart() -> None:
    one, other = memory("a", TEA), memory("a", TEA, collection="more")
    assert [analyze([snapshot(one, other)]).name(k) for k in (0, 1)] == ["notes/a", "more/a"]
    assert [analyze([snapshot(one), snapshot(one)]).name(k) for k in (0, 1)] == ["1:notes/a", "2:notes/a"]


@pytest.mark.slow
def test_the_labelled_set_keeps_its_figures(shared: Path) -> None:
    pytest.importorskip("sentence_transformers")
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    try:
        from tests.bench.quality import DevSet, ours
    finally:
        sys.path.pop(0)
    dev = DevSet(shared / "quality")
    sure, suggested = map(dev.score, ours(analyze([dev.snapshot()])))
    assert sure["pair_precision"] >= 0.99
    assert sure["pair_recall"] >= 0.50
    assert sure["harm_conflict"] <= 0.005
    assert sure["harm_distinct"] <= 0.01
    assert sure["dirty_clusters"] <= 0.01
    assert suggested["pair_f1"] >= 0.88
    assert suggested["bcubed_f1"] >= 0.955
    assert suggested["harm_conflict"] <= 0.04
    assert suggested["harm_distinct_without_paws"] <= 0.12
    assert suggested["dirty_clusters"] <= 0.13
    assert suggested["largest_cluster"] <= 10
