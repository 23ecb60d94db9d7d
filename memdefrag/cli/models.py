"""The embedding model, loaded only when a text really needs a vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from memdefrag.cli.run import Run

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from memdefrag.engine.resolve import Embed


def embedding_on_demand(run: Run, model: str | None = None) -> Embed:
    """Makes vectors with the named model (the default one where None), which is loaded when it is first used."""

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        from memdefrag.analysis.embed import load

        return load(model).embed(texts, run.progress)

    return embed


def rehearsed_embedding(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Stands in for the model in a dry run: nothing is computed, but a model that is missing is missed.

    Raises:
        ModelUnavailable: the models extra is not installed.
    """
    import numpy as np

    from memdefrag.analysis.embed import is_available, load

    if not is_available():
        load()
    return np.zeros((len(texts), 1), np.float32)
