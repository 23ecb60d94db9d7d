"""One form for what can be written in several ways: numbers, dates, times, units."""

from __future__ import annotations

import re
from collections.abc import Callable

from memdefrag.analysis.language import vocabulary as v

MONTH = rf"(?:{'|'.join(sorted(v.MONTHS, key=len, reverse=True))})"
DATE = (
    rf"(?:\d{{4}}-\d\d?-\d\d?|\d{{4}}/\d\d?/\d\d?|\d\d?[./-]\d\d?[./-]\d{{4}}"
    rf"|\d\d?[/-]\d\d?[/-]\d\d(?!\d)|\d\d\.\d\d\.\d\d(?!\.?\d)"
    rf"|\d\d?(?:st|nd|rd|th)?(?:\s+of)?\s+{MONTH}\b\.?(?:,?\s+\d{{4}}\b)?"
    rf"|{MONTH}\b\.?\s+\d\d?(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}}\b)?|{MONTH}\b\.?,?\s+\d{{4}}\b"
    r"|(?:\d{4}年)?\d\d?月(?:\d\d?[日号號])?)"
)
TIME = r"(?:\d\d?:\d\d(?::\d\d(?:\.\d+)?)?(?:\s?[ap]\.?m\b\.?|Z\b|[+-]\d\d:?\d\d\b)?|\b\d\d?\s?[ap](?:m\b|\.m\b\.?))"
"""Expressions for dates and times of day, to be used without regard to case."""

_EAST_ASIAN_DIGITS = {sign: value for value, signs in enumerate(("零〇", "一", "二两兩", "三", "四", "五", "六", "七",
                                                                "八", "九")) for sign in signs}  # fmt: skip
_EAST_ASIAN_POWERS = {"十": 10, "百": 100, "千": 1_000, "万": 10_000, "萬": 10_000, "亿": 10**8, "億": 10**8}
_NOT_NUMERALS = (
    "一起|一样|一般|一直|一定|一些|一切|一旦|一边|一方面|唯一|统一|万一|一同|一致|一緒|一番|一応|一度も|第三方|三明治|四川|十分|千万|百货"
    "|百度|五金|七夕|八卦|万能|万里|一下|一点儿|不一|进一步"
)
EAST_ASIAN_NUMBER = rf"(?!{_NOT_NUMERALS})[{''.join([*_EAST_ASIAN_DIGITS, *_EAST_ASIAN_POWERS])}]+"
"""An expression for Chinese and Japanese numerals, but for set words that hold one."""


def number(raw: str) -> str:
    """Without thousands separators, leading zeros and a fraction of zeros: "1,000.00" is "1000", "5th" is "5"; but 3.10
    and 3.1 may be versions, and 1.000 is a thousand to many.
    """
    plain = raw.replace(",", "").lstrip("+").rstrip("stndrhSTNDRH")
    if "." in plain:
        whole, fraction = plain.split(".", 1)
        if fraction.strip("0") or len(fraction) == 3:
            return plain
        plain = whole
    return ("-" if plain.startswith("-") else "") + (plain.lstrip("-0") or "0")


def east_asian_number(raw: str) -> str:
    """The value of Chinese numerals: "三十五" and "三五" are "35"."""
    if not any(sign in _EAST_ASIAN_POWERS for sign in raw):
        return number("".join(str(_EAST_ASIAN_DIGITS[sign]) for sign in raw))
    total = part = digit = 0
    for sign in raw:
        power = _EAST_ASIAN_POWERS.get(sign)
        if power is None:
            digit = _EAST_ASIAN_DIGITS[sign]
        elif power < 10_000:
            part, digit = part + (digit or 1) * power, 0
        else:
            total, part, digit = (total + part + digit or 1) * power, 0, 0
    return str(total + part + digit)


def time_of_day(raw: str) -> str:
    """In 24 hours: "6:05 pm" is "18:05"."""
    digits = re.findall(r"\d+", raw)
    hour, minute = int(digits[0]), int(digits[1]) if ":" in raw else 0
    half = re.search(r"([ap])\.?m", raw, re.I)
    if half:
        hour = hour % 12 + (12 if half[1] in "pP" else 0)
    seconds = f":{digits[2]}" if raw.count(":") > 1 and len(digits) > 2 else ""
    return f"{hour:02}:{minute:02}{seconds}"


def iso_date(raw: str) -> str:
    """ISO form; a date whose day and month cannot be told apart is taken as day first."""
    month = next((v.MONTHS[word] for word in re.findall(r"[a-z]+", raw.lower()) if word in v.MONTHS), None)
    numbers = [int(digits) for digits in re.findall(r"\d+", raw)]
    if "月" in raw:
        year = f"{numbers.pop(0)}-" if "年" in raw else "--"
        return year + "-".join(f"{part:02}" for part in numbers)
    if month is None:
        whole_year, first, second = numbers if numbers[0] > 31 else (numbers[2], numbers[1], numbers[0])
        month, day = (first, second) if first <= 12 else (second, first)
        return f"{whole_year + 2000 if whole_year < 100 else whole_year}-{month:02}-{day:02}"
    day_found = next((part for part in numbers if part <= 31), None)
    year_found = next((part for part in numbers if part > 31), None)
    start = "--" if year_found is None else f"{year_found}-"
    return f"{start}{month:02}" + ("" if day_found is None else f"-{day_found:02}")


CANONICAL: dict[str, Callable[[str], str]] = {
    "number": number,
    "numeral": east_asian_number,
    "time": time_of_day,
    "date": iso_date,
    "url": lambda raw: raw.rstrip("/"),
    "option": str,
    "path": lambda raw: raw.rstrip("/").casefold(),
}
"""For a kind of token its canonical form; all others are case-folded."""
