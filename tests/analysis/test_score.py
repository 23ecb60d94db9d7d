from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.score import LOWEST, SURE_SCORE, score
from memdefrag.analysis.similarity.pairs import Floats
from memdefrag.base.settings import CANDIDATE_COSINE, DEFAULT_THRESHOLD
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot

share = st.floats(0, 1, width=32)
known = st.tuples(share, share, share)


def one(value: float) -> Floats:
    return np.array([value], np.float32)


def of(cosine: float, words: float, spelling: float, replaced: bool = False) -> float:
    return float(score(one(cosine), one(words), one(spelling), np.array([replaced]))[0])


def scored(text: str, other: str, cosine: float) -> float:
    """What an analysis gives two texts whose vectors have this cosine."""
    vectors = np.array([[1, 0], [cosine, np.sqrt(1 - cosine**2)]], np.float32)
    records = tuple(
        MemoryRecord(Key("notes", str(k)), each, embedding=vector)
        for k, (each, vector) in enumerate(zip((text, other), vectors, strict=True))
    )
    pairs = analyze([Snapshot("here", (CollectionInfo("notes", 2, 2, 2, 2),), records)]).pairs
    assert len(pairs) == 1
    return float(pairs.score[0])


@given(known, st.booleans())
def test_a_score_lies_between_nothing_and_one(alike: tuple[float, float, float], replaced: bool) -> None:
    assert 0 <= of(*alike, replaced) <= 1


@given(known, st.booleans(), st.integers(0, 2), share)
def test_more_of_anything_never_scores_less(
    alike: tuple[float, float, float], replaced: bool, which: int, more: float
) -> None:
    assume(more >= alike[which])
    raised = list(alike)
    raised[which] = more
    assert of(*raised, replaced) >= of(*alike, replaced) - 1e-6


@given(known)
def test_a_replaced_word_never_adds_to_the_score(alike: tuple[float, float, float]) -> None:
    assert of(*alike, replaced=True) <= of(*alike)


def test_what_is_alike_in_everything_scores_one() -> None:
    assert of(1, 1, 1) == 1


def test_without_vectors_the_spelling_tells_the_meaning() -> None:
    assert of(np.nan, 0.9, 0.8) == of(0.8, 0.9, 0.8)
    assert of(np.nan, 0.6, 0.6, replaced=True) == of(np.nan, 0.6, 0.6)
    assert of(np.nan, 0.9, 0.9, replaced=True) < of(np.nan, 0.9, 0.9)


def test_without_a_text_the_cosine_counts_alone() -> None:
    assert of(0.9, np.nan, 0.1) == of(0.9, 0.9, 0.9)


def test_no_candidate_with_half_its_words_in_common_is_forgotten() -> None:
    assert of(CANDIDATE_COSINE, 0.5, 0.5) >= LOWEST


PAINTING = "Marta finds painting a calm and satisfying way to spend a rainy Sunday."


@pytest.mark.parametrize("cosine", [0.74, 0.8])
def test_another_thing_in_the_same_words_is_not_suggested(cosine: float) -> None:
    assert scored(PAINTING, PAINTING.replace("painting", "knitting"), cosine) < DEFAULT_THRESHOLD


def test_another_word_for_the_same_thing_is_suggested() -> None:
    assert scored(PAINTING, PAINTING.replace("spend", "pass"), 0.97) >= DEFAULT_THRESHOLD


def test_a_slip_of_the_pen_is_no_other_word() -> None:
    could = "Painting could be a calm and satisfying way for Marta to spend a rainy Sunday."
    slip = "Paintng is a calm and satisfying way for Marta to spend a rainy Sunday."
    assert DEFAULT_THRESHOLD <= scored(could, slip, 0.8) < SURE_SCORE


def test_texts_that_share_few_words_need_more_meaning_in_common() -> None:
    text, other = "The workshop is closed on Mondays.", "Nobody is at the atelier when the week begins."
    assert scored(text, other, 0.8) < DEFAULT_THRESHOLD


def test_a_contradiction_scores_by_all_its_words() -> None:
    listens = "The metrics service of the shop listens on port {} behind the proxy.".format
    likes = "The metrics service of the shop listens on {} behind the proxy.".format
    assert scored(listens(8080), listens(8081), 0.85) > scored(likes("localhost"), likes("ethernet"), 0.85)


def test_what_is_surely_the_same_scores_as_such_whatever_its_vectors_say() -> None:
    assert scored(PAINTING, f"Note: {PAINTING}", 0.75) >= np.float32(SURE_SCORE)
