from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import fuzz as rapid

from memdefrag.analysis import fuzzy
from memdefrag.base.errors import Cancelled
from memdefrag.base.progress import Cancel, Progress, Tick

VOCABULARY = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "off"]
WORDS = st.lists(st.sampled_from(VOCABULARY), max_size=12).map(" ".join)


@given(st.lists(WORDS, max_size=12), st.lists(WORDS, max_size=12), st.integers(1, 9))
def test_similar_texts_are_those_above_the_cutoff(texts: list[str], others: list[str], block: int) -> None:
    near = fuzzy.similar_texts(texts, others, Progress(), cutoff=70, block=block)
    everything = [*texts, *others]
    # Scores are rounded to whole numbers, so a text just below the cutoff may be found.
    score = {
        (a, b): rapid.ratio(everything[a], everything[b])
        for a in range(len(texts))
        for b in range(a + 1, len(everything))
        if everything[a] and everything[b]
    }
    found = list(zip(near.i.tolist(), near.j.tolist(), strict=True))
    assert found == sorted(set(found))
    assert {pair for pair, value in score.items() if value >= 70} <= set(found)
    assert all(score[pair] > 69 for pair in found)


def test_similar_texts_in_several_blocks() -> None:
    texts = [f"memory number {number:03} says something of its own {number * 7919}" for number in range(40)]
    whole = fuzzy.similar_texts(texts, texts[:10], Progress(), cutoff=80)
    parts = fuzzy.similar_texts(texts, texts[:10], Progress(), cutoff=80, block=7)
    assert parts.i.tolist() == whole.i.tolist()
    assert parts.j.tolist() == whole.j.tolist()


def test_a_crowd_of_equal_texts_is_bounded() -> None:
    near = fuzzy.similar_texts(["again and again"] * 2_000, [], Progress(), limit=10_000)
    assert len(near) <= 10_000
    assert near.nearest is not None


def test_cancel_stops_between_blocks() -> None:
    cancel = Cancel()

    def listener(tick: Tick) -> None:
        cancel.set()

    with pytest.raises(Cancelled):
        fuzzy.similar_texts([f"text {k}" for k in range(3_000)], [], Progress(listener, cancel))


def test_shared_words_is_one_where_one_text_holds_the_other() -> None:
    texts = ["maria likes tea", "maria likes tea and cake", "john hates rain"]
    pairs = np.array([0, 0], np.int32), np.array([1, 2], np.int32)
    contained, other = fuzzy.shared_words(texts, *pairs, Progress()).tolist()
    assert contained == 1
    assert other < 0.6
    assert fuzzy.same_words(texts, *pairs, Progress())[0] < 1


def test_no_pairs_no_scores() -> None:
    nothing = np.empty(0, np.int32)
    assert len(fuzzy.shared_words(["a"], nothing, nothing, Progress())) == 0
