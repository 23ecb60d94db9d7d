"""Numbers, sizes and times as people read them."""

from __future__ import annotations

from datetime import datetime

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def thousands(number: int) -> str:
    """12345 as "12,345"."""
    return f"{number:,}"


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


def duration(seconds: float) -> str:
    """Roughly how long: "less than a second", "12 seconds", "3 minutes", "2 hours"."""
    if seconds < 1:
        return "less than a second"
    if seconds < 59.5:
        return count(round(seconds), "second")
    if seconds < 3570:
        return count(round(seconds / 60), "minute")
    return count(round(seconds / 3600), "hour")


def moment(seconds: float | None) -> str:
    """Seconds since 1970 as local date and time; empty where unknown."""
    if not seconds:
        return ""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return ""


def utc_moment(iso: str) -> str:
    """An ISO time as local date and time; the text itself where it is none."""
    try:
        return moment(datetime.fromisoformat(iso).timestamp())
    except ValueError:
        return iso


def day(seconds: float | None) -> str:
    """Seconds since 1970 as a local date; empty where unknown."""
    return moment(seconds)[:10]


def one_line(text: str, length: int) -> str:
    """The beginning of a text without line breaks, cut with an ellipsis."""
    flat = " ".join(text[: length * 2].split())
    return flat if len(flat) <= length and len(text) <= length * 2 else flat[: length - 1] + "…"


def elided(text: str, length: int) -> str:
    """A text cut to `length`, saying how much was left out."""
    if len(text) <= length:
        return text
    return f"{text[:length]}\n… ({thousands(len(text) - length)} more characters are not shown)"
