"""What PostgreSQL's text forms mean, and the text forms of what we mean. Pure.

Every value is read as the server prints it (``column::text``, ``DateStyle`` ISO, ``TimeZone`` UTC) and handed back as
text that the server reads by the column's own type, so that nothing passes through a type of ours that holds less.
The forms: https://www.postgresql.org/docs/current/datatype.html; a vector's is pgvector's ``[1,2,3]``.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from math import isfinite
from typing import Any

import numpy as np

from memdefrag.model.records import Metadata, Vector

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"|([^",{}\\]+)', re.S)
_ESCAPED = re.compile(r"\\(.)", re.S)
_PLAIN_ITEM = re.compile(r'[^"\\{},\s]+', re.ASCII)


def read_array(raw: str) -> tuple[str, ...] | None:
    """The texts of a one-dimensional ``text[]``; None for any other array."""
    if not (raw.startswith("{") and raw.endswith("}")):
        return None
    items, rest = [], raw[1:-1]
    while rest:
        match = _ITEM.match(rest)
        if match is None or (match[2] and match[2].upper() == "NULL"):
            return None
        items.append(_ESCAPED.sub(r"\1", match[1]) if match[2] is None else match[2])
        rest = rest[match.end() :]
        if rest and not rest.startswith(","):
            return None
        rest = rest[1:]
    return tuple(items)


def write_array(items: tuple[str, ...]) -> str:
    return "{" + ",".join(_array_item(item) for item in items) + "}"


def _array_item(item: str) -> str:
    if _PLAIN_ITEM.fullmatch(item) and item.upper() != "NULL":
        return item
    return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'


def read_object(raw: str) -> Metadata | None:
    """The members of a JSON object; None where it is something else, or holds numbers that Python cannot."""
    try:
        value = json.loads(raw, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


def write_json(value: Any) -> str:
    """JSON as ``jsonb`` prints it. Floats keep a decimal point, without which they would come back as integers."""
    if isinstance(value, float):
        fixed = format(Decimal(repr(value + 0.0)), "f")
        return fixed if "." in fixed else fixed + ".0"
    if isinstance(value, list):
        return "[" + ", ".join(write_json(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_json_text(key)}: {write_json(item)}" for key, item in value.items()) + "}"
    return _json_text(value) if isinstance(value, str) else json.dumps(value)


def _json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def read_time(raw: str) -> float | None:
    """Seconds since 1970 UTC of a ``timestamp`` (taken as UTC) or ``timestamptz``; None for infinity and far years."""
    try:
        moment = datetime.fromisoformat(raw)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH).total_seconds()


def write_time(seconds: float, digits: int, *, zone: bool) -> str | None:
    """A moment as the server prints it, rounded to the column's fractional digits; None where it has no such form."""
    try:
        rounded = Decimal(repr(seconds)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
        moment = _EPOCH + timedelta(microseconds=int(rounded * 1_000_000))
    except (OverflowError, ArithmeticError, ValueError):
        return None
    text = moment.replace(tzinfo=None).isoformat(" ")
    return (text.rstrip("0") if "." in text else text) + ("+00" if zone else "")


def read_vector(raw: str) -> Vector | None:
    """The numbers of a ``vector`` (``[…]``) or of a one-dimensional array of them (``{…}``); None for anything else."""
    if raw[:1] + raw[-1:] not in ("[]", "{}"):
        return None
    try:
        with np.errstate(over="ignore"):
            numbers = np.array([float(part) for part in raw[1:-1].split(",")], np.float32)
    except ValueError:
        return None
    return numbers


def write_vector(vector: Vector, *, array: bool) -> str:
    body = ",".join(map(repr, vector.tolist()))
    return "{" + body + "}" if array else "[" + body + "]"
