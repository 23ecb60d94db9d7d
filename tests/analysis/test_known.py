"""What one store holds of another already."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.apart import Apart, content_key, pair_of
from memdefrag.analysis.detect import analyze
from memdefrag.analysis.known import Known, Standing, as_dict, counts, known
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.pair_cache import PairCache
from memdefrag.analysis.result import Analysis
from memdefrag.model.records import MemoryRecord
from tests.analysis.test_detect import TEA, far, memory, near, snapshot

PORT = "The staging server listens on port 8080."


def against(new: list[MemoryRecord], old: list[MemoryRecord], **more: object) -> Analysis:
    options = AnalysisOptions(against=1, **more)  # type: ignore[arg-type]
    return analyze([snapshot(*new, address="new"), snapshot(*old, address="old")], options)


def standings(found: Analysis, threshold: float | None = None) -> dict[str, str]:
    return {found.records[each.member].key.id: each.standing.value for each in known(found, threshold)}


def test_every_memory_has_one_standing() -> None:
    new = [
        memory("same", TEA, near(1)),
        memory("sure", "Note: " + TEA, near(1)),
        memory("likely", "It is green tea that Maria drinks each morning, or so they say.", near(1)),
        memory("contradicts", PORT, far(5)),
        memory("new", "Rain", far(4)),
    ]
    old = [memory("tea", TEA, near(1)), memory("port", PORT.replace("8080", "8081"), far(5))]
    found = against(new, old)
    assert standings(found, 0.75) == {name: name for name in ("same", "sure", "likely", "contradicts", "new")}
    listed = known(found, 0.75)
    assert list(counts(listed).values()) == [1, 1, 1, 1, 1]
    partners = [None if each.partner is None else found.records[each.partner].key.id for each in listed]
    assert partners == ["tea", "tea", "tea", "port", None]


def test_memories_of_one_side_are_not_compared_with_each_other() -> None:
    new = [memory("a", TEA, near(1)), memory("b", TEA, near(1)), memory("c", "Note: " + TEA, near(1))]
    old = [memory("d", "Rain", far(2)), memory("e", "Rain", far(2)), memory("f", "The port is 1.", far(3))]
    found = against(new, old)
    assert found.groups(0.0) == []
    assert found.conflicts(0.0) == []
    assert set(standings(found).values()) == {"new"}


def test_each_of_several_copies_is_there_already() -> None:
    found = against([memory(str(n), TEA, near(1)) for n in range(3)], [memory("d", TEA, near(1))])
    assert set(standings(found).values()) == {"same"}


def test_a_family_too_large_to_be_paired_is_known_word_for_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memdefrag.analysis.candidates.FAMILY", 3)
    found = against([memory(f"n{n}", TEA) for n in range(7)], [memory("d", TEA)])
    assert counts(known(found))[Standing.SAME] == 7


def test_several_stores_can_be_compared_with_one() -> None:
    stores = [snapshot(memory("a", TEA)), snapshot(memory("b", TEA)), snapshot(memory("c", TEA))]
    found = analyze(stores, AnalysisOptions(against=2))
    assert [(each.member, each.standing, each.partner) for each in known(found)] == [
        (0, Standing.SAME, 2),
        (1, Standing.SAME, 2),
    ]
    assert all(2 in found.store[list(group.members)] for group in found.groups())


def test_what_was_on_the_known_side_the_last_time_is_compared_when_it_is_on_the_other(tmp_path: Path) -> None:
    cache, options = PairCache(tmp_path), AnalysisOptions(against=1)
    tea, note = memory("tea", TEA, near(1)), memory("note", "Note: " + TEA, near(1))
    rain = memory("rain", "Rain", far(3))
    for new, old, expected in (([rain], [tea, note], {"rain": "new"}), ([tea], [rain, note], {"tea": "sure"})):
        found = analyze([snapshot(*new, address="new"), snapshot(*old, address="old")], options, cache=cache)
        assert standings(found) == expected


def test_what_was_told_apart_is_new_unless_it_is_the_very_same() -> None:
    key, other = content_key(TEA), content_key("Note: " + TEA)
    apart = Apart(frozenset({pair_of(key, other), (key, key)}))
    found = against([memory("a", "Note: " + TEA), memory("b", TEA)], [memory("d", TEA)], apart=apart)
    assert standings(found) == {"a": "new", "b": "same"}


def test_another_users_memory_is_not_there_already() -> None:
    found = against([memory("a", TEA, near(1), owner="ann")], [memory("b", TEA, near(1), owner="bob")])
    assert standings(found) == {"a": "new"}
    both = [memory("b", TEA, near(1), owner="bob"), memory("c", "Note: " + TEA, near(1))]
    assert standings(against([memory("a", TEA, near(1), owner="ann")], both)) == {"a": "new"}


@pytest.mark.parametrize("owners", [("ann", None), (None, "ann")])
def test_where_one_side_knows_no_owners_they_do_not_matter(owners: tuple[str | None, str | None]) -> None:
    new = [memory("same", TEA, near(1), owner=owners[0]), memory("sure", "Note: " + TEA, near(1), owner=owners[0])]
    found = against(new, [memory("b", TEA, near(1), owner=owners[1])])
    assert standings(found) == {"same": "same", "sure": "sure"}


def test_what_another_model_embedded_is_known_by_its_words() -> None:
    new = snapshot(memory("a", "Maria loves green tea in the morning!", near(1)), address="new", models={"notes": "x"})
    old = snapshot(memory("b", TEA, far(2)[:8]), address="old", models={"notes": "y"})
    [each] = known(analyze([new, old], AnalysisOptions(against=1)), 0.75)
    assert each.standing in (Standing.SURE, Standing.LIKELY)


def test_the_more_alike_of_two_decides_between_likely_and_contradicting() -> None:
    new = [memory("a", PORT, near(1))]
    near_by = memory("b", "The staging server really listens somewhere on some port.", near(3))
    found = against(new, [near_by, memory("c", PORT.replace("8080", "8081"), near(1))])
    assert standings(found) == {"a": "contradicts"}


def test_json_names_both_and_says_why() -> None:
    found = against([memory("a", TEA), memory("n", "Rain")], [memory("d", TEA.upper())])
    told = as_dict(found, known(found))
    assert told["counts"] == {"same": 0, "sure": 1, "likely": 0, "contradicts": 0, "new": 1}
    sure, new = told["memories"]
    assert (sure["member"], sure["is"], sure["partner"]) == ("1:notes/a", "sure", "2:notes/d")
    assert sure["reasons"] == ["same words; only case, spaces or punctuation differ"]
    assert new == {"member": "1:notes/n", "is": "new"}


TEXTS = st.sampled_from([TEA, TEA.upper(), "Note: " + TEA, PORT, PORT.replace("8080", "8081"), "Rain", ""])


@given(st.lists(TEXTS, max_size=7), st.lists(TEXTS, max_size=7))
def test_all_new_memories_are_listed_once_and_partners_are_of_the_other_side(new: list[str], old: list[str]) -> None:
    found = against(
        [memory(f"n{n}", text, near(n)) for n, text in enumerate(new)],
        [memory(f"o{n}", text, near(n)) for n, text in enumerate(old)],
    )
    listed: list[Known] = known(found)
    assert sorted(each.member for each in listed) == [at for at in range(len(found.records)) if not found.store[at]]
    assert sum(counts(listed).values()) == len(listed)
    for each in listed:
        assert (each.partner is None) is (each.standing is Standing.NEW)
        assert each.partner is None or found.store[each.partner] == 1
        text = found.records[each.member].text
        assert (each.standing is Standing.SAME) is (bool(text) and text in old)
    for group in found.groups(0.0):
        assert {int(found.store[member]) for member in group.members} == {0, 1}
        assert len(group.members) == 2
