"""Which memories of a source take part in a migration. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from datetime import datetime

from memdefrag.base.errors import UsageError
from memdefrag.model.migration import Selection
from memdefrag.model.records import MemoryRecord
from memdefrag.model.service_metadata import moment

_SPAN = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[mhdw])", re.I)
_SECONDS = {"m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_DATE_DIGITS = 8
_EARLIEST = 1e8
"""Seconds; what is smaller is rather a year or a number of days than a moment before March 1973."""


def chosen(records: Iterable[MemoryRecord], selection: Selection) -> list[MemoryRecord]:
    """The records that take part, in their order, whatever their state."""
    return [record for record in records if _is_chosen(record, selection)]


def parse_since(text: str, now: float | None = None) -> float:
    """The moment that a person means, in seconds since 1970 UTC.

    Args:
        text: an ISO 8601 date or date and time (local time unless it names a zone), seconds since 1970, or how long
            ago: a number followed by m, h, d or w.
        now: seconds since 1970, from which is counted back; None: now.

    Raises:
        UsageError: it is none of these.
    """
    given = text.strip()
    span = _SPAN.fullmatch(given)
    if span:
        ago = float(span["number"]) * _SECONDS[span["unit"].lower()]
        return (time.time() if now is None else now) - ago
    told = _epoch(given) if _NUMBER.fullmatch(given) and len(given) != _DATE_DIGITS else _iso(given)
    if told is None:
        raise UsageError(
            f"--since wants a date or a moment, not {text!r}.",
            todo="Say 2025-03-01, 2025-03-01T14:30, 2025-03-01T14:30Z, 7d, 24h, or seconds since 1970.",
        )
    return told


def parse_where(pairs: Sequence[str]) -> dict[str, str]:
    """Metadata keys and the values they must have, from texts ``KEY=VALUE``.

    Raises:
        UsageError: a text without a key or an equals sign, or two values for one key, which no memory has.
    """
    wanted: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--where wants KEY=VALUE, not {pair!r}.")
        if wanted.setdefault(key, value) != value:
            raise UsageError(f"--where names two values for {key!r}: {wanted[key]!r} and {value!r}.")
    return wanted


def _is_chosen(record: MemoryRecord, selection: Selection) -> bool:
    return (
        record.key.id.startswith(selection.prefix)
        and all(str(record.metadata.get(key)) == value for key, value in selection.where.items())
        and selection.tags <= frozenset(record.tags)
        and (selection.since is None or _is_since(record, selection.since))
    )


def _is_since(record: MemoryRecord, since: float) -> bool:
    moments = [told for told in (record.created, record.updated) if told is not None]
    return not moments or max(moments) >= since


def _epoch(text: str) -> float | None:
    seconds = moment(text)
    return seconds if seconds is not None and seconds >= _EARLIEST else None


def _iso(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
