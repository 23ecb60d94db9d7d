"""Finding memories by meaning, or by their words where no model is at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz, process, utils

from memdefrag.engine.embedding import Embed
from memdefrag.model.records import MemoryRecord, Snapshot


@dataclass(frozen=True, slots=True)
class Hit:
    """A found memory; `score` in [0, 1], by the search's `method`."""

    record: MemoryRecord
    score: float
    method: str


def search(snapshot: Snapshot, query: str, limit: int = 10, embed: Embed | None = None) -> list[Hit]:
    """The memories nearest to the query, best first.

    With `embed` by cosine among the records whose vectors have the model's dimension; the others (and all,
    without it) by the share of the query's words they hold (rapidfuzz token_set_ratio).
    """
    records = [record for record in snapshot.records if record.text]
    hits = _by_vector(records, query, embed) if embed else []
    found = {hit.record.key for hit in hits}
    hits += _by_text([record for record in records if record.key not in found], query, limit)
    return sorted(hits, key=lambda hit: (-hit.score, hit.record.key))[:limit]


def _by_vector(records: list[MemoryRecord], query: str, embed: Embed) -> list[Hit]:
    vector = embed([query], records)[0]
    fitting = [r for r in records if r.embedding is not None and r.embedding.shape == vector.shape]
    if not fitting:
        return []
    matrix = np.stack([record.embedding for record in fitting if record.embedding is not None])
    norms = np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = np.nan_to_num(matrix @ vector / norms)
    return [Hit(record, float(cosine), "vector") for record, cosine in zip(fitting, cosines, strict=True)]


def _by_text(records: list[MemoryRecord], query: str, limit: int) -> list[Hit]:
    texts = [record.text or "" for record in records]
    scorer: Callable[..., float] = fuzz.token_set_ratio
    best = process.extract(query, texts, scorer=scorer, processor=utils.default_process, limit=limit)
    return [Hit(records[index], score / 100, "text") for _, score, index in best]
