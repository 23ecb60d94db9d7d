"""The process that makes vectors, and the only place that loads a library of models.

`worker` starts it with one argument, an object of JSON: {"folder": the model's files, "threads": how many
or null, "fast": the folder of its export (see `fast`) or null}. It works at low priority, talks over its
standard input and output and ends with the program that started it, however that ended. What it says is a line of
JSON and as many bytes as its "bytes" tells:

    at the start   {"dimension", "window", "threads", "bytes": 0}, or {"error": why there is no model, "bytes": 0}
    {"texts"}      the texts' unit vectors, one after the other, little-endian float32
    {"texts", "export": folder}    {"difference"} of an export that is made there, on these texts
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.embedding import fast as fast_embed

LOW_PRIORITY = 10


class Model(Protocol):
    """Unit vectors of texts; `window`: the tokens it reads of a text; `threads`: how many work at once."""

    dimension: int
    window: int
    threads: int

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]: ...


class TorchModel:
    """A model as its authors run it."""

    def __init__(self, folder: str, threads: int | None) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        self._folder = folder
        if threads:
            torch.set_num_threads(threads)
        self.threads = torch.get_num_threads()
        self._model = SentenceTransformer(folder, local_files_only=True)
        self.dimension = self._model.get_embedding_dimension() or 0
        self.window = self._model.get_max_seq_length() or 0

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = self._model.encode(
            list(texts),
            batch_size=len(texts),
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return np.asarray(vectors, np.float32)

    def export(self, folder: str, texts: Sequence[str]) -> float:
        """Make the fast form of the model; how much its cosines between the texts differ from the model's."""
        transformer: Any = self._model[0].auto_model
        transformer.config.return_dict = False
        try:
            fast_embed.export(transformer, self.window, Path(self._folder), Path(folder))
        finally:
            transformer.config.return_dict = True
        return fast_embed.prove(texts, self.encode, fast_embed.FastModel(folder, self.threads).encode, Path(folder))


def main(order: dict[str, Any]) -> int:
    """Load the model, then answer until nobody asks any more."""
    output = _own_output()
    asked: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    try:
        model = _loaded(order)
    except Exception as error:
        # Each library has its own words for a file that is damaged; all of them are for the person.
        _say(output, {"error": f"{type(error).__name__}: {error}"})
        return 1
    _be_modest()
    _say(output, {"dimension": model.dimension, "window": model.window, "threads": model.threads})
    while True:
        question = asked.get()
        texts = [text.encode("utf-8", "replace").decode("utf-8") for text in question["texts"]]
        if "export" in question:
            _say(output, _exported(model, question["export"], texts))
        else:
            _say(output, {}, model.encode(texts).astype("<f4").tobytes())


def _loaded(order: dict[str, Any]) -> Model:
    fast, threads = order["fast"], order["threads"]
    return fast_embed.FastModel(fast, threads) if fast else TorchModel(order["folder"], threads)


def _exported(model: Model, folder: str, texts: Sequence[str]) -> dict[str, Any]:
    assert isinstance(model, TorchModel)
    try:
        return {"difference": model.export(folder, texts)}
    except Exception as error:
        # Whatever the converter cannot take in some model: the model itself is there for that.
        fast_embed.refuse(Path(folder))
        return {"error": f"{type(error).__name__}: {error}"}


def _own_output() -> IO[bytes]:
    """Standard output, for the answers alone: what libraries print goes to standard error instead."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


def _say(output: IO[bytes], told: dict[str, Any], payload: bytes = b"") -> None:
    output.write(json.dumps(told | {"bytes": len(payload)}).encode() + b"\n" + payload)
    output.flush()


def _listen(asked: queue.Queue[dict[str, Any]]) -> None:
    # Not sys.stdin: Python cannot end in order while a thread reads that.
    with open(0, "rb", closefd=False) as questions:
        for line in questions:
            asked.put(json.loads(line))
    # Not sys.exit: whoever asked is gone, and a batch in the making is for nobody.
    os._exit(0)


def _be_modest() -> None:
    """Leave the machine to the person."""
    import psutil

    below = psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else LOW_PRIORITY
    psutil.Process().nice(below)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
