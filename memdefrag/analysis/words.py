"""What a text is made of: sentences, words, and the details that must not get lost (numbers, dates, names …).

Everything here compares surface forms; nothing needs a model. The tables of words are in `vocabulary`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from memdefrag.analysis import vocabulary as v

CACHED_TEXTS = 20_000

# ── normalising ──────────────────────────────────────────────────────────────────────────────────────────

_QUOTES = str.maketrans({"’": "'", "‘": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "‐": "-", "‑": "-"})
_SCRIPT_DIGITS = re.compile("[\u00b2\u00b3\u00b9\u2070-\u209c\u00bc-\u00be\u2150-\u215e]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_CAPITAL_OPTION = re.compile(r"(?<!\S)-[A-Z](?!\w)")
_LINE_START = re.compile(r"^[ \t]*(?:#{1,6}|>+|[-*+•‣·])[ \t]+", re.M)
_ORNAMENT = re.compile(
    r"""(?<!\w)["'`*_,;:…()\[\]{}«»—–]+ | ["'`*_.,;:!…()\[\]{}«»—–]+(?![\w=/\\]) | (?<!\S)[-.]+(?!\S)""", re.X
)


def fold(text: str) -> str:
    """The text with look-alike characters made one: compatibility forms, quotes, hyphens, invisible signs.

    Superscripts and fractions stay apart from plain digits (10² is not 102).
    """
    if text.isascii():
        return text
    text = _SCRIPT_DIGITS.sub(lambda found: "^" + found[0], text.translate(_QUOTES))
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def normalise(text: str) -> str:
    """The text without case, decoration and punctuation at the edges of words; texts with equal results are
    the same to a reader.

    Signs that carry meaning stay: ``?``, ``%``, ``-5``, ``--force``, ``C++``, ``3.5``, ``!=``.
    """
    folded = _CAPITAL_OPTION.sub(lambda found: found[0] + "^", fold(text))
    bare = _ORNAMENT.sub(" ", _LINE_START.sub(" ", folded.casefold()))
    return " ".join(bare.split()) or text.strip()


# ── sentences ────────────────────────────────────────────────────────────────────────────────────────────

_SENTENCE_END = re.compile(r"""[.!?…]+["'”’»)\]]*(?=\s)|[。！？]+[”’」』）]*""")
_LAST_WORD = re.compile(r"""[\w.]+$""")
_SOFT_WRAP = 60
_LONGEST_ABBREVIATION = 20


def sentences(text: str) -> list[str]:
    """The sentences of a text in order, each stripped but otherwise verbatim.

    A line ends a sentence (so list items and lines of code stay whole) unless it is long, lacks an end mark
    and goes on in lower case. Abbreviations, initials, list numbers, decimals, versions and addresses do not
    end one. Joining the result gives all of the text but white space.
    """
    found: list[str] = []
    fenced = False
    for line in _lines(text):
        fence = line.startswith("```")
        if fenced or fence:
            found.append(line)
            fenced ^= fence
        else:
            found += _split_line(line)
    return found


def _lines(text: str) -> list[str]:
    lines: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line:
            lines.append("")
        elif lines and len(lines[-1]) >= _SOFT_WRAP and lines[-1][-1] not in ".!?:;…。" and line[0].islower():
            lines[-1] += "\n" + line
        else:
            lines.append(line)
    return [line for line in lines if line]


def _split_line(line: str) -> list[str]:
    parts, start = [], 0
    for end in _SENTENCE_END.finditer(line):
        if end[0] == "." and _is_abbreviation(line[start : end.start()], line[end.end() + 1 : end.end() + 2]):
            continue
        parts.append(line[start : end.end()].strip())
        start = end.end()
    rest = line[start:].strip()
    return [*parts, rest] if rest else parts


def _is_abbreviation(before: str, after: str) -> bool:
    word = _LAST_WORD.search(before[-_LONGEST_ABBREVIATION:])
    if word is None:
        return False
    last = word[0].lower()
    if last in v.ABBREVIATIONS or (len(last) == 1 and last.isalpha() and last != "i"):
        return True
    return (last.isdigit() and last == before.strip()) or (last == "etc" and after.islower())


# ── stamps and wrappers ──────────────────────────────────────────────────────────────────────────────────

