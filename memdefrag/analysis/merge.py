"""What the survivor of a merge says: its text, tags, times, metadata and vector. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

import numpy as np

from memdefrag.analysis.merge_text import merge_texts
from memdefrag.model.capabilities import Capabilities
from memdefrag.model.carried import CARRIED
from memdefrag.model.codec import NARROWEST, guarded, meant
from memdefrag.model.hashing import canonical_json
from memdefrag.model.plan import Result, VectorRule
from memdefrag.model.records import MemoryRecord, Metadata, Vector
from memdefrag.model.service_metadata import CREATED_KEYS, TAG_KEYS, UPDATED_KEYS, iso, read, restate

MERGED_FROM = "memdefrag_merged_from"
"""Metadata key: ids of all records that ever went into this one."""
MERGED_AT = "memdefrag_merged_at"
MERGED_VECTOR = "memdefrag_vector"
"""Metadata key: where the vector comes from, a value of `VECTOR_ORIGIN`."""
MERGED_TYPES = "memdefrag_merged_types"
MERGED_URIS = "memdefrag_merged_uris"
"""Metadata keys: what the other members had where only one value may stand."""

VECTOR_ORIGIN = {VectorRule.MEAN: "mean", VectorRule.EMBED: "embedded", VectorRule.KEEP: "kept"}

CONFLICT_TAG = "conflict:unresolved"
"""Memory Service's mark on two similar memories; a merge resolves it."""

_PROVENANCE = frozenset({MERGED_FROM, MERGED_AT, MERGED_VECTOR, MERGED_TYPES, MERGED_URIS})
_TYPE_KEYS = ("memory_type", "type")
_HASH_KEY = "content_hash"
_VERSION_KEY = "version"
_CANCELLED = 1e-6


class SurvivorRule(StrEnum):
    """Which member of a group keeps its id."""

    OLDEST = "oldest"
    NEWEST = "newest"
    LONGEST = "longest"
    MOST_METADATA = "most-metadata"


class CreatedRule(StrEnum):
    """Which member's time of creation the merged memory carries, and so by which day it is found."""

    EARLIEST = "earliest"
    LATEST = "latest"


def choose_survivor(records: Sequence[MemoryRecord], rule: SurvivorRule) -> int:
    """Index of the survivor: the record of the smallest `survivor_rank`."""
    return min(range(len(records)), key=lambda index: survivor_rank(records[index], rule))


def survivor_rank(record: MemoryRecord, rule: SurvivorRule) -> tuple[Any, ...]:
    """Sorts records by how well they survive. Those without a time come last; ties go to the smallest key."""
    match rule:
        case SurvivorRule.OLDEST:
            wanted = (record.created is None, record.created or 0.0)
        case SurvivorRule.NEWEST:
            wanted = (record.created is None, -(record.created or 0.0))
        case SurvivorRule.LONGEST:
            wanted = (record.text is None, -len(record.text or ""))
        case SurvivorRule.MOST_METADATA:
            said = sum(not _is_empty(value) for value in record.metadata.values())
            wanted = (False, -(said + len(record.tags)))
    return (*wanted, record.key)


def merge_records(
    records: Sequence[MemoryRecord],
    survivor: int,
    *,
    now: float,
    text: str | None = None,
    created: CreatedRule = CreatedRule.EARLIEST,
    store: Capabilities | None = None,
) -> Result:
    """What the survivor will say once the other records are gone.

    The vector is the members' mean where all have a sound one of the same dimension, which keeps each of them
    findable; else the survivor's own where its text stays; else it is embedded. The metadata says which.

    Args:
        survivor: index of the record that stays.
        now: seconds since 1970 UTC, the time of the change.
        text: the person's own wording; None: the union of all texts.
        created: whose time of creation it carries.
        store: what the store can hold that they are in; None: as little as any.
    """
    held = store or NARROWEST
    records = [replace(record, metadata=meant(record.metadata, held)) for record in records]
    own = records[survivor]
    united = _united_text(records, survivor)
    said = united if text is None else text
    known = {united, *(record.text for record in records)}
    rule = _vector_rule(records, own, said, edited=said not in known)
    result = Result(
        text=said,
        tags=_united_tags(records, survivor),
        created=_moment(created, [record.created for record in records if record.created is not None]),
        updated=now,
        uri=next((record.uri for record in _survivor_first(records, survivor) if record.uri is not None), None),
        vector=rule,
    )
    metadata = merge_metadata(records, survivor) | _provenance(records, survivor, result)
    return replace(result, metadata=guarded(_restated(metadata, records, own, result), held))


def merge_metadata(records: Sequence[MemoryRecord], survivor: int) -> Metadata:
    """The members' metadata in one: equal values once, differing ones as the list of all, the survivor's first.

    Four kinds of values stay the survivor's: tags and times that a service keeps in the metadata (united and
    chosen, they are stated by `merge_records`), the content hash, `memory_type`/`type`, by which services
    filter: a list there would hide the memory, and `version`, to which hdev adds one. What is carried for a later store
    (`model.carried`) says who a memory was, and goes with it. Null and "" say nothing and conflict with nothing.

    Args:
        records: their metadata mean what they say.
    """
    single = {_HASH_KEY, *_TYPE_KEYS, _VERSION_KEY, *_stated_keys(records), *_PROVENANCE}
    merged: Metadata = {}
    for record in _survivor_first(records, survivor):
        for key, value in record.metadata.items():
            if key == CARRIED and record is not records[survivor]:
                continue
            if _is_empty(merged.get(key)):
                merged[key] = merged.get(key, value) if _is_empty(value) else value
            elif key not in single and not _is_empty(value) and canonical_json(value) != canonical_json(merged[key]):
                merged[key] = _united([merged[key], value])
    return merged


