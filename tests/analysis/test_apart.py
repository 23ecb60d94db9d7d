"""Texts that were told apart are never one group and no contradiction."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.apart import Apart, content_key, pair_of
from memdefrag.analysis.detect import analyze
from memdefrag.analysis.options import AnalysisOptions, Method
from tests.analysis.test_detect import TEA, far, grouped, memory, near, snapshot

NOTE, MORE = "Note: " + TEA, "Maria really loves green tea in the morning."


def apart(*pairs: tuple[str, str]) -> AnalysisOptions:
    return AnalysisOptions(apart=Apart(frozenset(pair_of(content_key(a), content_key(b)) for a, b in pairs)))


@pytest.mark.parametrize("method", Method)
def test_what_was_told_apart_is_one_group_by_no_method(method: Method) -> None:
    records = snapshot(memory("a", TEA, near(1)), memory("b", NOTE, near(1)), memory("c", TEA.upper(), near(1)))
    options = AnalysisOptions(apart=apart((TEA, NOTE), (TEA, TEA)).apart, method=method)
    for group in grouped(analyze([records], options), 0.0):
        assert not group >= frozenset("ab")
        assert not group >= frozenset("ac")


def test_what_was_told_apart_does_not_contradict_either() -> None:
    old, new = "The server listens on port 8080.", "The server listens on port 8081."
    records = snapshot(memory("a", old, near(1)), memory("b", new, near(1)))
    assert len(analyze([records]).conflicts()) == 1
    found = analyze([records], apart((old, new)))
    assert found.conflicts(0.0) == []
    assert found.groups(0.0) == []


def test_others_may_still_be_the_same() -> None:
    records = snapshot(memory("a", TEA, near(1)), memory("b", NOTE, near(1)), memory("c", TEA + "!", near(1)))
    assert grouped(analyze([records])) == {frozenset("abc")}
    assert grouped(analyze([records], apart((TEA, NOTE)))) <= {frozenset("ac"), frozenset("bc")}


def test_a_text_told_apart_from_itself_has_no_duplicates_among_its_copies() -> None:
    copies = [memory(str(n), text, far(n)) for n, text in enumerate([TEA, TEA, TEA.upper()])]
    assert analyze([snapshot(*copies)], apart((TEA, TEA))).groups(0.0) == []


def test_a_text_that_nothing_was_said_about_has_no_key() -> None:
    assert Apart().key(TEA) is None
    assert apart((TEA, NOTE)).apart.key(MORE) is None
    assert apart((TEA, NOTE)).apart.key(TEA.upper()) == content_key(TEA)


def test_the_keys_of_texts_stay_for_good() -> None:
    assert content_key("Grüße,  \n Welt! ①") == content_key("GRÜSSE, welt! 1")
    assert content_key("Tea") == "a9f74d1ec36ebdeb2da3f6e5868090cd2a2d20b3dcca7b62f60304b1d3d9ef42"


TEXTS = st.sampled_from([TEA, TEA.upper(), NOTE, MORE, "Maria likes tea at 8.", "Maria likes tea at 9.", "Rain"])


@given(st.lists(TEXTS, min_size=2, max_size=8), st.lists(st.tuples(TEXTS, TEXTS), max_size=5), st.floats(0, 1))
def test_no_group_and_no_conflict_ever_holds_two_texts_that_were_told_apart(
    texts: list[str], told: list[tuple[str, str]], threshold: float
) -> None:
    options = apart(*told)
    found = analyze([snapshot(*(memory(str(n), text, near(n)) for n, text in enumerate(texts)))], options)
    together = [group.members for group in found.groups(threshold)]
    together += [conflict.members for conflict in found.conflicts(threshold)]
    for members in together:
        for one, other in combinations(members, 2):
            assert pair_of(content_key(texts[one]), content_key(texts[other])) not in options.apart.pairs
