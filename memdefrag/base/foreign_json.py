"""JSON that strangers wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

DEEPEST = 100
"""Lists and objects inside each other; what is deeper could be read here and fail to be written elsewhere."""


def parse(text: str | bytes, *, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or nested deeper than `DEEPEST`, or holds an integer beyond Python's limit of digits.
    """
    try:
        value = json.loads(text, parse_constant=parse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if _openings(text) > DEEPEST and _is_deep(value):
        raise ValueError("nested too deeply")
    return value


def _openings(text: str | bytes) -> int:
    """How deep it can be at most; cheap to know."""
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)
