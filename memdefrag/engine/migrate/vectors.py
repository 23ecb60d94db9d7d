"""Vectors for the memories that come without one, or that are all to get new ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from memdefrag.analysis.embedding import embed as models
from memdefrag.analysis.embedding.embed import Embedder
from memdefrag.base.progress import Progress
from memdefrag.engine.compare import ModelOptions, fitting_model
from memdefrag.engine.migrate.classify import Sorted
from memdefrag.engine.migrate.fitness import DEFAULT_DIMENSION
from memdefrag.engine.migrate.routing import Route
from memdefrag.model.capabilities import Capabilities
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot


def makers(
    records: Iterable[MemoryRecord],
    target: Snapshot,
    route: Route,
    capabilities: Capabilities,
    model: ModelOptions,
    progress: Progress,
    *,
    re_embed: bool,
) -> dict[str, Embedder | str]:
    """By collection of the target where vectors must be made: the model that makes them, or why there is none.

    A model must have made the vectors that it is to stand among, those of the target and those that are copied.

    Raises:
        ModelUnavailable: the model that was named is not here.
        LongEmbedding: it will take more than two minutes.
    """
    if not capabilities.vectors or (capabilities.null_vector and not capabilities.searched and not re_embed):
        return {}
    by_target: dict[str, list[MemoryRecord]] = {}
    for record in records:
        by_target.setdefault(route.collection(record.key.collection), []).append(record)
    found: dict[str, Embedder | str] = {}
    for name, coming in by_target.items():
        lacking = [record for record in coming if record.text is not None and (re_embed or record.embedding is None)]
        if not lacking:
            continue
        beside = [record for record in coming if record.embedding is not None and not re_embed]
        beside += [record for record in target if record.key.collection == name and record.embedding is not None]
        info = route.present.get(name) or CollectionInfo(name, 0, 0, 0)
        found[name] = fitting_model(info, beside, lacking, _tried(model, beside), progress)
    return found


def _tried(model: ModelOptions, beside: Sequence[MemoryRecord]) -> ModelOptions:
    """With the default model to be tried where none is named and the vectors there could be its own."""
    could_be = any(record.embedding is not None and len(record.embedding) == DEFAULT_DIMENSION for record in beside)
    if model.name is None and could_be and models.is_available():
        return replace(model, name=models.DEFAULT_MODEL)
    return model


def made(done: Sorted, makers: Mapping[str, Embedder | str], progress: Progress) -> dict[Key, MemoryRecord]:
    """What is to be written, by its key in the source, with the vectors that were missing."""
    records = dict(done.write)
    for name, maker in makers.items():
        keys = [key for key in done.write if key in done.embed and done.write[key].key.collection == name]
        if isinstance(maker, str) or not keys:
            continue
        vectors = maker.embed([records[key].text or "" for key in keys], progress)
        for key, vector in zip(keys, vectors, strict=True):
            records[key] = replace(records[key], embedding=vector)
    return records
