"""What a store has no place for travels in the metadata, so that a later store that has a place gets it back. Pure.

Under the key ``memdefrag_carried`` stands an object with those of `id`, `uri`, `owner`, `created`, `updated`, `tags`
and `extras` that the store would have dropped; and what the metadata said under this key of their own accord. Tags that
the store spells in its own way stand there with that spelling (`spelled`), and come back unless somebody edited them
there. `metadata` are those by which the store would have taken a live memory for a deleted or replaced one, or for a
piece. Stores without nested values hold it as `model.codec` escapes it.

Programs copy metadata from one memory to another, and anybody can write such an object. It fills only what the memory
itself says nothing of; and who a memory is and whose (`id`, `owner`) it says only with a checksum (`check`) over the
two and the id under which `carry` put it. Whoever wants to can compute that, too: an id that another memory has is a
conflict like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from memdefrag.model.codec import unfit
from memdefrag.model.hashing import canonical_json
from memdefrag.model.records import DEAD, Key, MemoryRecord, Metadata, State
from memdefrag.model.service_metadata import CREATED_KEYS, STATE_KEYS, TAG_KEYS, UPDATED_KEYS, moment, read

CARRIED = "memdefrag_carried"
SAME_MOMENT = 0.001
"""Seconds. Databases that keep milliseconds lose nothing that anybody would see."""

_LAST_DIGIT = 1e-6
"""Seconds: more than the next number is away from any time of ours."""

Fit = Callable[[MemoryRecord], tuple[MemoryRecord, tuple[str, ...]]]
_PLAIN = ("uri", "owner", "tags")
_TIMES = ("created", "updated")
_KINDS: dict[str, type] = {
    "id": str, "uri": str, "owner": str, "created": float, "updated": float, "tags": list, "spelled": list,
    "extras": dict, "metadata": dict, "check": str,
}  # fmt: skip
_PROVED = ("id", "owner")
_CHECK_DIGITS = 16
_TAKEN_FOR = {
    State.DELETED: "a deleted one", State.SUPERSEDED: "a superseded one", State.CHUNK: "a piece of another",
}  # fmt: skip


def carry(
    record: MemoryRecord, key: Key, fit: Fit, tags: tuple[str, ...] | None = None
) -> tuple[MemoryRecord, tuple[str, ...]]:
    """The record fitted under `key`, with what `fit` would have dropped in its metadata; and what is lost all the
    same, in words.

    Args:
        tags: as the memory has them where it comes from; None: as the record has them.
    """
    named = record.with_key(key)
    fitted, losses = fit(named)
    dropped = _dropped(named, fitted, named.tags if tags is None else tags)
    if key.id != record.key.id:
        dropped["id"] = record.key.id
    if not dropped and _told(record.metadata) is None:
        return fitted, (*losses, *_overruled(named, fitted))
    if not dropped.keys().isdisjoint(_PROVED):
        dropped["check"] = _check(key.id, dropped)
    if CARRIED in record.metadata:
        dropped[CARRIED] = record.metadata[CARRIED]
    kept = {name: value for name, value in named.extras.items() if name not in dropped.get("extras", {})}
    aside = dropped.get("metadata", {})
    packed = replace(
        named,
        extras=kept,
        metadata={**{name: value for name, value in named.metadata.items() if name not in aside}, CARRIED: dropped},
        **{name: getattr(fitted, name) for name in (*_PLAIN, *_TIMES) if name in dropped},
    )
    fitted, losses = fit(packed)
    return fitted, (*losses, *_moved(dropped), *_overruled(packed, fitted))


def _moved(dropped: Metadata) -> list[str]:
    """What comes back later, but until then is not where the store's own people would look for it."""
    told = ["the spelling of the tags (the store writes them in its own way)"] if "spelled" in dropped else []
    return told + [
        f"the place of {name!r} (kept aside: the store would take the memory for {_TAKEN_FOR[STATE_KEYS[name]]})"
        for name in dropped.get("metadata", {})
    ]


