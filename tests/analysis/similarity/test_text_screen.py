from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from rapidfuzz import fuzz

from memdefrag.analysis.similarity.text_screen import LETTERS, PAIRS, TextScreen, counts, layers

ANY = st.text() | st.text("ab ", max_size=80) | st.text("aé漢🙂\ud800\0", max_size=20)
TEXTS = st.lists(ANY, min_size=1, max_size=8)
ALIKE = ["the cat sat on the mat", "the cat sat on a mat", "a cat sat on the mats", "dogs ran off"]


@given(TEXTS)
def test_letters_and_pairs_are_all_counted(texts: list[str]) -> None:
    counted = counts(texts)
    assert counted.lengths.tolist() == [len(text) for text in texts]
    assert counted.letters.shape == (len(texts), LETTERS)
    assert counted.letters.sum(1).tolist() == [len(text) for text in texts]
    assert counted.pairs.shape == (len(texts), PAIRS)
    assert counted.pairs.sum(1).tolist() == [max(0, len(text) - 1) for text in texts]


@given(TEXTS)
def test_a_text_is_counted_alike_in_any_company(texts: list[str]) -> None:
    together, alone = counts(texts), [counts([text]) for text in texts]
    assert together.letters.tolist() == [one.letters[0].tolist() for one in alone]
    assert together.pairs.tolist() == [one.pairs[0].tolist() for one in alone]


def test_many_texts_are_counted_like_few() -> None:
    texts = [f"memory number {number}" for number in range(2_500)]
    assert counts(texts).pairs[2_300:].tolist() == counts(texts[2_300:]).pairs.tolist()


def test_an_alphabet_is_counted_letter_by_letter() -> None:
    assert sorted(counts(["aaabbc "]).letters[0].tolist())[-4:] == [1, 1, 2, 3]
    assert np.count_nonzero(counts(["абвгдежзийклмнопрстуфхцчшщъыьэюя"]).letters) == 32


@given(TEXTS, TEXTS)
def test_layers_never_say_less_than_what_is_common(texts: list[str], sample: list[str]) -> None:
    letters = counts(texts).letters
    roots = layers(counts(sample).letters).of(letters).astype(np.float64)
    common = np.minimum(letters[:, None], letters[None]).sum(2)
    assert (roots @ roots.T >= common - 1e-4 * common).all()


@given(TEXTS)
def test_layers_made_for_a_few_texts_say_just_what_is_common(texts: list[str]) -> None:
    letters = counts(texts).letters
    roots = layers(letters).of(letters)
    assert np.allclose(roots @ roots.T, np.minimum(letters[:, None], letters[None]).sum(2))


@given(TEXTS, TEXTS, st.sampled_from([50, 67, 75, 90, 97, 100]) | st.floats(1, 100))
@example(ALIKE, ALIKE, 75)
@example(["x" * 4_000], ["x" * 3_273, "x" * 3_300], 90)
def test_no_pair_is_missed(rows: list[str], columns: list[str], cutoff: float) -> None:
    passed = passing(rows, columns, cutoff)
    assert {
        (i, j) for i, a in enumerate(rows) for j, b in enumerate(columns) if fuzz.ratio(a, b) >= cutoff
    } <= passed


def test_texts_with_other_letters_or_the_same_in_another_order_do_not_pass() -> None:
    said = "the cat sat on the mat and looked at the dog"
    rows = [said, said + "s", "qu vw xyz jj pp bb ff gg qu vw xyz jj pp bb ff", said[::-1], *"bcfjklmpquvw"]
    assert passing(rows, rows, 90) & {(0, k) for k in range(4)} == {(0, 0), (0, 1)}


def test_where_most_pairs_pass_it_does_not_pay() -> None:
    same = counts(["the same text again"] * 50)
    assert TextScreen(same, same, 90).passing(slice(0, 50)) is None


def passing(rows: Sequence[str], columns: Sequence[str], cutoff: float) -> set[tuple[int, int]]:
    """What passes, or all pairs where the screen says that it does not pay."""
    found = TextScreen(counts(rows), counts(columns), cutoff).passing(slice(0, len(columns)))
    if found is None:
        return {(i, j) for i in range(len(rows)) for j in range(len(columns))}
    return set(zip(found[0].tolist(), found[1].tolist(), strict=True))
