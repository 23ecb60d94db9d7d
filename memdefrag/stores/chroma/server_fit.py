"""What a Chroma server makes of a record's metadata, told beforehand. Pure.

A server of Chroma 1.x parses a request's JSON, notes it as JSON in its log and parses that again, both times with
serde_json's fast way to read decimals, which is off by the last digit for about one in eight numbers that have all
of their 17 digits (measured against 1.5.9). Which number comes out is known, so `fit` says it. Up to 0.6 the server
is Python and keeps every number.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from math import isfinite
from typing import Any

from memdefrag.model.codec import ESCAPE, clean, is_clean
from memdefrag.model.records import MemoryRecord, Metadata
from memdefrag.model.service_metadata import read

RENAMED = "memdefrag:key:"
"""Before a metadata key that the server does not take."""

RESERVED = "chroma:"
"""Keys that mean the document or the uri. To unset one of them stops a 1.x server's index until it is restarted."""

MOST_BYTES = 40 << 20
"""What a 1.x server takes in one request, unless it is set up otherwise (`max_payload_size_bytes`; seen in 1.5.9)."""

_REFUSED = ("#", "$")
_AROUND = 2_000
"""Bytes of a request beside the record."""

_EXACT_DIGITS, _EXACT_POWER = 2**53, 22
_GREATEST_POWER = 308
_ROUNDS = 20


def fit_metadata(record: MemoryRecord, *, is_rust: bool) -> tuple[MemoryRecord, list[str]]:
    """A record that is otherwise fitted, as the server will give its metadata back; and what gets lost.

    Args:
        is_rust: the server is Chroma 1.0 or newer.
    """
    record, losses = with_taken_keys(record, is_rust=is_rust)
    metadata: Metadata = {}
    for name, value in record.metadata.items():
        metadata[name] = _each(value, kept_decimal if is_rust else _without_sign_of_zero)
        if metadata[name] != value:
            losses.append(f"the last digit of {name!r} (the server rounds it)")
    return replace(record, metadata=metadata, **read(metadata)._asdict()), losses


def with_taken_keys(record: MemoryRecord, *, is_rust: bool) -> tuple[MemoryRecord, list[str]]:
    """A record whose metadata have other names in the place of those that Chroma refuses or that are no Unicode; and
    which, in words."""
    odd = [key for key in record.metadata if is_refused(key, is_rust=is_rust) or not is_clean(key)]
    if not odd:
        return record, []
    names: dict[str, str] = {}
    for key in odd:
        name = clean(RENAMED + key if is_refused(key, is_rust=is_rust) else key)
        while name in record.metadata or name in names.values():
            name += "?"
        names[key] = name
    metadata = {names.get(key, key): value for key, value in record.metadata.items()}
    return replace(record, metadata=metadata), [f"the name of {key!r} (kept as {names[key]!r})" for key in names]


def is_refused(key: str, *, is_rust: bool) -> bool:
    """Whether Chroma refuses a metadata key, or takes it for something else."""
    return key.startswith(RESERVED) or (is_rust and (not key or key.startswith(_REFUSED)))


def too_large(record: MemoryRecord) -> str | None:
    """Why one request to a 1.x server cannot hold the record, in words; None when it can."""
    vector = 0 if record.embedding is None else 2 * record.embedding.nbytes
    size = len(json.dumps([record.key.id, record.text, record.uri, record.metadata])) + vector + _AROUND
    if size <= MOST_BYTES:
        return None
    return f"it takes {size:,} bytes, and the server {MOST_BYTES:,} in one request"


def kept_decimal(value: float) -> float | str:
    """The nearest number that a 1.x server gives back as it was given; JSON text where there is none.

    >>> kept_decimal(1750303248.8206499)
    1750303248.82065
    """
    kept = value
    for _ in range(_ROUNDS):
        read_back = _parsed(_parsed(kept))
        if read_back == kept:
            return read_back
        if not isfinite(read_back):
            break
        kept = read_back
    return f"{ESCAPE}{value!r}"


def _parsed(value: float) -> float:
    """What serde_json makes of a number's shortest digits: digits times or divided by a power of ten, rounded twice.

    Source: `f64_from_parts` in serde_json's src/de.rs, without its feature float_roundtrip.
    """
    if value == 0 or not isfinite(value):
        return value + 0.0
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    whole = int("".join(map(str, digits)))
    if whole < _EXACT_DIGITS and abs(exponent) <= _EXACT_POWER:
        return value
    result = float(whole)
    while abs(exponent) > _GREATEST_POWER:
        result /= 1e308
        exponent += _GREATEST_POWER
    power = float(f"1e{abs(exponent)}")
    result = result * power if exponent >= 0 else result / power
    return -result if sign else result


def _without_sign_of_zero(value: float) -> float:
    """SQLite has one zero."""
    return value + 0.0


def _each(value: Any, kept: Callable[[float], float | str]) -> Any:
    """The value with all its decimals, also those in a list, as they are kept."""
    if isinstance(value, float):
        return kept(value)
    if isinstance(value, list) and value and isinstance(value[0], float):
        items = [kept(item) for item in value]
        return items if all(isinstance(item, float) for item in items) else f"{ESCAPE}{value!r}"
    return value