def _overruled(record: MemoryRecord, fitted: MemoryRecord) -> list[str]:
    """The metadata that spoke of other tags or times than the memory's own, and had to give way to these."""
    if fitted.metadata is record.metadata:
        return []
    told = [key for key in TAG_KEYS if _tags(record, key) != _tags(fitted, key)]
    for key in (*CREATED_KEYS, *UPDATED_KEYS):
        said, now = record.metadata.get(key), fitted.metadata.get(key)
        if said != now and not _is_rounded(moment(said), moment(unfit({key: now})[key])):
            told.append(key)
    return [f"the value of {key!r}" for key in told if key in record.metadata]


def _is_rounded(said: float | None, now: float | None) -> bool:
    """Whether a time is the same but for its last digit, of which the store tells by itself."""
    return said == now or (said is not None and now is not None and abs(said - now) < _LAST_DIGIT)


def _tags(record: MemoryRecord, key: str) -> tuple[str, ...]:
    return read({key: record.metadata.get(key)}).tags


def uncarry(record: MemoryRecord) -> MemoryRecord:
    """The record with everything back in its place that an earlier store had none for; its id too.

    What `carry` cannot have written under its key, or not for this memory, is metadata like any other.
    """
    told = _told(record.metadata)
    if told is None:
        return record
    metadata = {name: value for name, value in record.metadata.items() if name != CARRIED}
    if told.get("check") != _check(record.key.id, told):
        unproved = {name: told.pop(name) for name in (*_PROVED, "check") if name in told}
        if unproved:
            told[CARRIED] = {**unproved, CARRIED: told[CARRIED]} if CARRIED in told else unproved
    metadata = {**told.get("metadata", {}), **metadata}
    unedited = list(record.tags) == told.get("spelled", [])
    return replace(
        record,
        key=Key(record.key.collection, told.get("id", record.key.id)),
        metadata={**metadata, CARRIED: told[CARRIED]} if CARRIED in told else metadata,
        uri=record.uri or told.get("uri"),
        owner=record.owner or told.get("owner"),
        tags=tuple(told["tags"]) if unedited and "tags" in told else record.tags,
        created=told.get("created") if record.created is None else record.created,
        updated=told.get("updated") if record.updated is None else record.updated,
        extras={**told.get("extras", {}), **record.extras},
    )


def _told(metadata: Metadata) -> Metadata | None:
    """What is carried in the metadata; None: nothing, or what stands there is not of our making."""
    told = unfit({CARRIED: metadata.get(CARRIED)})[CARRIED]
    if not isinstance(told, dict) or not told:
        return None
    ours = all(name == CARRIED or isinstance(value, _KINDS.get(name, ())) for name, value in told.items())
    tags = (*told.get("tags", ()), *told.get("spelled", ())) if ours else ()
    return dict(told) if ours and all(isinstance(tag, str) for tag in tags) else None


def _check(id: str, told: Metadata) -> str:
    """What proves that `told` was put there with the memory of this id."""
    said = canonical_json([id, *(told.get(name) for name in _PROVED)])
    return hashlib.sha256(said).hexdigest()[:_CHECK_DIGITS]


def misread(record: MemoryRecord, fitted: MemoryRecord) -> Metadata:
    """The metadata by which a store takes a memory that is not dead, as it was fitted, for what it is not."""
    if record.state in DEAD or fitted.state is record.state:
        return {}
    return {
        name: record.metadata[name]
        for name, state in STATE_KEYS.items()
        if name in record.metadata and state is not record.state
    }


def _dropped(record: MemoryRecord, fitted: MemoryRecord, tags: tuple[str, ...]) -> Metadata:
    """What of a record its fitted form no longer says, or says under a name that means something else there."""
    dropped: Metadata = {}
    for name in ("uri", "owner"):
        if getattr(record, name) and not getattr(fitted, name):
            dropped[name] = getattr(record, name)
    if tags != fitted.tags:
        dropped["tags"] = list(tags)
        if fitted.tags:
            dropped["spelled"] = list(fitted.tags)
    for name in _TIMES:
        value, found = getattr(record, name), getattr(fitted, name)
        if value is not None and (found is None or abs(found - value) > SAME_MOMENT):
            dropped[name] = value
    extras = {name: value for name, value in record.extras.items() if name not in fitted.extras}
    marks = misread(record, fitted)
    if marks:
        dropped["metadata"] = marks
    return {**dropped, "extras": extras} if extras else dropped
