"""Other methods over the same pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.language.words import normalise
from memdefrag.analysis.methods import by_method, compared
from memdefrag.analysis.options import AnalysisOptions, Method
from memdefrag.analysis.result import Analysis
from memdefrag.cli.looking import By
from memdefrag.model.records import MemoryRecord
from tests.analysis.test_detect import TEA, far, grouped, memory, near, snapshot

RECORDS = [
    memory("a", TEA, near(1)),
    memory("b", TEA, near(2)),
    memory("c", TEA.upper(), near(3)),
    memory("d", "In the morning it is green tea that Maria likes.", near(4)),
    memory("e", "Maria likes green tea at 8 in the morning.", near(5)),
    memory("f", "Maria likes green tea at 9 in the morning.", near(6)),
    memory("g", "Rain", far(7)),
]


def pairs_of(found: Analysis, threshold: float | None = None) -> set[frozenset[str]]:
    return {frozenset(pair) for group in grouped(found, threshold) for pair in combinations(group, 2)}


def test_exact_is_the_same_text_to_the_letter() -> None:
    assert grouped(by_method(analyze([snapshot(*RECORDS)]), Method.EXACT), 0.0) == {frozenset("ab")}


def test_normalised_is_the_same_words() -> None:
    found = by_method(analyze([snapshot(*RECORDS)]), Method.NORMALISED)
    assert grouped(found, 0.0) == {frozenset("abc")}
    assert {group.tier for group in found.groups()} == {"sure"}


def test_vector_scores_the_cosine_alone() -> None:
    found = by_method(analyze([snapshot(*RECORDS)]), Method.VECTOR)
    assert np.array_equal(found.pairs.score, found.pairs.cosine)
    silent = by_method(analyze([snapshot(*RECORDS)], AnalysisOptions(use_vectors=False)), Method.VECTOR)
    assert len(silent.pairs) == 0


def test_fuzzy_scores_the_spelling_alone() -> None:
    swapped = snapshot(memory("a", "green tea", near(1)), memory("b", "tea green", near(2)))
    assert by_method(analyze([swapped]), Method.FUZZY).pairs.score.tolist() == [1.0]
    silent = snapshot(memory("a", None, near(1)), memory("b", None, near(2)))
    assert len(by_method(analyze([silent]), Method.FUZZY).pairs) == 0


@pytest.mark.parametrize("method", Method)
def test_contradictions_are_kept_apart_in_every_method(method: Method) -> None:
    for found in (
        analyze([snapshot(*RECORDS)], AnalysisOptions(method=method)),
        by_method(analyze([snapshot(*RECORDS)]), method),
    ):
        assert frozenset("ef") not in pairs_of(found, 0.0)
        assert found.options.method is method


@pytest.mark.parametrize("method", [Method.EXACT, Method.NORMALISED])
def test_equal_texts_are_found_without_looking_at_pairs(method: Method) -> None:
    direct = analyze([snapshot(*RECORDS)], AnalysisOptions(method=method))
    assert grouped(direct) == grouped(by_method(analyze([snapshot(*RECORDS)]), method))


TEXTS = st.sampled_from([TEA, TEA.upper(), "Note: " + TEA, "Tea is at 8.", "Tea is at 9.", "", "Rain"])


def records(texts: list[str]) -> list[MemoryRecord]:
    pieces = [{}, {"chunk_index": 0, "source": "x"}, {"chunk_index": 1, "source": "y"}]
    return [memory(str(n), text, near(n), metadata=pieces[n % 3]) for n, text in enumerate(texts)]


@given(st.lists(TEXTS, max_size=9), st.sampled_from(["exact", "normalised"]))
def test_equality_puts_together_no_more_than_what_is_equal(texts: list[str], method: str) -> None:
    found = by_method(analyze([snapshot(*records(texts))]), Method(method))
    for group in found.groups(0.0):
        said = {texts[member] if method == "exact" else normalise(texts[member]) for member in group.members}
        assert len(said) == 1
    whole = [member for member in range(len(texts)) if member % 3 == 0 and texts[member]]
    label = found.grouping(0.0).label
    for one, other in combinations(whole, 2):
        if texts[one] == texts[other]:
            assert label[one] == label[other] >= 0


def test_methods_are_compared_row_by_row() -> None:
    rows = {row.method: row for row in compared(analyze([snapshot(*RECORDS)]), 0.85)}
    assert list(rows) == list(Method)
    combined, exact, normalised = rows[Method.COMBINED], rows[Method.EXACT], rows[Method.NORMALISED]
    assert (exact.groups, exact.redundant, exact.together, exact.shared, exact.barred) == (1, 1, 1, 1, 0)
    assert (normalised.redundant, normalised.together, normalised.shared) == (2, 3, 3)
    assert combined.together == combined.shared == len(pairs_of(analyze([snapshot(*RECORDS)]), 0.85))
    assert combined.barred == 1
    assert exact.as_dict()["method"] == "exact"


def test_what_only_another_method_puts_together_is_not_counted_as_shared() -> None:
    found = analyze([snapshot(memory("a", "Tea is fine here", near(1)), memory("b", "Rain fell on Tea", near(1)))])
    rows = {row.method: row for row in compared(found, 0.95)}
    assert (rows[Method.VECTOR].together, rows[Method.VECTOR].shared) == (1, 0)


def test_nothing_is_compared_of_nothing() -> None:
    assert {row.together for row in compared(analyze([snapshot()]))} == {0}


def test_the_command_line_knows_the_same_methods() -> None:
    assert [by.value for by in By] == [method.value for method in Method]