_MONTH = rf"(?:{'|'.join(sorted(v.MONTHS, key=len, reverse=True))})"
_DATE = (
    rf"(?:\d{{4}}-\d\d?-\d\d?|\d{{4}}/\d\d?/\d\d?|\d\d?[./-]\d\d?[./-](?:\d{{4}}|\d\d)"
    rf"|\d\d?(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}\b\.?(?:,?\s+\d{{4}}\b)?"
    rf"|{_MONTH}\b\.?\s+\d\d?(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}}\b)?|{_MONTH}\b\.?,?\s+\d{{4}}\b)"
)
_TIME = r"(?:\d\d?:\d\d(?::\d\d(?:\.\d+)?)?(?:\s?[ap]\.?m\b\.?|Z\b|[+-]\d\d:?\d\d\b)?|\b\d\d?\s?[ap]m\b)"
_MOMENT = rf"{_DATE}(?:(?:[T,]|\s+at)?\s*{_TIME})?"
_NOTED = r"(?:noted|saved|added|updated|recorded|stored|written|logged|created|modified|last\s+updated)"
_STAMP_BEFORE = re.compile(
    rf"^\s*(?:\[(?:{_NOTED}:?\s+(?:on\s+)?)?{_MOMENT}\]\s*[:-]?|\({_MOMENT}\)\s*[:-]?"
    rf"|as\s+of\s+{_MOMENT}\s*[:,]|{_NOTED}\s+(?:on\s+)?{_MOMENT}\s*[:-]|{_MOMENT}\s*(?:[:|–—]|\s-)(?=\s))\s*",
    re.I,
)
_STAMP_AFTER = re.compile(rf"[(\[]\s*(?:{_NOTED}:?\s+(?:on\s+)?)?{_MOMENT}\s*[)\]]$", re.I)
_WRAPPER_BEFORE = re.compile(
    r"""^\s*(?:
        (?:(?:conversation|chat|session|personal|quick|side|user)\s+)?(?:notes?|memory|reminder|fyi|remember|important)
        \s*(?::|\s[-–—]\s)
      | (?:fact|memory|note)\s+about\s+(?:the\s+)?user\s*:
      | (?:from|in)\s+(?:our|the)\s+(?:chat|conversation|session|discussion)\s*:
      | (?:the\s+)?user\s+(?:has\s+)?(?:mentioned|said|stated|noted|told\s+me|shared)\s+that\b
      | (?:just\s+to\s+note|just\s+so\s+you\s+know|please\s+(?:note|remember)(?:\s+that)?|note\s+that)\b
        \s*[,:]?
    )\s*""",
    re.X | re.I,
)
_WRAPPER_AFTER = re.compile(
    r"[(\[]\s*(?:mentioned|said|stated|noted)\s+(?:again|before|earlier|twice)\s*[)\]]$"
    r"|[(\[]\s*(?:again|repeated|repeat|as\s+mentioned(?:\s+(?:before|earlier))?)\s*[)\]]$",
    re.I,
)
_EDGES = (_STAMP_BEFORE, _STAMP_AFTER, _WRAPPER_BEFORE, _WRAPPER_AFTER)
_STAMP_DATE = re.compile(_DATE, re.I)
_BOOK_KEEPING = re.compile(rf"{_NOTED}|as\s+of", re.I)


def unwrap(text: str) -> str:
    """The text without time stamps and set phrases ("Note:", "(mentioned again)") at its start and end.

    They say when and how something was noted, not what. A text that is nothing else is returned as it is.
    """
    return _peel(text)[0]


def _peel(text: str) -> tuple[str, frozenset[str]]:
    """What `unwrap` leaves, and the dates of the stamps it took off that do not say "noted", "as of" …"""
    previous, bare, removed = "", text.strip(), ""
    while bare != previous:
        previous = bare
        for edge in _EDGES:
            found = edge.search(bare)
            rest = edge.sub("", bare, count=1).strip()
            if found and rest:
                bare = rest
                removed += "" if _BOOK_KEEPING.search(found[0]) else f" {found[0]}"
    return bare, frozenset(_date(found[0]) for found in _STAMP_DATE.finditer(removed))


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────

UNSPACED = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Japanese, Chinese
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
)
_NEGATION_REACH = 4
_LONGEST = "{1,200}"
"""Bounds what an address or path can be, so that no text makes the search quadratic."""

