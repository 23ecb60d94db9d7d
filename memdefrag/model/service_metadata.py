"""What Memory Service metadata means, and how to restate it.

mcp-memory-service wrote tags as a JSON array string, a comma string or a real list, in `tags` and, after
edits, `tags_str`; and times as float, int, numeric string or ISO string under five names. Two encodings often
meet in one collection. Every store of such records reads and writes their meaning through this module.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, NamedTuple

from memdefrag.model.records import Metadata, State

TAG_KEYS = ("tags_str", "tags")
CREATED_KEYS = ("created_at", "timestamp_float", "timestamp", "created_at_iso", "timestamp_str")
UPDATED_KEYS = ("updated_at", "updated_at_iso")
"""In the order in which they are believed."""
STATE_KEYS = {"deleted_at": State.DELETED, "superseded_by": State.SUPERSEDED, "is_chunk": State.CHUNK}
"""What makes a memory other than live, the first that is there first."""

_HASH = re.compile("[0-9a-f]{64}")
_NUMERIC_CREATED = CREATED_KEYS[:3]
_NEW_CREATED = ("timestamp", "created_at_iso")
_NEW_UPDATED = UPDATED_KEYS
"""Written where a record has none of the keys: what the service's last Chroma version wrote."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_SECONDS = 1e11
"""Larger numbers (from the year 5138 on) count milli-, micro- or nanoseconds."""
_SAME_MOMENT = 1e-6


class Meaning(NamedTuple):
    """What a record's metadata says of it; times in seconds since 1970 UTC."""

    tags: tuple[str, ...]
    created: float | None
    updated: float | None
    state: State


def read(metadata: Metadata) -> Meaning:
    """What the metadata means. Nothing in it makes this fail; what cannot be understood says nothing."""
    get = metadata.get
    raw = get("tags_str")
    if raw is None:
        raw = get("tags")
    return Meaning(
        _tags(raw) if raw else (),
        _first_moment(metadata, CREATED_KEYS),
        _first_moment(metadata, UPDATED_KEYS),
        state_of(metadata),
    )


def restate(
    metadata: Metadata,
    *,
    tags: Sequence[str],
    created: float | None,
    updated: float | None,
    text: str | None = None,
) -> Metadata:
    """A copy of the metadata that says these tags and times in the keys and encodings it already has.

    Tags or a time that it already means stay as they are, to the byte; otherwise every key that tells them is
    made true. Tags must not be empty strings.

    Args:
        created, updated: seconds since 1970 UTC. None: left as it is.
        text: the record's new text, when it changed: a `content_hash` that is there is computed anew.
    """
    stated = dict(metadata)
    meant = read(metadata)
    if tuple(tags) != meant.tags:
        for key in [key for key in TAG_KEYS if key in stated] or ["tags"]:
            stated[key] = _tags_like(stated.get(key), list(tags))
    _restate_time(stated, CREATED_KEYS, _NEW_CREATED, created, meant.created)
    _restate_time(stated, UPDATED_KEYS, _NEW_UPDATED, updated, meant.updated)
    if text is not None and "content_hash" in stated:
        stated["content_hash"] = content_hash(text)
    return stated


def content_hash(text: str) -> str:
    """The service's hash of a text (the text alone, as since its version 10.20.5)."""
    return hashlib.sha256(text.strip().lower().encode("utf-8", "surrogatepass")).hexdigest()


def hash_kept(id: str, text: str | None) -> str:
    """The hash by which the service is to know a memory: an id that is one stays, whatever it was made of."""
    return id if _HASH.fullmatch(id) else content_hash(text or id)


def kind_of(metadata: Metadata) -> str | None:
    """The type of a memory whose metadata holds it, as before the service kept it in a column."""
    kind = metadata.get("memory_type") or metadata.get("type")
    return kind if isinstance(kind, str) else None


def in_columns(metadata: Metadata, id: str) -> Metadata:
    """The metadata as a Memory Defragmenter export holds it: one `timestamp`, a float, and a `content_hash`.

    The export keeps these two in columns and drops `created_at` and `timestamp_float`, which say the same; a
    time that cannot be understood is dropped too. A record without a hash gets its id as one, as the export
    script does.
    """
    folded = {key: value for key, value in metadata.items() if key not in _NUMERIC_CREATED}
    created = _first_moment(metadata, CREATED_KEYS)
    if created is not None:
        folded["timestamp"] = created
    folded["content_hash"] = str(metadata.get("content_hash") or id)
    return folded


