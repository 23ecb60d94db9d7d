"""The person's own queries, read from a file: what searches must find after a change as they did before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memdefrag.base import foreign_json
from memdefrag.base.errors import UsageError

_SHAPE = 'Write one query per line, or one JSON object per line: {"query": "…", "expect": ["ID", …]}.'


@dataclass(frozen=True, slots=True)
class Query:
    """Words to search for.

    Attributes:
        expect: the memories that are to be found, as ID or COLLECTION/ID; empty: whatever is found before.
    """

    text: str
    expect: tuple[str, ...] = ()


def read(path: Path) -> tuple[Query, ...]:
    """The queries of a file of UTF-8 text: one per line, or JSON lines with "query" and, optionally, "expect".

    Raises:
        UsageError: the file cannot be read, or a line that begins like JSON is none, or has no query.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The queries in {path} cannot be read: {error}.", todo=_SHAPE) from error
    found = [_query(line.strip(), f"Line {number} of {path}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise UsageError(f"There is no query in {path}.", todo=_SHAPE)
    return tuple(found)


def _query(line: str, where: str) -> Query:
    if not line.startswith("{"):
        return Query(line)
    try:
        said: Any = foreign_json.parse(line.encode())
    except ValueError as error:
        raise UsageError(f"{where} is not JSON: {error}.", todo=_SHAPE) from error
    text, expect = said.get("query"), said.get("expect") or []
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f'{where} has no "query".', todo=_SHAPE)
    if not isinstance(expect, list) or not all(isinstance(id, str) for id in expect):
        raise UsageError(f'{where}: "expect" is a list of ids.', todo=_SHAPE)
    return Query(text, tuple(expect))
