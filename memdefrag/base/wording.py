"""Numbers, sizes and times as people read them."""

from __future__ import annotations

from datetime import datetime

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


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
