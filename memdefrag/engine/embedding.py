"""Vectors for texts that are to be written: made by the model that made the store's other vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from memdefrag.base.errors import ModelUnavailable
from memdefrag.base.progress import Progress
from memdefrag.base.wording import count
from memdefrag.model.records import MemoryRecord

Embed = Callable[[Sequence[str], Sequence[MemoryRecord]], npt.NDArray[np.float32]]
"""Texts to float32 vectors, shape (texts, dimension), that can stand among the vectors of the given records."""


def with_model(progress: Progress, name: str | None = None) -> Embed:
    """Makes vectors with the named model (None: the default one), which is loaded when it is first used.

    What comes back raises `ModelUnavailable` where the model is not here, or did not make the neighbours' vectors.
    """

    def embed(texts: Sequence[str], neighbours: Sequence[MemoryRecord]) -> npt.NDArray[np.float32]:
        from memdefrag.analysis.embedding import embed as models

        embedder = models.load(name)
        present = [record for record in neighbours if record.embedding is not None]
        if present and models.probe(embedder, present, progress) < models.SAME_MODEL:
            raise ModelUnavailable(
                f"{count(len(texts), 'text needs', 'texts need')} new vectors, but {embedder.name} did not make this "
                "store's vectors.",
                todo="Leave the merged texts as they are proposed (they need no model), or make all vectors anew.",
            )
        return embedder.embed(list(texts), progress)

    return embed


def rehearsed(texts: Sequence[str], neighbours: Sequence[MemoryRecord]) -> npt.NDArray[np.float32]:
    """Stands in for a model in a dry run: computes nothing, but misses a model that is missing.

    Raises:
        ModelUnavailable: the models extra is not installed.
    """
    from memdefrag.analysis.embedding import embed as models

    if not models.is_available():
        models.load()
    dimensions = [len(record.embedding) for record in neighbours if record.embedding is not None]
    return np.zeros((len(texts), dimensions[0] if dimensions else 1), np.float32)
