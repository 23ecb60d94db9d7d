"""The same model run by OpenVINO in bfloat16, which takes less than half the time (extra ``fast``).

The model is exported once into the cache folder, and used only where its vectors were found to be those of the model
itself but for `MOST_DIFFERENT`. What it makes is remembered apart from what the model itself makes.

Source of the format: OpenVINO's intermediate representation, https://docs.openvino.ai (Model Preparation).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memdefrag.base.fsops import file_sha256, make_private_dir, write_durable
from memdefrag.base.settings import cache_dir

MOST_DIFFERENT = 0.003
"""How far the cosine of two texts may be from the one that the model itself gives."""

_Encode = Callable[[Sequence[str]], npt.NDArray[np.float32]]
_GRAPH, _NUMBERS, _PROOF, _TOKENIZER = "model.xml", "model.bin", "proof.json", "tokenizer.json"


@cache
def library() -> str | None:
    """The version of OpenVINO that is installed."""
    try:
        return version("openvino")
    except PackageNotFoundError:
        return None


def folder_of(weights: str) -> Path | None:
    """Where the export of these weights is (or would be); None where the library is not installed."""
    return cache_dir() / "fast" / f"{weights}-{library()}" if library() else None


def is_proved(folder: Path | None) -> bool | None:
    """Whether the export in a folder makes the model's vectors; None: there is none, or it is damaged."""
    if folder is None:
        return None
    try:
        proof = json.loads((folder / _PROOF).read_bytes())
        if proof["difference"] > MOST_DIFFERENT:
            return False
        return True if proof["sha256"] == file_sha256(folder / _NUMBERS) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def export(model: Any, window: int, source: Path, folder: Path) -> None:
    """Write a transformer of torch into a folder, with what a child needs to run it.

    Args:
        model: takes ``input_ids``, ``attention_mask`` and ``token_type_ids``; gives the tokens' states first.
        source: the folder of the model's own files.
    """
    import openvino
    import torch

    make_private_dir(folder)
    ids = torch.ones((2, 8), dtype=torch.long)
    given = {"input_ids": ids, "attention_mask": ids, "token_type_ids": torch.zeros_like(ids)}
    with torch.no_grad():
        graph = openvino.convert_model(model, example_input=given)
    openvino.save_model(graph, folder / _GRAPH, compress_to_fp16=False)
    (folder / _TOKENIZER).write_bytes((source / _TOKENIZER).read_bytes())
    (folder / "window").write_text(str(window))


def prove(texts: Sequence[str], model: _Encode, fast: _Encode, folder: Path) -> float:
    """How much the cosines between texts differ at most; kept beside the export."""
    one, other = model(texts), fast(texts)
    difference = float(np.abs(one @ one.T - other @ other.T).max())
    _keep(folder, {"difference": difference, "sha256": file_sha256(folder / _NUMBERS)})
    return difference


def refuse(folder: Path) -> None:
    """Remember that this model has no fast form."""
    _keep(folder, {"difference": 2.0})


def _keep(folder: Path, proof: dict[str, Any]) -> None:
    write_durable(make_private_dir(folder) / _PROOF, json.dumps(proof).encode())


class FastModel:
    """An export at work: the mean of the tokens' states, of length 1."""

    def __init__(self, folder: str, threads: int | None) -> None:
        import openvino
        from tokenizers import Tokenizer

        core = openvino.Core()
        able = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        wanted: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "bf16" if able else "f32", "PERFORMANCE_HINT": "LATENCY"}
        wanted |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
        compiled = core.compile_model(Path(folder) / _GRAPH, "CPU", wanted)
        self._request = compiled.create_infer_request()
        self.threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        self.window = int((Path(folder) / "window").read_text())
        self.dimension = int(compiled.output(0).partial_shape[2].get_length())
        self._tokenizer = Tokenizer.from_file(str(Path(folder) / _TOKENIZER))
        self._tokenizer.enable_truncation(self.window)
        self._tokenizer.enable_padding()

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        encodings = self._tokenizer.encode_batch(list(texts))
        ids = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        states = self._request.infer([ids, mask, np.zeros_like(ids)])[0]
        sums = np.einsum("ntd,nt->nd", states, mask.astype(np.float32))
        return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), np.float32)
