"""Long texts by windows: what is cut, how alike it is, and what becomes of it in an analysis."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.embedding import long_texts
from memdefrag.analysis.embedding.long_texts import cut, likeness
from memdefrag.analysis.similarity import pairs
from memdefrag.analysis.similarity.pairs import Floats
from memdefrag.base.errors import Cancelled
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot

tokenizers = pytest.importorskip("tokenizers")

WINDOW = 12
MARKS = 2


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every word and every sign is one token, but "longer" is two; two marks stand around a text."""
    return _made(tmp_path_factory.mktemp("model"))


@cache
def _made(folder: Path) -> Path:
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "long": 3, "##er": 4}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    made.enable_truncation(5)
    path = folder / "tokenizer.json"
    made.save(str(path))
    return path


def count(text: str, tokenizer: Path) -> int:
    return len(long_texts._counter(tokenizer).encode(text).ids)


def test_what_the_model_reads_to_its_end_stays_as_it_is(tokenizer: Path) -> None:
    texts = ["One two three.", "", "  a b\n c d.  E f!"]
    assert cut(texts, tokenizer, WINDOW) == [[text] for text in texts]


def test_a_long_text_is_cut_where_sentences_end_into_equal_windows(tokenizer: Path) -> None:
    said = [f"Sentence {number} is here." for number in "abcdef"]
    assert cut([" ".join(said)], tokenizer, 17) == [["\n".join(said[:3]), "\n".join(said[3:])]]


def test_measuring_can_be_stopped_and_is_told(tokenizer: Path) -> None:
    texts = [f"{number} " + "word " * 40 for number in range(4)]
    told: list[tuple[int, int | None]] = []
    cancel = Cancel()

    def listen(tick: Tick) -> None:
        told.append((tick.done, tick.total))
        cancel.set()

    with pytest.raises(Cancelled):
        cut(texts, tokenizer, WINDOW, Progress(listen, cancel))
    assert told[0] == (0, 4) and told[-1] != (4, 4)


@pytest.mark.parametrize("sentences", range(5, 40))
def test_no_window_is_a_mere_rest(tokenizer: Path, sentences: int) -> None:
    [windows] = cut([" ".join(["One two three."] * sentences)], tokenizer, 22)
    sizes = [window.count("three") for window in windows]
    assert sum(sizes) == sentences and max(sizes) - min(sizes) <= 1 and max(sizes) <= 5


def test_a_sentence_longer_than_the_window_is_cut_between_words(tokenizer: Path) -> None:
    words = [f"word{number}" for number in range(25)]
    [windows] = cut([" ".join(words)], tokenizer, WINDOW)
    assert " ".join(windows).split() == words
    assert len(windows) == 3
    assert cut(["longer " * 20], tokenizer, 9 + MARKS) == [[" ".join(["longer"] * 4)] * 5]


def test_a_model_without_a_tokenizer_file_reads_the_beginning(tmp_path: Path) -> None:
    long = "word " * 100
    assert cut([long], tmp_path / "tokenizer.json", WINDOW) == [[long]]


def test_half_characters_do_not_stop_the_count(tokenizer: Path) -> None:
    [windows] = cut(["broken \udcff byte. " * 20], tokenizer, WINDOW)
    assert len(windows) > 1


