"""What a text is made of: sentences, words, and the details that must not get lost (numbers, dates, names …).

Everything here compares surface forms; nothing needs a model. The tables of words are in `vocabulary`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

from memdefrag.analysis.language import vocabulary as v
from memdefrag.analysis.language.canonical import CANONICAL, DATE, EAST_ASIAN_NUMBER, MONTH, TIME
from memdefrag.analysis.language.enumerations import sorted_enumerations
from memdefrag.analysis.language.languages import UNSPACED, is_english, is_german, negations
from memdefrag.analysis.language.literals import literals
from memdefrag.analysis.language.same_word import english_words, sense
from memdefrag.analysis.language.stamps import peel

CACHED_TEXTS = 20_000

_HEADLINE = 5
_HEADLINE_CAPITALS = 0.8
"""A text of so many telling words, of which such a share is capitalised, is a headline."""

# ── normalising ──────────────────────────────────────────────────────────────────────────────────────────

_QUOTES = str.maketrans({"’": "'", "‘": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "‐": "-", "‑": "-", "−": "-"})
_SCRIPT_DIGITS = re.compile("[\u00b2\u00b3\u00b9\u2070-\u209c\u00bc-\u00be\u2150-\u215e]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_CAPITAL_OPTION = re.compile(r"(?<!\S)-[A-Z](?!\w)")
_LINE_START = re.compile(r"^[ \t]*(?:#{1,6}|>+|[-*+•‣·])[ \t]+", re.M)
# The first line says nothing new; without it three ways would be tried at every letter.
_ORNAMENT = re.compile(
    r"""(?=[\W_])(?!\s) (?:
    (?<!\w)["'`*_,;:…()\[\]{}«»—–]+ | ["'`*_.,;:!…()\[\]{}«»—–]+(?![\w=/\\]) | (?<!\S)[-.]+(?!\S)
    | [。、「」『』《》〈〉【】]+ )""",
    re.X,
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

    Signs that carry meaning stay: ``?``, ``%``, ``-5``, ``--force``, ``C++``, ``3.5``, ``!=``; and what is kept to the
    letter (`literals`) stands at the end once more, where it is not left as it was.
    """
    folded = fold(text)
    if "-" in folded:
        folded = _CAPITAL_OPTION.sub(lambda found: found[0] + "^", folded)
    bare = _ORNAMENT.sub(" ", _LINE_START.sub(" ", folded.casefold()))
    lost = [literal for literal in sorted(literals(folded)) if literal not in bare]
    return " ".join([*bare.split(), *lost]) or text.strip()


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


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────

_NEGATION_REACH = 4
_LONGEST = "{1,200}"
"""Bounds what an address or path can be, so that no text makes the search quadratic."""

_SIGN = rf"[^\W{UNSPACED}]"
_START, _END = rf"(?<!{_SIGN})", rf"(?!{_SIGN})"
"""A letter or digit, and the edges of words of them, beside scripts without spaces too."""

_TOKEN = rf"""
    (?P<plain>(?<!\S)(?!{MONTH}\b)[^\W\d_{UNSPACED}]+(?!\S))
  | (?P<url>\b[a-z][a-z0-9+.-]{{0,30}}://[^\s<>"'`)\]]*[\w/]|\bwww\.[^\s<>"'`)\]]*[\w/])
  | (?P<mail>[\w.+-]{{1,80}}@[\w-]{_LONGEST}(?:\.[\w-]{_LONGEST})+)
  | (?P<date>{_START}(?<![.-]){DATE}{_END})
  | (?P<time>{_START}(?<!\.){TIME})
  | (?P<path>(?<![\w/])(?:
        [a-z]:\\[\w.\\$%@+~-]*\w
      | (?:~|\.{{1,2}}|\$\w{_LONGEST})?/[\w.@%+~-]*\w(?:/[\w.@%+~-]*\w)*/?
      | [\w@.-]{_LONGEST}(?:/[\w@.-]{_LONGEST}){{0,20}}/[\w@-]{_LONGEST}\.[a-z]\w{{0,5}}\b
      | [\w-]{_LONGEST}(?:/[\w.-]{_LONGEST}){{2,20}}
      | (?!(?-i:(?:[A-Z]\.){{2,}}))\w[\w-]{{0,200}}(?:\.[\w-]{_LONGEST}){{0,9}}\.(?:{v.EXTENSIONS})\b
    ))
  | (?P<option>(?<![\w-])--?[a-z][\w-]*)
  | (?P<version>{_START}v\d+(?:\.\d+)*(?:[-.]?(?:rc|alpha|beta|a|b|post|dev)\.?\d*)?{_END}
      |{_START}\d+(?:\.\d+){{2,}}(?:[-.+]?(?:rc|alpha|beta|a|b|post|dev)\.?\d*)?{_END})
  | (?P<id>{_START}\#\d+{_END}
      | {_START}[a-z][a-z0-9]*-\d+{_END}
      | {_START}(?={_SIGN}*[a-z_])(?={_SIGN}*\d)(?!\d+(?:st|nd|rd|th)?{_END})(?!\d+[a-z]{{1,3}}{_END}){_SIGN}+
      | {_START}{_SIGN}*[^\W_]_[^\W_]{_SIGN}*)
  | (?P<number>\d+(?:st|nd|rd|th)\b|(?<![\w.])[-+]?\d+(?:,\d{{3}})*(?:\.\d+)?|\d+(?:\.\d+)?)
  | (?P<numeral>{EAST_ASIAN_NUMBER})
  | (?P<unspaced>(?:(?!{EAST_ASIAN_NUMBER})[{UNSPACED}])+)
  | (?P<acronym>(?-i:(?:[A-Z]\.){{2,}}))
  | (?P<word>[^\W\d_{UNSPACED}]+(?:'[^\W\d_]+)*\+{{0,2}}\#?)
  | (?P<sign>[!=<>]=|[^\w\s.,;:!'"()\[\]{{}}*_`…–—«»•。、「」『』・-])
    """


@cache
def _token() -> re.Pattern[str]:
    """Compiled when the first text is taken apart: it takes longer than loading everything else that we are."""
    return re.compile(_TOKEN, re.X | re.I)


@dataclass(frozen=True, slots=True)
class Words:
    """A text taken apart, after `unwrap`. All items are case-folded, save options and capitalised names.

    Attributes:
        sentences: of the text.
        tokens: everything that is said, in order: words, and the details below in canonical form.
        sense: of an English text the tokens such that equal ones say the same (`same_word.sense`), enumerations
            sorted; else the tokens.
        said: the same without order; what is said again has "\0" and a number added.
        written: how what stands in `sense` is written in the text.
        content: the words and details that carry meaning (no function words, no negations), without order.
        numbers: canonical ("1000", "2.5", "-3"), number words included ("three" is "3").
        ports: those numbers that follow the word "port" or a host.
        dates: "2024-03-09", "--03-09" without a year, "2024-03" without a day.
        moments: English dates seen from the day of writing ("last year", "2 week ago").
        times: "18:05" (24 hours).
        ids: issue numbers, identifiers, hashes.
        names: the capitalised words, in their case ("Maria"), the first of a sentence included; none in a text all
            of whose words are written alike (THE PORT IS 80, the port is 80, Port Is Moved to the New Host).
        inner_names: those of them that also stand inside a sentence.
        capitals: whether capitals tell names: "names", any "nouns" (in German), or nothing ("").
        negations: how many words negate.
        denied: the content words right after a negation, in other languages than English also right before.
        stamps: the dates of diary entries ("[2024-03-01] Went running") among the stamps that were taken off.
        literals: what is another thing in another case (`literals.literals`).
        details: what must survive a merge to the letter: numbers, dates, times, versions, addresses, ids.
        english: whether the rules for negations, names and function words apply to the text's language.
    """

    sentences: tuple[str, ...]
    tokens: tuple[str, ...]
    sense: tuple[str, ...]
    said: frozenset[str]
    written: dict[str, str]
    content: frozenset[str]
    numbers: frozenset[str]
    ports: frozenset[str]
    dates: frozenset[str]
    moments: frozenset[str]
    times: frozenset[str]
    versions: frozenset[str]
    paths: frozenset[str]
    urls: frozenset[str]
    options: frozenset[str]
    ids: frozenset[str]
    names: frozenset[str]
    inner_names: frozenset[str]
    capitals: str
    negations: int
    denied: frozenset[str]
    stamps: frozenset[str]
    literals: frozenset[str]
    details: frozenset[str]
    english: bool

    @staticmethod
    def of(text: str) -> Words:
        """Take a text apart (remembered for the texts seen last)."""
        return _words(text)



@lru_cache(maxsize=CACHED_TEXTS)
def _words(text: str) -> Words:
    bare, stamps = peel(fold(text))
    found = [
        (_KINDS.get(kind := match.lastgroup or "", kind), match[0], match.start(), bare[match.end() : match.end() + 1])
        for match in _token().finditer(bare)
    ]
    unspaced = any(kind in ("unspaced", "numeral") for kind, *_ in found)
    words = [raw.casefold() for kind, raw, *_ in found if kind == "word"]
    english = not unspaced and is_english(words)
    tokens: list[str] = []
    after: list[str] = []
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    names: dict[str, bool] = {}
    shouted = bare.isupper()
    for kind, raw, start, following in found:
        if kind == "word":
            if raw == "s" and bare[start - 1 : start] == "'":
                continue
            raw = raw[:-2] if raw[-2:].casefold() == "'s" else raw
            # "Platform A", "room 4a": a label, no article.
            item = "A" if raw in ("A", "a") and _is_label(bare, start, shouted) else raw.casefold()
            value = (v.NUMBER_WORDS if english else v.FOREIGN_NUMBER_WORDS).get(item)
            if value:
                item, kind = value, "number"
            elif raw[0].isupper() and item not in v.NOT_NAMES:
                inner = not _starts_sentence(bare, start)
                if inner or not (english and _is_no_name(item)):
                    names[raw] = names.get(raw, False) or inner
        elif kind == "acronym":
            item = raw.replace(".", "").casefold()
        else:
            item = CANONICAL.get(kind, str.casefold)(raw)
            if kind == "number" and _names_a_port(tokens, bare, start):
                kinds["port"].add(item)
        kinds["number" if kind == "numeral" else kind].add(item)
        tokens += [raw[i : i + 2] for i in range(len(raw) - 1)] if kind == "unspaced" and raw[1:] else [item]
        after += [following] * (len(tokens) - len(after))
    capitals = "" if _written_alike(bare, words, names) else "nouns" if is_german(words) and not english else "names"
    names = names if capitals else {}
    folded = {name.casefold() for name in names}
    meant = sense(sorted_enumerations(tokens, after, folded)) if english else [(token, token) for token in tokens]
    return Words(
        sentences=tuple(sentences(bare)),
        tokens=tuple(tokens),
        sense=tuple(word for word, _ in meant),
        said=_counted(word for word, _ in meant),
        written=dict(meant),
        content=frozenset(token for token in tokens if token not in v.FUNCTION_WORDS),
        numbers=frozenset(kinds["number"]),
        ports=frozenset(kinds["port"]),
        dates=frozenset(kinds["date"]),
        moments=_moments(tokens) if english else frozenset(),
        times=frozenset(kinds["time"]),
        versions=frozenset(kinds["version"]),
        paths=frozenset(kinds["path"]),
        urls=frozenset(kinds["url"]),
        options=frozenset(kinds["option"]),
        ids=frozenset(kinds["id"]),
        names=frozenset(names),
        inner_names=frozenset(name for name, inner in names.items() if inner),
        capitals=capitals,
        negations=negations(words, bare if unspaced else "", english),
        denied=_denied(tokens),
        stamps=stamps,
        literals=literals(bare),
        details=frozenset().union(*(kinds[kind] for kind in _DETAILS)),
        english=english,
    )


_DETAILS = ("number", "date", "time", "version", "path", "url", "option", "id")
_KINDS = {"plain": "word", "mail": "url"}


def _counted(words: Iterable[str]) -> frozenset[str]:
    seen: Counter[str] = Counter()
    found = []
    for word in words:
        found.append(f"{word}\0{seen[word]}" if seen[word] else word)
        seen[word] += 1
    return frozenset(found)


def _names_a_port(tokens: list[str], text: str, start: int) -> bool:
    return text[max(0, start - 1) : start] == ":" or not v.PORTS.isdisjoint(tokens[-3:])


def _moments(tokens: list[str]) -> frozenset[str]:
    """Dates seen from the day of writing: "last year", "2 week ago", "tomorrow"."""
    found = {token for token in tokens if token in v.DAYS_FROM_NOW}
    for at, token in enumerate(tokens):
        unit = token.removesuffix("s")
        if at and unit in v.SPANS and tokens[at - 1] in ("last", "next", "this"):
            found.add(f"{tokens[at - 1]} {unit}")
        elif at and unit in v.SPANS and tokens[at + 1 : at + 2] == ["ago"]:
            found.add(f"{tokens[at - 1]} {unit} ago")
    return frozenset(found)


def _denied(tokens: list[str]) -> frozenset[str]:
    reach: set[str] = set()
    for at, token in enumerate(tokens):
        if token in v.FOREIGN_NEGATIONS and token not in v.NEGATIONS:
            # "Er raucht nicht", "il ne fume pas": it stands after the verb.
            reach.update(word for word in tokens[max(0, at - 1) : at] if word not in v.FUNCTION_WORDS)
        if token in v.NEGATIONS or token in v.FOREIGN_NEGATIONS or token.endswith("n't"):
            reach.update(word for word in tokens[at + 1 : at + 1 + _NEGATION_REACH] if word not in v.FUNCTION_WORDS)
    return frozenset(reach)


def _starts_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 4) : start].rstrip(" \"'(*_-")
    return not before or before[-1] in ".!?:;\n…"


def _is_label(text: str, start: int, shouted: bool) -> bool:
    return text[start - 1 : start].isdigit() or (
        text[start] == "A" and not shouted and not _starts_sentence(text, start)
    )


def _is_no_name(word: str) -> bool:
    """Whether an English word that begins a sentence surely is none: Always, Added, Running."""
    stems = [word.removesuffix(end) for end in ("ed", "d", "ing") if word.endswith(end)]
    return word in v.FUNCTION_WORDS or word in v.HEDGES or not english_words().isdisjoint(stems)


def _written_alike(text: str, words: list[str], names: dict[str, bool]) -> bool:
    """Whether capitals tell nothing: none but capitals, none at all, or one at almost each word, as in headlines."""
    if not any(map(str.islower, text)) or not any(map(str.isupper, text)):
        return True
    telling = {word for word in words if word not in v.FUNCTION_WORDS}
    return len(telling) >= _HEADLINE and len(names) > _HEADLINE_CAPITALS * len(telling)