def mean_vector(vectors: Sequence[Vector], metric: str) -> Vector:
    """The mean of the vectors' directions: of length 1 for "cosine", else of the vectors' mean length.

    Equal vectors give that vector as it is. Where the directions cancel out, the first vector stands for all.

    Args:
        vectors: at least one; finite, not zero, all of one dimension.
        metric: "cosine", "l2" or "ip".
    """
    rows = np.stack(vectors).astype(np.float64)
    if (rows == rows[0]).all():
        return np.asarray(vectors[0], dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1)
    mean = (rows / lengths[:, None]).mean(axis=0)
    length = np.linalg.norm(mean)
    direction = mean / length if length > _CANCELLED else rows[0] / lengths[0]
    return np.asarray(direction if metric == "cosine" else direction * lengths.mean(), dtype=np.float32)


def _moment(rule: CreatedRule, moments: Sequence[float]) -> float | None:
    choose = min if rule is CreatedRule.EARLIEST else max
    return choose(moments, default=None)


def _united_text(records: Sequence[MemoryRecord], survivor: int) -> str | None:
    ordered = [record.text for record in _survivor_first(records, survivor) if record.text is not None]
    return merge_texts(ordered).text if ordered else None


def _united_tags(records: Sequence[MemoryRecord], survivor: int) -> tuple[str, ...]:
    tags = (tag for record in _survivor_first(records, survivor) for tag in record.tags)
    return tuple(dict.fromkeys(tag for tag in tags if tag != CONFLICT_TAG))


def _vector_rule(records: Sequence[MemoryRecord], own: MemoryRecord, said: str | None, edited: bool) -> VectorRule:
    if all(record.embedding is None for record in records):
        return VectorRule.KEEP
    dimensions = {None if record.embedding is None else len(record.embedding) for record in records}
    if not edited and len(dimensions) == 1 and all(_is_sound(record.embedding) for record in records):
        return VectorRule.MEAN
    return VectorRule.KEEP if said == own.text and own.embedding is not None else VectorRule.EMBED


def _is_sound(vector: Vector | None) -> bool:
    return vector is not None and bool(np.isfinite(vector).all() and vector.any())


def _provenance(records: Sequence[MemoryRecord], survivor: int, result: Result) -> Metadata:
    """Where the merged record comes from: added to what earlier merges noted."""
    own = records[survivor]
    members = [record for index, record in enumerate(records) if index != survivor]
    noted = [record.metadata for record in _survivor_first(records, survivor)]
    types = {key: next((said[key] for said in noted if not _is_empty(said.get(key))), None) for key in _TYPE_KEYS}
    lists = {
        MERGED_FROM: [record.key.id if record.key.collection == own.key.collection else str(record.key)
                      for record in members],
        MERGED_TYPES: [said[key] for said in noted for key in _TYPE_KEYS if not _is_empty(said.get(key))],
        MERGED_URIS: [record.uri for record in members if record.uri is not None],
    }
    there_already: dict[str, list[Any]] = {
        MERGED_FROM: [own.key.id],
        MERGED_TYPES: list(types.values()),
        MERGED_URIS: [result.uri],
    }
    provenance: Metadata = {MERGED_AT: iso(result.updated or 0.0)}
    for key, new in lists.items():
        united = _united([*(said.get(key, []) for said in noted), new])
        left = [value for value in united if value not in there_already[key]]
        if left:
            provenance[key] = left
    if any(record.embedding is not None for record in records):
        provenance[MERGED_VECTOR] = VECTOR_ORIGIN[result.vector]
    return provenance


def _stated_keys(records: Sequence[MemoryRecord]) -> set[str]:
    """Metadata keys that say the records' tags and times, in stores that keep these there."""
    meanings = [(read(record.metadata), record) for record in records]
    says = (
        (TAG_KEYS, all(meant.tags == record.tags for meant, record in meanings)),
        (CREATED_KEYS, all(meant.created == record.created for meant, record in meanings)),
        (UPDATED_KEYS, all(meant.updated == record.updated for meant, record in meanings)),
    )
    present = {key for record in records for key in record.metadata}
    return {key for keys, agrees in says if agrees for key in keys if present & set(keys)}


def _restated(
    metadata: Metadata, records: Sequence[MemoryRecord], own: MemoryRecord, result: Result
) -> Metadata:
    """The metadata with the new tags, times and text in the keys that say these."""
    stated = _stated_keys(records)
    same_text = result.text == own.text and _HASH_KEY in own.metadata
    return restate(
        metadata,
        tags=result.tags if stated.intersection(TAG_KEYS) else read(metadata).tags,
        created=result.created if stated.intersection(CREATED_KEYS) else None,
        updated=result.updated if stated.intersection(UPDATED_KEYS) else None,
        text=None if same_text else result.text,
    )


def _united(values: Iterable[Any]) -> Any:
    """The distinct values in order, lists taken apart; a list only if there are several or one was a list."""
    values = list(values)
    items = [item for value in values for item in (value if isinstance(value, list) else [value])]
    distinct = list({canonical_json(item): item for item in items}.values())
    return distinct if len(distinct) > 1 or any(isinstance(value, list) for value in values) else distinct[0]


def _survivor_first(records: Sequence[MemoryRecord], survivor: int) -> list[MemoryRecord]:
    return [records[survivor], *(record for index, record in enumerate(records) if index != survivor)]


def _is_empty(value: Any) -> bool:
    return value is None or value == ""