_TOKEN = re.compile(
    rf"""
    (?P<url>\b[a-z][a-z0-9+.-]*://[^\s<>"'`)\]]*[\w/]|\bwww\.[^\s<>"'`)\]]*[\w/])
  | (?P<mail>[\w.+-]{{1,80}}@[\w-]{_LONGEST}(?:\.[\w-]{_LONGEST})+)
  | (?P<date>(?<![\w.-]){_DATE}(?![\w]))
  | (?P<time>(?<![\w.]){_TIME})
  | (?P<path>(?<![\w/])(?:
        [a-z]:\\[\w.\\$%@+~-]*\w
      | (?:~|\.{{1,2}}|\$\w{_LONGEST})?/[\w.@%+~-]*\w(?:/[\w.@%+~-]*\w)*/?
      | [\w@.-]{_LONGEST}(?:/[\w@.-]{_LONGEST}){{0,20}}/[\w@-]{_LONGEST}\.[a-z]\w{{0,5}}\b
      | [\w-]{_LONGEST}(?:/[\w.-]{_LONGEST}){{2,20}}
      | \w[\w-]{{0,200}}(?:\.[\w-]{_LONGEST}){{0,9}}\.(?:{v.EXTENSIONS})\b
    ))
  | (?P<option>(?<![\w-])--?[a-z][\w-]*)
  | (?P<version>\bv\d+(?:\.\d+)*(?:[-.]?(?:rc|alpha|beta|a|b|post|dev)\.?\d*)?\b
      |\b\d+(?:\.\d+){{2,}}(?:[-.+]?(?:rc|alpha|beta|a|b|post|dev)\.?\d*)?\b)
  | (?P<id>(?<!\w)\#\d+\b
      | \b[a-z][a-z0-9]*-\d+\b
      | \b(?=\w*[a-z_])(?=\w*\d)(?!\d+(?:st|nd|rd|th)?\b)(?!\d+[a-z]{{1,3}}\b)\w+\b
      | \b\w*[^\W_]_[^\W_]\w*\b)
  | (?P<number>\d+(?:st|nd|rd|th)\b|(?<![\w.])[-+]?\d+(?:,\d{{3}})*(?:\.\d+)?|\d+(?:\.\d+)?)
  | (?P<unspaced>[{UNSPACED}]+)
  | (?P<word>[^\W\d_{UNSPACED}]+(?:'[^\W\d_]+)*\+{{0,2}}\#?)
  | (?P<sign>[!=<>]=|[^\w\s.,;:!'"()\[\]{{}}*_`…–—«»•-])
    """,
    re.X | re.I,
)


@dataclass(frozen=True, slots=True)
class Words:
    """A text taken apart, after `unwrap`. All items are case-folded, save options and capitalised names.

    Attributes:
        sentences: of the text.
        tokens: everything that is said, in order: words, and the details below in canonical form.
        content: the words and details that carry meaning (no function words, no negations), without order.
        numbers: canonical ("1000", "2.5", "-3"), number words included ("three" is "3").
        ports: those numbers that follow the word "port" or a host.
        dates: "2024-03-09", "--03-09" without a year, "2024-03" without a day.
        times: "18:05" (24 hours).
        ids: issue numbers, identifiers, hashes.
        names: the capitalised words, in their case ("Maria"), the first of a sentence included.
        inner_names: those of them that also stand inside a sentence.
        negations: how many words negate.
        denied: the content words right after a negation.
        stamps: the dates of diary entries ("[2024-03-01] Went running") among the stamps that were taken off.
        english: whether the rules for negations, names and function words apply to the text's language.
    """

    sentences: tuple[str, ...]
    tokens: tuple[str, ...]
    content: frozenset[str]
    numbers: frozenset[str]
    ports: frozenset[str]
    dates: frozenset[str]
    times: frozenset[str]
    versions: frozenset[str]
    paths: frozenset[str]
    urls: frozenset[str]
    options: frozenset[str]
    ids: frozenset[str]
    names: frozenset[str]
    inner_names: frozenset[str]
    negations: int
    denied: frozenset[str]
    stamps: frozenset[str]
    english: bool

    @staticmethod
    def of(text: str) -> Words:
        """Take a text apart (remembered for the texts seen last)."""
        return _words(text)

    @property
    def details(self) -> frozenset[str]:
        """What must survive a merge to the letter: numbers, dates, times, versions, addresses, ids."""
        times = self.dates | self.times
        return self.numbers | times | self.versions | self.paths | self.urls | self.options | self.ids


