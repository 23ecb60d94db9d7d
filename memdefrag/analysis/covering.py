"""Whether one sentence says all that another one says.

It must have all the other's words in the same order, with as many negations, and names, numbers and addresses to the
letter. In English a phrase may stand at the front instead, and words may be spelt or said otherwise where that says
the same (`same_word`); a slip of the pen is forgiven where the right word stands in the other sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import OSA, LCSseq

from memdefrag.analysis.language import vocabulary as v
from memdefrag.analysis.language.same_word import concept, english_words
from memdefrag.analysis.language.synonyms import SYNONYMS
from memdefrag.analysis.language.words import CACHED_TEXTS, Words, normalise

FENCE = "```"
"""Begins and ends a block of code."""

IN_ORDER = 0.75
"""Share of a sentence's words that the covering sentence must have in the same order."""
FORGIVEN = 1 / 3
"""Largest share of a sentence's words that may be slips of the pen."""
SLIP_LETTERS = 5
KNOWN_SLIP_LETTERS = 4
DOUBLE_SLIP_LETTERS = 9
"""Shortest words that may be misspelt in one place; in English where the right word is known; in two places."""



def _set(words: str) -> frozenset[str]:
    return frozenset(map(concept, words.split()))


_MOODS = frozenset(map(concept, v.HEDGES))
"""Words that make something else of a statement, wherever they stand."""
_A_FEW = {"few", "little", "a few", "a little"}
"""Few friends are not a few friends."""
_CONDITIONS = _set("if unless until except only instead")
_DIRECTIONS = _set(
    "from to into onto toward by before after until since than because over under above below through against"
)
_BEGINS_PHRASE = _DIRECTIONS | _set("in on at during for with within around about despite")
_ENDS_PHRASE = _BEGINS_PHRASE | _set("and or but when while where who which that of")
_ADVERBS = v.DAYS_FROM_NOW | _set("currently recently usually often sometimes now")
_LONGEST_FRONT = 12
"""Words, the most that a phrase may have to stand at the front or elsewhere."""

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
    if needs.english and has.english:
        return _says_all(has, needs)
    words = _found(needs, has)
    if words is None or len(needs.known - has.known) > FORGIVEN * len(needs.words):
        return False
    in_order = LCSseq.similarity(words, has.words) >= IN_ORDER * len(words)
    return in_order and _keep_order(words, has.words, has.names | needs.names)


def has_words(kept: str, part: str) -> bool:
    """Whether the words of a stamp or set phrase stand in another one, to the letter."""
    has, needs = said(kept), said(part)
    return has.negations == needs.negations and needs.exact <= has.exact and _is_subsequence(needs.words, has.words)


@dataclass(frozen=True, eq=False, slots=True)
class Said:
    """Something that is said, made comparable.

    Attributes:
        words: folded, without English articles, in order; empty where there is neither letter, digit nor symbol.
        exact: what counts to the letter, upper and lower case too: numbers, paths, addresses, identifiers.
        names: the capitalised words, folded.
        tokens, sense, written: as in `Words`; `sense` has `words` where there is nothing else.
        misspelt: how many words of an English sentence are neither names nor known.
        unspaced: the folded text if its script has no capitals (and perhaps no spaces), else "".
    """

    words: tuple[str, ...]
    known: frozenset[str]
    exact: frozenset[str]
    names: frozenset[str]
    negations: int
    unspaced: str
    tokens: frozenset[str]
    sense: tuple[str, ...]
    written: dict[str, str]
    misspelt: int
    english: bool

    @property
    def size(self) -> tuple[int, int, int]:
        """What covers another thing is at least as large."""
        return len(set(self.sense)), sum(map(_has_no_case, self.unspaced)), len(self.sense)


@lru_cache(maxsize=CACHED_TEXTS)
def said(part: str) -> Said:
    """Take a sentence, or a part of one, apart."""
    if not any(unicodedata.category(sign) in _SYMBOLS or sign.isalnum() for sign in part):
        return Said((), frozenset(), frozenset(), frozenset(), 0, "", frozenset(), (), {}, 0, True)
    folded = normalise(part)
    words = [word.removesuffix("'s") for word in folded.split() if word != "|"]
    taken_apart = Words.of(part)
    if taken_apart.english:
        # "Vitamin A": a label, no article; and in other languages "an" is another word.
        articles = v.ARTICLES - {"a"} if "A" in taken_apart.tokens else v.ARTICLES
        words = [word for word in words if word not in articles] or words
    names = frozenset(name.casefold() for name in taken_apart.names) - _ADVERBS
    return Said(
        words=tuple(words),
        known=frozenset(words),
        exact=frozenset(run.rstrip(".:") for run in _RUN.findall(part) if _TELLING.search(run)),
        names=names,
        negations=taken_apart.negations,
        unspaced=folded.rstrip("。！？ ") if any(map(_has_no_case, folded)) else "",
        tokens=frozenset(taken_apart.tokens),
        sense=(taken_apart.english and taken_apart.sense) or tuple(words),
        written=taken_apart.written,
        misspelt=sum(_is_misspelt(word) for word in words if word not in names) if taken_apart.english else 0,
        english=taken_apart.english,
    )


def _is_misspelt(word: str) -> bool:
    return word.isalpha() and len(word) >= KNOWN_SLIP_LETTERS and not _is_known(word)


def _is_known(word: str) -> bool:
    return word in english_words() or word in SYNONYMS


# ── in English ───────────────────────────────────────────────────────────────────────────────────────────


def _says_all(has: Said, needs: Said) -> bool:
    """The same of two English sentences, by what their words mean."""
    if not _A_FEW.intersection(needs.sense) <= set(has.sense):
        return False
    if _is_subsequence(needs.words, has.words):
        return _same_frame(needs.sense, has.sense)
    if not needs.names <= has.tokens or _signs(needs) != _signs(has) or not _persons(needs) <= _persons(has):
        return False
    words = _meant(needs, has)
    return words is not None and _in_order(words, has, has.names | needs.names) and _same_frame(words, has.sense)


