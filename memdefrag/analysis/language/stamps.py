"""What stands around a memory and is no part of it: time stamps and set phrases at its start and end."""

from __future__ import annotations

import re

from memdefrag.analysis.language.canonical import DATE, TIME, iso_date

_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
_MOMENT = rf"{_WEEKDAY}{DATE}(?:(?:[T,]|\s+at)?\s*{TIME})?(?:\s*(?:UTC|GMT))?"
_NOTED = r"(?:last\s+)?(?:noted|saved|added|updated|recorded|stored|written|logged|created|modified|entered|captured)"
_LABEL = rf"(?:{_NOTED}|timestamp|date)"
_OPENED = r"[\[(]\s*"
_CLOSED = r"\s*[\])]"
_AT = r":?\s+(?:on\s+|at\s+)?"
_INSIDE = rf"(?:{_LABEL}{_AT}|as\s+of\s+|on\s+)?{_MOMENT}"
_STAMP_BEFORE = re.compile(
    rf"^\s*(?:{_OPENED}{_INSIDE}{_CLOSED}\s*(?:[:–—]|-(?=\s))?"
    rf"|as\s+of\s+{_MOMENT}\s*[:,]|{_LABEL}{_AT}{_MOMENT}(?:\s*(?:[:;|–—]|-(?=\s)|\.(?=\s))|[^\S\n]*\n)"
    rf"|{_MOMENT}\s*(?:[:|–—]|\s-)(?=\s))\s*",
    re.I,
)
_STAMP_AFTER = re.compile(
    rf"(?:{_OPENED}{_INSIDE}{_CLOSED}|(?:\s[-–—|]|[\n;|])\s*{_LABEL}{_AT}{_MOMENT})\.?$", re.I
)
_WRAPPER_BEFORE = re.compile(
    r"""^\s*(?:
        [\[(]\s*(?:notes?|memory|memo|reminder|fact|info|fyi|important)\s*[\])]\s*[:-]?
      | (?:(?:conversation|chat|session|personal|quick|side|user|key|self)\s+)?
        (?:notes?|memory|memo|reminder|fyi|remember|important|fact|info|for\s+(?:the\s+record|reference)|btw|ps|p\.s\.
          |don'?t\s+forget|to\s+remember|(?:note|reminder)\s+to\s+(?:self|myself)
          |notiz|hinweis|merke|nota|recuerda|recordatorio|rappel|备注|注意|备忘|笔记|メモ|注|覚え書き)
        \s*(?:[:：]|\s[-–—]\s)
      | (?:fact|memory|note)\s+about\s+(?:the\s+)?user\s*:
      | (?:from|in|as\s+per)\s+(?:our|the)\s+(?:last\s+|previous\s+)?(?:chat|conversation|session|discussion)\s*[:,]
      | (?:the\s+)?user\s+(?:has\s+|also\s+)?(?:mentioned|said|stated|noted|told\s+me|shared)\s+that\b
      | according\s+to\s+(?:the\s+)?user\s*,
      | (?:just\s+to\s+note|just\s+so\s+you\s+know|please\s+(?:note|remember)(?:\s+that)?|note\s+that
          |remember\s+that|keep\s+in\s+mind\s+that|bear\s+in\s+mind\s+that|it(?:'s|\s+is)\s+worth\s+noting\s+that
          |it\s+should\s+be\s+noted\s+that)\b\s*[,:]?
      | (?:as\s+(?:already\s+)?(?:mentioned|discussed|noted|said|stated)(?:\s+(?:before|earlier|above|previously))?
          |for\s+(?:the\s+record|reference)|by\s+the\s+way|btw|in\s+(?:short|summary|fact|other\s+words)|apparently
          |basically)\s*,
    )\s*""",
    re.X | re.I,
)
_SAID = r"(?:mentioned|said|stated|noted|discussed)"
_BEFORE = r"(?:before|earlier|previously|above)"
_WRAPPER_AFTER = re.compile(
    rf"[(\[]\s*(?:(?:already\s+)?{_SAID}\s+(?:again|twice|{_BEFORE})|as\s+(?:already\s+)?{_SAID}(?:\s+{_BEFORE})?"
    rf"|again|repeat(?:ed)?|reminder|duplicate|fyi)\s*[)\]]\.?$"
    rf"|,\s+as\s+(?:already\s+)?{_SAID}(?:\s+{_BEFORE})?\.?$",
    re.I,
)
_EDGES = (_STAMP_BEFORE, _STAMP_AFTER, _WRAPPER_BEFORE, _WRAPPER_AFTER)
_STAMP_DATE = re.compile(DATE, re.I)
_BOOK_KEEPING = re.compile(rf"{_NOTED}|as\s+of", re.I)
_LAYERS = 20
"""A text is looked at so many times: one that is nothing but set phrases would take for ever."""

_END_MARKS = ".!?。！？"


def unwrap(text: str) -> str:
    """The text without time stamps and set phrases ("Note:", "(mentioned again)") at its start and end.

    They say when and how something was noted, not what. A text that is nothing else is returned as it is.
    """
    return peel(text)[0]


def peel(text: str) -> tuple[str, frozenset[str]]:
    """What `unwrap` leaves, and the dates of the stamps it took off that do not say "noted", "as of" …"""
    bare, removed = text.strip(), ""
    for _ in range(_LAYERS):
        previous = bare
        for edge in _EDGES:
            found = edge.search(bare)
            if not found:
                continue
            rest = (bare[: found.start()] + bare[found.end() :]).strip()
            if rest.strip(_END_MARKS):
                bare = rest
                removed += "" if _BOOK_KEEPING.search(found[0]) else f" {found[0]}"
        if bare == previous:
            break
    return bare, frozenset(iso_date(found[0]) for found in _STAMP_DATE.finditer(removed))
