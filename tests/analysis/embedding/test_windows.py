from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.embedding import embed
from memdefrag.analysis.embedding.windows import DEFAULT_WINDOW, is_long, tokens, window_of


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("all-MiniLM-L6-v2", 256),
        ("sentence-transformers/all-MiniLM-L6-v2", 256),
        ("sentence-transformers/all-mpnet-base-v2", 384),
        ("text-embedding-3-small", 8_191),
        ("our-own-model", DEFAULT_WINDOW),
        (None, DEFAULT_WINDOW),
    ],
)
def test_a_models_window_is_known_by_its_name(model: str | None, window: int) -> None:
    assert window_of(model) == window


def test_what_is_long_depends_on_the_model() -> None:
    text = "The garden gate is green. " * 45
    assert is_long(text)
    assert is_long(text, "all-MiniLM-L6-v2")
    assert not is_long(text, "all-mpnet-base-v2")
    assert not is_long(text[:1_000])


def test_scripts_without_spaces_fill_a_window_sooner() -> None:
    assert is_long("部署了新的服务器" * 32) and not is_long("deploy8!" * 7)


def test_no_text_is_not_long() -> None:
    assert not is_long(None) and not is_long("")


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(one: str, other: str) -> None:
    assert tokens(f"{one} {other}") >= max(tokens(one), tokens(other))


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("Ann likes green tea and reads the news every morning before she goes to work. " * 5, 0.85, 1.15),
        ("今天我们部署了新的服务器。", 1.0, 1.0),
        ("Die Straßenbeleuchtung wird überarbeitet, der Bereitstellungsprozess auch.", 0.7, 1.3),
        ("/usr/local/lib/python3.11/site-packages v1.2.3, port 8080, 2024-05-17T10:00", 0.7, 1.3),
    ],
)
def test_the_estimate_is_near_what_the_model_counts(text: str, least: float, most: float) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    folder = embed._folder(embed.DEFAULT_MODEL)
    if folder is None:
        pytest.skip("needs the default model")
    model = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    model.no_truncation()
    model.no_padding()
    assert least <= tokens(text) / len(model.encode(text).ids) <= most
