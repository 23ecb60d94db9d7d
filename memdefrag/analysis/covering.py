"""Whether one sentence says all that another one says.

It must have all the other's words, to the letter, in about the same order, with names and numbers in the same
order and as many negations. Only slips of the pen are forgiven.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import OSA, LCSseq

from memdefrag.analysis.words import CACHED_TEXTS, Words, normalise

FENCE = "```"
"""Begins and ends a block of code."""

IN_ORDER = 0.75
"""Share of a sentence's words that the covering sentence must have in the same order."""
FORGIVEN = 1 / 3
"""Largest share of a sentence's words that may be slips of the pen."""
SLIP_LETTERS = 5
DOUBLE_SLIP_LETTERS = 9
"""Shortest words that may be misspelt in one place; in two."""

_ARTICLES = frozenset({"a", "an", "the"})
_SYMBOLS = ("So", "Sc")
_RUN = re.compile(r"[\w./\\@:#+-]+")
_TELLING = re.compile(r"[\d_/\\@]")


@lru_cache(maxsize=CACHED_TEXTS)
def covers(kept: str, part: str) -> bool:
    """Whether nothing that `part` says is missing in `kept`."""
    if kept.startswith(FENCE) or part.startswith(FENCE):
        return kept[:3] == part[:3] and _code_lines(part) in _code_lines(kept)
    has, needs = said(kept), said(part)
    if has.negations != needs.negations or not needs.exact <= has.exact:
        return False
    if needs.unspaced and needs.unspaced in has.unspaced and ("?" in needs.unspaced) == ("?" in has.unspaced):
        return True
    if len(needs.known - has.known) > FORGIVEN * len(needs.words):
        return False
    words = _found(needs, has)
    if words is None:
        return False
    in_order = LCSseq.similarity(words, has.words) >= IN_ORDER * len(words)
    names = has.names | needs.names
    return in_order and all(
        _is_subsequence([word for word in words if is_one(word)], has.words)
        for is_one in (names.__contains__, _has_digit)
    )


@dataclass(frozen=True, eq=False, slots=True)
class Said:
    """Something that is said, made comparable.

    Attributes:
        words: folded, without articles, in order; empty where there is neither letter, digit nor symbol.
        exact: what counts to the letter, upper and lower case too: numbers, paths, addresses, identifiers.
        names: the capitalised words, folded.
        unspaced: the folded text if its script has no capitals (and perhaps no spaces), else "".
    """

    words: tuple[str, ...]
    known: frozenset[str]
    exact: frozenset[str]
    names: frozenset[str]
    negations: int
    unspaced: str

    @property
    def size(self) -> tuple[int, int, int]:
        """What covers another thing is at least as large."""
        return len(self.known), sum(map(_has_no_case, self.unspaced)), len(self.words)


@lru_cache(maxsize=CACHED_TEXTS)
def said(part: str) -> Said:
    """Take a sentence, or a part of one, apart."""
    if not any(unicodedata.category(sign) in _SYMBOLS or sign.isalnum() for sign in part):
        return Said((), frozenset(), frozenset(), frozenset(), 0, "")
    folded = normalise(part)
    words = [word.removesuffix("'s") for word in folded.split() if word != "|"]
    words = [word for word in words if word not in _ARTICLES] or words
    taken_apart = Words.of(part)
    return Said(
        tuple(words),
        frozenset(words),
        frozenset(run.rstrip(".:") for run in _RUN.findall(part) if _TELLING.search(run)),
        frozenset(name.casefold() for name in taken_apart.names),
        taken_apart.negations,
        folded.rstrip("。！？ ") if any(map(_has_no_case, folded)) else "",
    )


def _found(needs: Said, has: Said) -> list[str] | None:
    """The words of `has` that stand for the needed ones; None if one is missing."""
    found = []
    for word in needs.words:
        if word not in has.known:
            candidates = (own for own in has.words if own not in has.names and _is_slip(word, own))
            meant = None if word in needs.names else next(candidates, None)
            if meant is None:
                return None
            word = meant
        found.append(word)
    return found


def _is_slip(one: str, other: str) -> bool:
    """Whether the words differ by letters doubled, left out or swapped. An exchanged letter makes another
    word too often (house, horse), as does a changed first one (legal, illegal)."""
    shorter, longer = sorted((one, other), key=len)
    if one[0] != other[0] or len(shorter) < SLIP_LETTERS or not (one.isalpha() and other.isalpha()):
        return False
    if Counter(shorter) - Counter(longer):
        return False
    return OSA.distance(one, other) <= (1 if len(shorter) < DOUBLE_SLIP_LETTERS else 2)


def _is_subsequence(words: Iterable[str], of: Iterable[str]) -> bool:
    rest = iter(of)
    return all(word in rest for word in words)


def _has_no_case(sign: str) -> bool:
    return sign.isalpha() and sign.upper() == sign.lower()


def _has_digit(word: str) -> bool:
    return any(sign.isdigit() for sign in word)


def _code_lines(block: str) -> str:
    """The lines of a fenced block in one comparable string."""
    lines = [line.rstrip() for line in block.splitlines()]
    if len(lines) > 1 and set(lines[-1].strip()) == {"`"}:
        lines.pop()
    return "\n".join(["", *lines, ""])
