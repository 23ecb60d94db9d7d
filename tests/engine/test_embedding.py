"""Texts that are written get vectors of the store's own model, or none."""

from __future__ import annotations

import numpy as np
import pytest

from memdefrag.analysis.embedding import embed as models
from memdefrag.base.errors import ModelUnavailable
from memdefrag.base.progress import Progress
from memdefrag.engine.embedding import rehearsed, with_model
from memdefrag.model.records import Key, MemoryRecord

TEXTS = ["The garden gate is green.", "Tomatoes are watered at six.", "Seeds are kept in tin 4."]

pytestmark = pytest.mark.skipif(not models.is_available(), reason="needs the models extra")


def stored(vectors: np.ndarray) -> list[MemoryRecord]:
    return [MemoryRecord(Key("c", text), text, embedding=row) for text, row in zip(TEXTS, vectors, strict=True)]


def test_the_stores_own_model_is_recognised_by_its_vectors() -> None:
    neighbours = stored(models.load().embed(TEXTS))
    made = with_model(Progress())(["A new text."], neighbours)
    assert made.shape == (1, 384)
    np.testing.assert_allclose(np.linalg.norm(made), 1, atol=1e-5)


def test_another_models_store_is_refused() -> None:
    foreign = np.random.default_rng(0).standard_normal((3, 384)).astype(np.float32)
    with pytest.raises(ModelUnavailable, match="did not make this store's vectors"):
        with_model(Progress())(["A new text."], stored(foreign))


def test_a_store_without_vectors_takes_the_default_model() -> None:
    assert with_model(Progress())(["A new text."], []).shape == (1, 384)


def test_a_rehearsal_has_the_stores_dimension() -> None:
    assert rehearsed(["a", "b"], stored(np.ones((3, 5), np.float32))).shape == (2, 5)
