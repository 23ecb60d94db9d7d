from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import fuzz as rapid
from rapidfuzz import process

from memdefrag.analysis.similarity import fuzzy
from memdefrag.base.errors import Cancelled
from memdefrag.base.progress import Cancel, Progress, Tick

VOCABULARY = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "off"]
WORDS = st.lists(st.sampled_from(VOCABULARY), max_size=12).map(" ".join)


ODD = st.text(max_size=30) | st.text("ab", max_size=40) | st.text("é漢🙂\ud800\0 ", max_size=12)
TEXTS = st.lists(WORDS | ODD, max_size=12)


@given(TEXTS, TEXTS, st.sampled_from([40, 70, 75, 90, 100]), st.integers(1, 9), st.booleans())
def test_similar_texts_are_those_above_the_cutoff(
    texts: list[str], others: list[str], cutoff: float, block: int, screened: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuzzy, "FEWEST_PAIRS", 0 if screened else 1_000)
        near = fuzzy.similar_texts(texts, others, Progress(), cutoff=cutoff, block=block)
    everything = [*texts, *others]
    wanted = {
        (a, b): score
        for a in range(len(texts))
        for b in range(a + 1, len(everything))
        if everything[a] and everything[b] and (score := rapid.ratio(everything[a], everything[b])) >= cutoff
    }
    found = dict(zip(zip(near.i.tolist(), near.j.tolist(), strict=True), near.cosine.tolist(), strict=True))
    assert list(found) == sorted(found)
    assert len(near) == len(found)
    assert found == pytest.approx({pair: score / 100 for pair, score in wanted.items()})


def test_long_texts_and_crowds_of_like_ones_are_screened_exactly() -> None:
    random = Random(0)
    texts = [" ".join(random.choices(VOCABULARY, k=random.randint(1, 60))) for _ in range(300)]
    texts += [text[:-3] + "end" for text in texts[:100]]
    texts += ["again and again " * 250 + str(number) for number in range(20)] + ["a" * 5_000, "a" * 3_500]
    near = fuzzy.similar_texts(texts, [], Progress(), cutoff=90, block=64)
    cut = [text[: fuzzy.CHARACTERS] for text in texts]
    table = process.cdist(cut, cut, scorer=rapid.ratio, score_cutoff=90, dtype=np.float32)
    assert np.column_stack((near.i, near.j)).tolist() == np.argwhere(np.triu(table, 1)).tolist()
    assert len(near) > 200


def test_similar_texts_in_several_blocks() -> None:
    texts = [f"memory number {number:03} says something of its own {number * 7919}" for number in range(40)]
    whole = fuzzy.similar_texts(texts, texts[:10], Progress(), cutoff=80)
    parts = fuzzy.similar_texts(texts, texts[:10], Progress(), cutoff=80, block=7)
    assert parts.i.tolist() == whole.i.tolist()
    assert parts.j.tolist() == whole.j.tolist()


def test_others_are_not_compared_among_each_other() -> None:
    said = [f"the cat sat on the mat {number}" for number in range(60)]
    near = fuzzy.similar_texts(said[:1], said[1:], Progress(), cutoff=80)
    assert set(near.i.tolist()) == {0}
    assert near.j.tolist() == list(range(1, 60))


def test_as_many_threads_as_wanted_find_the_same() -> None:
    texts = [f"memory number {number:03} says {number * 7919}" for number in range(300)]
    found = [fuzzy.similar_texts(texts, texts[:50], Progress(), cutoff=80, block=32, threads=n) for n in (1, 3)]
    assert found[0].i.tolist() == found[1].i.tolist()
    assert found[0].cosine.tolist() == found[1].cosine.tolist()


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
