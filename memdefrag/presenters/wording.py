"""More words for the window, beside those of `base.wording`."""

from __future__ import annotations

from datetime import datetime

from memdefrag.base.wording import count, moment, plain
from memdefrag.model.address import parse

_STAMP = len("20261120T205648")


def thousands(number: int) -> str:
    """12345 as "12,345"."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """Roughly how long: "less than a second", "12 seconds", "3 minutes", "2 hours"."""
    if seconds < 1:
        return "less than a second"
    if seconds < 59.5:
        return count(round(seconds), "second")
    if seconds < 3570:
        return count(round(seconds / 60), "minute")
    return count(round(seconds / 3600), "hour")


def about(seconds: float) -> str:
    """An estimate: "less than a second", "about 3 minutes"."""
    return duration(seconds) if seconds < 1 else f"about {duration(seconds)}"


def utc_moment(iso: str) -> str:
    """An ISO time as local date and time; the text itself where it is none."""
    try:
        return moment(datetime.fromisoformat(iso).timestamp())
    except ValueError:
        return iso


def begun(id: str) -> str:
    """The local date and time that the id of a job or backup begins with; empty where it begins otherwise."""
    try:
        return moment(datetime.strptime(id[:_STAMP] + "+0000", "%Y%m%dT%H%M%S%z").timestamp())
    except ValueError:
        return ""


def place_of(address: str) -> str:
    """Where the store of an address stands: a path, or a server's URL."""
    return parse(address).select(None).url


def named_place(location: str) -> str:
    """Where a store is, its name first; a server's URL as it is."""
    folder, _, name = location.replace("\\", "/").rpartition("/")
    return location if "//" in location or not folder else f"{name} · {folder}"


def one_line(text: str, length: int) -> str:
    """The beginning of a text without line breaks, cut with an ellipsis; what cannot be shown made visible."""
    flat = " ".join(plain(text[: length * 2]).split())
    return flat if len(flat) <= length and len(text) <= length * 2 else flat[: length - 1] + "…"


def elided(text: str, length: int) -> str:
    """A text cut to `length`, saying how much was left out; what cannot be shown made visible."""
    if len(text) <= length:
        return plain(text)
    return f"{plain(text[:length])}\n… ({thousands(len(text) - length)} more characters are not shown)"
