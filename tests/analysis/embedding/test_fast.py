"""The fast form of a model: used where it is proved, never where it is not, and kept apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memdefrag.analysis.embedding import embed
from memdefrag.analysis.embedding import fast as fast_embed
from memdefrag.analysis.embedding.embed import Embedder, load
from memdefrag.analysis.embedding.worker import Worker

TEXTS = [f"{name} {does}." for name in ("Ann", "Bob", "The old server") for does in ("likes tea", "is in Rome")]

needs_library = pytest.mark.skipif(
    fast_embed.library() is None or not embed.is_available(), reason="needs the extra fast"
)


def keep(folder: Path, difference: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.bin").write_bytes(b"numbers")
    one = np.eye(2, dtype=np.float32)
    other = one.copy()
    other[0, 1] = difference
    assert fast_embed.prove(["a", "b"], lambda _: one, lambda _: other, folder) == pytest.approx(difference, rel=1e-3)


@pytest.mark.parametrize(("difference", "proved"), [(0.0029, True), (0.0032, False)])
def test_only_what_hardly_differs_is_proved(tmp_path: Path, difference: float, proved: bool) -> None:
    keep(tmp_path, difference)
    assert fast_embed.is_proved(tmp_path) is proved


def test_what_was_refused_or_is_damaged_is_not_proved(tmp_path: Path) -> None:
    assert fast_embed.is_proved(None) is None
    assert fast_embed.is_proved(tmp_path) is None
    keep(tmp_path, 0.001)
    (tmp_path / "model.bin").write_bytes(b"numbexs")
    assert fast_embed.is_proved(tmp_path) is None
    (tmp_path / "proof.json").write_bytes(b"{")
    assert fast_embed.is_proved(tmp_path) is None
    fast_embed.refuse(tmp_path)
    assert fast_embed.is_proved(tmp_path) is False


def test_without_the_library_the_model_itself_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_embed, "library", lambda: None)
    assert fast_embed.folder_of("weights") is None
    embedder = Embedder("model", Path("folder"), "weights")
    assert embedder._order.fast is None and not embedder.hasten(TEXTS)


@needs_library
def test_the_fast_form_is_made_once_proved_and_used_from_then_on() -> None:
    own = load().embed(TEXTS)
    embedder = load()
    assert embedder._order.fast is None
    assert embedder.hasten(TEXTS)
    assert embedder.uncached(TEXTS) != []
    made = embedder.embed(TEXTS)
    assert np.abs(made @ made.T - own @ own.T).max() <= fast_embed.MOST_DIFFERENT
    assert embedder.shape() == (384, 256)
    again = load()
    assert again._order.fast is not None and again.uncached(TEXTS) == []
    assert not again.hasten(TEXTS)
    long = "The garden gate is green. " * 100
    assert (again.embed([long]) @ load().embed([long[:1300]]).T).item() > 0.99


@needs_library
def test_what_differs_too_much_is_said_and_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    embedder = load()
    own = embedder.embed(TEXTS)
    assert embedder._fast is not None
    folder = embedder._fast

    def export(*_: object) -> float:
        keep(folder, 0.2)
        return 0.2

    monkeypatch.setattr(Worker, "export", export)
    assert not embedder.hasten(TEXTS)
    assert "differ by 0.2000" in caplog.text
    assert np.array_equal(embedder.embed(TEXTS), own)