def moment(value: Any) -> float | None:
    """Seconds since 1970 UTC of a number, numeric string or ISO 8601 string (UTC unless it says otherwise).

    None where it is none of these, or not finite.
    """
    if type(value) is str:
        try:
            value = float(value)
        except ValueError:
            return _iso_moment(value)
    elif type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            return None
    elif type(value) is not float:
        return None
    if not isfinite(value):
        return None
    seconds: float = value
    while abs(seconds) >= _NOT_SECONDS:
        seconds /= 1000
    return seconds


def iso(seconds: float) -> str:
    """The moment as the service writes it: ``YYYY-MM-DDTHH:MM:SS.ffffffZ``.

    Raises:
        OverflowError: outside the years 1 to 9999.
    """
    when = _EPOCH + timedelta(seconds=seconds)
    return f"{when.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _tags(raw: Any) -> tuple[str, ...]:
    if type(raw) is str:
        if raw[0] == "[" and raw[-1] == "]":
            try:
                return _strings(json.loads(raw))
            except (ValueError, RecursionError):
                pass
        return tuple([tag for part in raw.split(",") if (tag := part.strip())])
    return _strings(raw) if isinstance(raw, list | tuple) else ()


def _strings(items: Sequence[Any]) -> tuple[str, ...]:
    return tuple([item if type(item) is str else str(item) for item in items if item not in (None, "")])


def _first_moment(metadata: Metadata, keys: Sequence[str]) -> float | None:
    """The first believable time; zero is how "unknown" was written."""
    for key in keys:
        value = metadata.get(key)
        if value is not None:
            seconds = moment(value)
            if seconds:
                return seconds
    return None


def state_of(metadata: Metadata) -> State:
    """Whether the memory is live, by its metadata alone."""
    if metadata.get("deleted_at"):
        return State.DELETED
    return State.SUPERSEDED if metadata.get("superseded_by") else piece_of(metadata)


def piece_of(metadata: Metadata) -> State:
    """Whether the memory is a piece of a longer text, or whole and live."""
    chunk = metadata.get("is_chunk")
    return State.CHUNK if chunk and chunk not in ("false", "False", "0") else State.LIVE


def _iso_moment(text: str) -> float | None:
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH).total_seconds()


def _tags_like(old: Any, tags: list[str]) -> Any:
    """The tags in the encoding of `old`; as JSON where a comma string would be read differently.

    No tags are never an empty list, which Chroma refuses.
    """
    if isinstance(old, list | tuple):
        return tags or ""
    if not (isinstance(old, str) and old.startswith("[") and old.endswith("]")):
        joined = ",".join(tags)
        if (_tags(joined) if joined else ()) == tuple(tags):
            return joined
    return json.dumps(tags)


def _restate_time(
    stated: Metadata, keys: Sequence[str], new_keys: Sequence[str], seconds: float | None, meant: float | None
) -> None:
    if seconds is None or not isfinite(seconds):
        return
    if meant is not None and abs(meant - seconds) < _SAME_MOMENT:
        return
    for position, key in enumerate([key for key in keys if key in stated] or new_keys):
        stated[key] = _time_like(key, stated.get(key), seconds, exact=position == 0)


def _time_like(key: str, old: Any, seconds: float, *, exact: bool) -> Any:
    """The moment in the type and unit of `old`. The key that is believed first must be `exact`."""
    numeric = _number(old)
    if numeric is None:
        return _iso_or_digits(seconds) if type(old) is str or key.endswith(("_iso", "_str")) else seconds
    value = seconds * _unit(numeric, seconds)
    if type(numeric) is int and (value.is_integer() or not exact):
        return str(int(value)) if type(old) is str else int(value)
    return repr(value) if type(old) is str else value


def _number(old: Any) -> int | float | None:
    """The value as a number of its own kind, if it is a moment told by a number or a string of one."""
    if moment(old) is None:
        return None
    if type(old) is str:
        for kind in (int, float):
            try:
                return kind(old)
            except ValueError:
                continue
        return None
    return old if type(old) in (int, float) else None


def _unit(old: int | float, seconds: float) -> float:
    """How many of the old value's units make a second, if the new value would be read so too."""
    unit = 1.0
    while abs(old) / unit >= _NOT_SECONDS:
        unit *= 1000
    return unit if unit == 1 or moment(seconds * unit) == seconds else 1.0


def _iso_or_digits(seconds: float) -> str:
    try:
        return iso(seconds)
    except OverflowError:
        return repr(seconds)