@lru_cache(maxsize=CACHED_TEXTS)
def _words(text: str) -> Words:
    bare, stamps = _peel(fold(text))
    tokens: list[str] = []
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    words: list[str] = []
    names: dict[str, bool] = {}
    unspaced = 0
    for match in _TOKEN.finditer(bare):
        kind, raw = match.lastgroup or "", match[0]
        if kind == "word":
            raw = raw.removesuffix("'s")
            folded = raw.casefold()
            if folded == "s" and bare[match.start() - 1 : match.start()] == "'":
                continue
            if folded in v.NUMBER_WORDS:
                folded = v.NUMBER_WORDS[folded]
                kinds["number"].add(folded)
            else:
                words.append(folded)
                if raw[0].isupper() and folded not in v.NOT_NAMES:
                    names.setdefault(raw, False)
                    names[raw] |= not _starts_sentence(bare, match.start())
            tokens.append(folded)
        elif kind == "unspaced":
            unspaced += len(raw)
            tokens += [raw[i : i + 2] for i in range(len(raw) - 1)] or [raw]
        else:
            item = _CANONICAL.get(kind, str.casefold)(raw)
            tokens.append(item)
            if kind != "sign":
                kinds["url" if kind == "mail" else kind].add(item)
            if kind == "number" and _names_a_port(tokens, bare, match.start()):
                kinds["port"].add(item)
    return Words(
        sentences=tuple(sentences(bare)),
        tokens=tuple(tokens),
        content=frozenset(token for token in tokens if token not in v.FUNCTION_WORDS),
        numbers=frozenset(kinds["number"]),
        ports=frozenset(kinds["port"]),
        dates=frozenset(kinds["date"]),
        times=frozenset(kinds["time"]),
        versions=frozenset(kinds["version"]),
        paths=frozenset(kinds["path"]),
        urls=frozenset(kinds["url"]),
        options=frozenset(kinds["option"]),
        ids=frozenset(kinds["id"]),
        names=frozenset(names),
        inner_names=frozenset(name for name, inner in names.items() if inner),
        negations=_negations(words, bare if unspaced else ""),
        denied=_denied(tokens),
        stamps=stamps,
        english=not unspaced and _is_english(words),
    )


def _names_a_port(tokens: list[str], text: str, start: int) -> bool:
    before = text[max(0, start - 1) : start]
    return before == ":" or "port" in tokens[-4:-1] or "ports" in tokens[-4:-1]


def _negations(words: list[str], unspaced_text: str) -> int:
    spoken = sum(map(_is_negation, words))
    return spoken + sum(unspaced_text.count(sign) for sign in v.UNSPACED_NEGATIONS)


def _denied(tokens: list[str]) -> frozenset[str]:
    reach: set[str] = set()
    for at, token in enumerate(tokens):
        if _is_negation(token):
            reach.update(word for word in tokens[at + 1 : at + 1 + _NEGATION_REACH] if word not in v.FUNCTION_WORDS)
    return frozenset(reach)


def _is_negation(word: str) -> bool:
    return word in v.NEGATIONS or word.endswith("n't")


def _starts_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 4) : start].rstrip(" \"'(*_-")
    return not before or before[-1] in ".!?:;\n…"


def _is_english(words: list[str]) -> bool:
    if any(not ("a" <= word[0] <= "z" or word[0] in "àâäåæçèéêëìíîïñòóôöøùúûüýœß") for word in words):
        return False
    foreign = sum(word in v.FOREIGN_FUNCTION_WORDS for word in words)
    return foreign <= sum(word in v.FUNCTION_WORDS for word in words)


# ── canonical forms ──────────────────────────────────────────────────────────────────────────────────────


def _number(raw: str) -> str:
    plain = raw.replace(",", "").lstrip("+").rstrip("stndrhSTNDRH")
    if "." in plain:
        return plain.rstrip("0").rstrip(".")
    return ("-" if plain.startswith("-") else "") + (plain.lstrip("-0") or "0")


def _time(raw: str) -> str:
    digits = re.findall(r"\d+", raw)
    hour, minute = int(digits[0]), int(digits[1]) if ":" in raw else 0
    half = re.search(r"([ap])\.?m", raw, re.I)
    if half:
        hour = hour % 12 + (12 if half[1] in "pP" else 0)
    seconds = f":{digits[2]}" if raw.count(":") > 1 and len(digits) > 2 else ""
    return f"{hour:02}:{minute:02}{seconds}"


def _date(raw: str) -> str:
    """ISO form; a date whose day and month cannot be told apart is taken as day first."""
    month = next((v.MONTHS[word] for word in re.findall(r"[a-z]+", raw.lower()) if word in v.MONTHS), None)
    numbers = [int(digits) for digits in re.findall(r"\d+", raw)]
    if month is None:
        year, first, second = numbers if numbers[0] > 31 else (numbers[2], numbers[1], numbers[0])
        month, day = (first, second) if first <= 12 else (second, first)
        return f"{year + 2000 if year < 100 else year}-{month:02}-{day:02}"
    day_found = next((number for number in numbers if number <= 31), None)
    year_found = next((number for number in numbers if number > 31), None)
    start = "--" if year_found is None else f"{year_found}-"
    return f"{start}{month:02}" + ("" if day_found is None else f"-{day_found:02}")


_CANONICAL: dict[str, Callable[[str], str]] = {
    "number": _number,
    "time": _time,
    "date": _date,
    "url": lambda raw: raw.rstrip("/"),
    "option": str,
    "path": lambda raw: raw.rstrip("/").casefold(),
}