def _meant(needs: Said, has: Said) -> list[str] | None:
    """What stands in `has` for the words of `needs`; None if one is missing, or too many are misspelt."""
    present, names = frozenset(has.sense), has.names | needs.names
    found = []
    missing = set(needs.sense) - present
    if len(missing) > FORGIVEN * len(needs.sense):
        return None
    for word in needs.sense:
        if word in missing:
            own = needs.written.get(word, word)
            slips = (meant for meant in has.sense if meant not in names and _is_english_slip(own, has.written[meant]))
            same = None if own in names else next(slips, None)
            if same is None:
                return None
            word = same
        found.append(word)
    return found


def _in_order(words: Sequence[str], has: Said, names: frozenset[str]) -> bool:
    """Whether the words stand in the same order, but for one phrase at the front of either sentence."""
    if _is_subsequence(words, has.sense):
        return True
    return _keep_order(words, has.sense, names) and (
        any(_is_subsequence(words[len(front) :], rest) for front, rest in _fronted(words, has.sense))
        or any(_is_subsequence(rest, has.sense[len(front) :]) for front, rest in _fronted(has.sense, words))
    )


def _fronted(words: Sequence[str], others: Sequence[str]) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Each phrase that begins one sentence and stands elsewhere in the other, and what else the other one says."""
    longest = _LONGEST_FRONT if words[0] in _BEGINS_PHRASE else words[0] in _ADVERBS
    for length in range(1, min(longest, len(words) - 1) + 1):
        front = tuple(words[:length])
        for at in range(1, len(others) - length + 1):
            if tuple(others[at : at + length]) == front:
                yield front, (*others[:at], *others[at + length :])


def _same_frame(words: Sequence[str], of: Sequence[str]) -> bool:
    """Whether both are as certain, and what follows "from", "to", "by", "than" … does so in both."""
    around = _around(words, of)
    if _MOODS.intersection(words) != _MOODS.intersection(around) or _CONDITIONS.intersection(of) - set(words):
        return False
    needed, present = _directed(words), _directed(around)
    return _is_among(needed, present, words) and _is_among(present, needed, words)


def _around(words: Sequence[str], of: Sequence[str]) -> Sequence[str]:
    """The other sentence without what it goes on to say after the words: "and …"."""
    rest = iter(of)
    if not all(word in rest for word in words):
        return of
    more = list(rest)
    return of[: len(of) - len(more)] if more[:1] == ["and"] else of


def _is_among(
    phrases: Sequence[tuple[str, list[str]]], others: Sequence[tuple[str, list[str]]], words: Sequence[str]
) -> bool:
    heads = [(direction, next((word for word in said if word in words), "")) for direction, said in phrases]
    return all(not head or any(d == direction and head in said for d, said in others) for direction, head in heads)


def _directed(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Every word of direction with the telling words that follow it, up to the next phrase."""
    found: list[tuple[str, list[str]]] = []
    open_phrase = False
    for word in words:
        if word in _DIRECTIONS:
            found.append((word, []))
            open_phrase = True
        elif word in _ENDS_PHRASE:
            open_phrase = False
        elif open_phrase and word not in v.FUNCTION_WORDS:
            found[-1][1].append(word)
    return found


def _is_english_slip(one: str, other: str) -> bool:
    """Whether one of the words is the other one misspelt: letters doubled, left out or swapped, and no known word.

    An ending makes another word (pip, pipx), as an exchanged letter does.
    """
    shorter, longer = sorted((one, other), key=len)
    known = sum(map(_is_known, (one, other)))
    least = KNOWN_SLIP_LETTERS if known else SLIP_LETTERS
    return known < 2 and not longer.startswith(shorter) and _is_slip(one, other, least)


def _signs(part: Said) -> frozenset[str]:
    return frozenset(word for word in part.sense if not any(map(str.isalnum, word)))


def _persons(part: Said) -> frozenset[str]:
    return frozenset(v.PERSONS[word] for word in part.tokens if word in v.PERSONS)


# ── in any language ──────────────────────────────────────────────────────────────────────────────────────


def _found(needs: Said, has: Said) -> list[str] | None:
    """The words of `has` that stand for the needed ones; None if one is missing."""
    found = []
    for word in needs.words:
        if word not in has.known:
            candidates = (own for own in has.words if own not in has.names and _is_slip(word, own, SLIP_LETTERS))
            meant = None if word in needs.names else next(candidates, None)
            if meant is None:
                return None
            word = meant
        found.append(word)
    return found


def _is_slip(one: str, other: str, least: int) -> bool:
    """Whether the words, of at least so many letters, differ by letters doubled, left out or swapped. An exchanged
    letter makes another word too often (house, horse), as does a changed first one (legal, illegal)."""
    shorter, longer = sorted((one, other), key=len)
    if one[0] != other[0] or len(shorter) < least or not (one.isalpha() and other.isalpha()):
        return False
    if Counter(shorter) - Counter(longer):
        return False
    return OSA.distance(one, other) <= (1 if len(shorter) < DOUBLE_SLIP_LETTERS else 2)


def _is_subsequence(words: Iterable[str], of: Iterable[str]) -> bool:
    rest = iter(of)
    return all(word in rest for word in words)


def _keep_order(words: Sequence[str], of: Sequence[str], names: frozenset[str]) -> bool:
    """Whether the names stand in the same order, and so do the numbers."""
    return all(
        _is_subsequence([word for word in words if is_one(word)], of) for is_one in (names.__contains__, _has_digit)
    )


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