@given(st.lists(st.text("ab. \n?!", max_size=30), max_size=8).map(" ".join))
@settings(max_examples=200)
def test_every_window_fits_and_nothing_is_lost(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = _made(Path(folder))
        [windows] = cut([text], path, WINDOW)
        assert all(count(window, path) <= WINDOW for window in windows)
    assert "".join("".join(windows).split()) == "".join(text.split())


def unit(*rows: list[float]) -> Floats:
    made, _ = pairs.unit_rows(np.array(rows, np.float32))
    return made


def test_a_short_text_is_compared_with_the_best_window() -> None:
    long = unit([1, 0, 0], [0, 1, 0])
    assert likeness(unit([0, 1, 0]), long) == pytest.approx(1)
    assert likeness(long, unit([1, 1, 0])) == pytest.approx(0.5**0.5)


def test_long_texts_are_as_alike_as_their_windows_on_average() -> None:
    one = unit([1, 0, 0], [0, 1, 0])
    assert likeness(one, one) == pytest.approx(1)
    assert likeness(one, one[::-1]) == pytest.approx(1)
    assert likeness(one, unit([1, 0, 0], [0, 0, 1])) == pytest.approx(0.5)
    # What the longer one says besides is no objection.
    assert likeness(one, unit([0, 0, 1], [1, 0, 0], [0, 1, 0])) == pytest.approx(1)


rows = st.integers(0, 2**32 - 1).map(
    lambda seed: pairs.unit_rows(np.random.default_rng(seed).normal(size=(9, 3)).astype(np.float32))[0]
)


@given(rows, st.integers(1, 8))
def test_likeness_knows_no_order(rows: Floats, at: int) -> None:
    assert likeness(rows[:at], rows[at:]) == pytest.approx(likeness(rows[at:], rows[:at]), abs=1e-6)
    assert likeness(rows, rows) == pytest.approx(1, abs=1e-5)


@given(rows, st.lists(st.integers(1, 3), min_size=4, max_size=4).filter(lambda counts: sum(counts) <= 9))
def test_every_pair_of_texts_above_the_floor_is_found_once(rows: Floats, counts: list[int]) -> None:
    floor = 0.6
    part = np.repeat(np.array([7, 2, 5, 3], np.int32), counts)
    unit = rows[: len(part)]
    near = long_texts.by_text(pairs.similar_pairs(unit, floor, Progress()), unit, part, floor)
    texts = {number: unit[part == number] for number in (2, 3, 5, 7)}
    expected = {
        (i, j): likeness(texts[i], texts[j]) for i in texts for j in texts if i < j
    }
    found = dict(zip(zip(near.i.tolist(), near.j.tolist(), strict=True), near.cosine.tolist(), strict=True))
    clear = {pair: cosine for pair, cosine in expected.items() if abs(cosine - floor) > 1e-4}
    assert {pair for pair, cosine in clear.items() if cosine > floor} == found.keys() & clear.keys()
    assert all(found[pair] == pytest.approx(expected[pair], abs=1e-5) for pair in found)
    assert len(found) == len(near)


START = "The garden gate is green and the fence around it was painted last summer by the neighbours. " * 15


def compared(*embedded: tuple[str, Floats]) -> Snapshot:
    records = [MemoryRecord(Key("c", str(n)), text, embedding=vector) for n, (text, vector) in enumerate(embedded)]
    return Snapshot("jsonl:x", (CollectionInfo("c", len(records), len(records), len(records)),), tuple(records))


def test_texts_that_differ_after_their_first_window_are_not_alike() -> None:
    tea, rome = "Ann likes green tea with her breakfast.", "Bob drives to Rome every other winter."
    both = unit([1, 0, 0], [0, 1, 0]), unit([1, 0, 0], [0, 0, 1])
    found = analyze([compared((START + tea, both[0]), (START + rome, both[1]))])
    assert not len(found.pairs) or np.isnan(found.pairs.cosine).all()
    same = analyze([compared((START + tea, both[0]), (START + "Also: " + tea, both[0]))])
    assert same.pairs.cosine.tolist() == pytest.approx([1])


def test_a_short_text_is_found_in_a_long_one() -> None:
    tea = "Ann likes green tea with her breakfast."
    found = analyze([compared((START + tea, unit([1, 0, 0], [0, 1, 0])), (tea, unit([0, 1, 0])[0]))])
    assert found.pairs.cosine.tolist() == pytest.approx([1])


def test_long_texts_whose_stored_vectors_agree_are_not_sure_for_that() -> None:
    first_tokens_alone = unit([1, 0, 0])[0]
    tea, rome = "Ann likes green tea with her breakfast.", "Bob drives to Rome every other winter."
    found = analyze([compared((START + tea, first_tokens_alone), (START + rome, first_tokens_alone))])
    assert found.pairs.cosine.tolist() == pytest.approx([1])
    assert not found.pairs.sure.any()
    assert not any(group.sure for group in found.groups())
