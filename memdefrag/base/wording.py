"""Numbers, sizes, times and strange texts as people read them."""

from __future__ import annotations

import unicodedata
from datetime import datetime

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def count(number: int, one: str, many: str | None = None) -> str:
    """1 as "1 memory", 2 as "2 memories"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(number: float) -> str:
    """Bytes in decimal units: 1,234,567 as "1.2 MB"."""
    unit = 0
    while abs(number) >= 999.5 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    if unit == 0:
        return count(int(number), "byte")
    return f"{number:.0f} {_UNITS[unit]}" if abs(number) >= 99.5 else f"{number:.1f} {_UNITS[unit]}"


def moment(seconds: float | None) -> str:
    """Seconds since 1970 as local date and time; empty where unknown."""
    if not seconds:
        return ""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return ""


def day(seconds: float | None) -> str:
    """Seconds since 1970 as a local date; empty where unknown."""
    return moment(seconds)[:10]


def clock(seconds: float) -> str:
    """Seconds since 1970 as the local time of day: "14:03"."""
    return datetime.fromtimestamp(seconds).strftime("%H:%M")


def plain(text: str) -> str:
    """The text with control characters, escape sequences and direction overrides made harmless.

    Line breaks and tabs stay; everything else that a terminal might obey becomes U+FFFD.
    """
    return "".join("\ufffd" if _is_obeyed(character) else character for character in text)


def _is_obeyed(character: str) -> bool:
    if character in "\n\t":
        return False
    return character in _BIDI or unicodedata.category(character) in ("Cc", "Cs")
