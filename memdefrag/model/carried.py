"""What a store has no place for travels in the metadata, so that a later store that has a place gets it back. Pure.

Under the key ``memdefrag_carried`` stands an object with those of `id`, `uri`, `owner`, `created`, `updated`, `tags`
and `extras` that the store would have dropped. Stores without nested values hold it as `model.codec` escapes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from memdefrag.model.codec import unfit
from memdefrag.model.records import Key, MemoryRecord, Metadata

CARRIED = "memdefrag_carried"
SAME_MOMENT = 0.001
"""Seconds. Databases that keep milliseconds lose nothing that anybody would see."""

Fit = Callable[[MemoryRecord], tuple[MemoryRecord, tuple[str, ...]]]
_PLAIN = ("uri", "owner", "tags")
_TIMES = ("created", "updated")


def carry(record: MemoryRecord, key: Key, fit: Fit) -> tuple[MemoryRecord, tuple[str, ...]]:
    """The record fitted under `key`, with what `fit` would have dropped in its metadata; and what is lost all the
    same, in words."""
    named = record.with_key(key)
    fitted, losses = fit(named)
    dropped = _dropped(named, fitted)
    if key.id != record.key.id:
        dropped["id"] = record.key.id
    if not dropped:
        return fitted, losses
    kept = {name: value for name, value in named.extras.items() if name not in dropped.get("extras", {})}
    packed = replace(
        named,
        extras=kept,
        metadata={**named.metadata, CARRIED: dropped},
        **{name: getattr(fitted, name) for name in (*_PLAIN, *_TIMES) if name in dropped},
    )
    return fit(packed)


def uncarry(record: MemoryRecord) -> MemoryRecord:
    """The record with everything back in its place that an earlier store had none for; its id too."""
    told = unfit({CARRIED: record.metadata.get(CARRIED)})[CARRIED]
    if not isinstance(told, dict):
        return record
    metadata = {name: value for name, value in record.metadata.items() if name != CARRIED}
    extras = told.get("extras")
    return replace(
        record,
        key=Key(record.key.collection, _as(str, told, "id", record.key.id)),
        metadata=metadata,
        uri=record.uri or _as(str, told, "uri", None),
        owner=record.owner or _as(str, told, "owner", None),
        tags=record.tags or tuple(tag for tag in _as(list, told, "tags", []) if isinstance(tag, str)),
        created=_as(float, told, "created", None) if record.created is None else record.created,
        updated=_as(float, told, "updated", None) if record.updated is None else record.updated,
        extras={**(extras if isinstance(extras, dict) else {}), **record.extras},
    )


def _dropped(record: MemoryRecord, fitted: MemoryRecord) -> Metadata:
    """What of a record its fitted form no longer says."""
    dropped: Metadata = {}
    for name in _PLAIN:
        value = getattr(record, name)
        if value and not getattr(fitted, name):
            dropped[name] = list(value) if isinstance(value, tuple) else value
    for name in _TIMES:
        value, found = getattr(record, name), getattr(fitted, name)
        if value is not None and (found is None or abs(found - value) > SAME_MOMENT):
            dropped[name] = value
    extras = {name: value for name, value in record.extras.items() if name not in fitted.extras}
    return {**dropped, "extras": extras} if extras else dropped


def _as(kind: type[Any], told: Metadata, name: str, otherwise: Any) -> Any:
    """The value of that name where it is of the kind it must be."""
    value = told.get(name)
    return value if isinstance(value, kind) else otherwise
