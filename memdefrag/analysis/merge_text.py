"""One text that says all that several texts say, and nothing twice.

The text that says most leads, to the byte. A sentence of another one is left out only where a sentence that
stays has all its words, to the letter, in about the same order, with names and numbers in the same order and
as many negations; slips of the pen are forgiven. A longer version of a sentence takes the shorter one's place;
a time stamp or set phrase around something said already joins what says it; the rest is appended. Nothing
about the merge is written into the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import OSA, LCSseq

from memdefrag.analysis.words import CACHED_TEXTS, Words, normalise, sentences, unwrap

IN_ORDER = 0.75
"""Share of a sentence's words that the covering sentence must have in the same order."""
FORGIVEN = 1 / 3
"""Largest share of a sentence's words that may be slips of the pen."""
SLIP_LETTERS = 5
DOUBLE_SLIP_LETTERS = 9
"""Shortest words that may be misspelt in one place; in two."""

_ARTICLES = frozenset({"a", "an", "the"})
_MARKER = re.compile(r"(?:(?:[-*+•]|\d{1,3}[.)])\s+(?=\S))?")
_END_MARK = re.compile(r"""[.!?…。！？]+["'”’»)\]」』）]*$""")
_SAYING = ("So", "Sc")
_TO_THE_LETTER = re.compile(r"[\w./\\@:#+-]*[\d_/\\@][\w/\\@:.#+-]*(?<![.:])")
_FENCE = "```"


class Dropped(NamedTuple):
    """A sentence of text `member` that was left out, and the kept sentence that covers it."""

    sentence: str
    member: int
    by: str


@dataclass(frozen=True, slots=True)
class MergedText:
    """A merged text and where it comes from.

    Attributes:
        lead: index of the text that leads.
        sources: every kept sentence, verbatim, with the index of the text it comes from.
        dropped: every sentence that was left out.
    """

    text: str
    lead: int
    sources: tuple[tuple[str, int], ...]
    dropped: tuple[Dropped, ...]


def merge_texts(texts: Sequence[str], *, first: int = 0) -> MergedText:
    """Unite the texts, sentence by sentence.

    A text that covers all others is the result, to the byte. Merging the result with one of the texts again
    gives the result.

    Args:
        first: index of the text that leads where several say equally much.
    """
    members = [_take_apart(text, index) for index, text in enumerate(texts)]
    order = [first, *(index for index in range(len(texts)) if index != first)]
    lead = max(order, key=lambda index: (_covers_all(members, index), _word_count(members[index])))
    if _covers_all(members, lead):
        kept = [_Kept(sentence) for sentence in members[lead]]
        dropped = [Dropped(said.text, said.member, _by(said, kept)) for said in _others(members, lead) if said.parts]
        text = texts[lead]
    else:
        order.sort(key=lambda index: index != lead)
        kept, dropped = _choose([sentence for index in order for sentence in members[index]], lead)
        text = _write(texts, members[lead], kept)
    return MergedText(text, lead, tuple((k.sentence.text, k.sentence.member) for k in kept), tuple(dropped))


# ── taking apart ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False, slots=True)
class _Sentence:
    """A sentence, list item or fenced block of code.

    Attributes:
        gap: what stands between it and the sentence before.
        marker, before, core, after: make up the text: list marker, stamps and phrases, what is said, and more
            stamps.
    """

    member: int
    index: int
    gap: str
    marker: str
    before: str
    core: str
    after: str

    @property
    def text(self) -> str:
        return self.marker + self.before + self.core + self.after

    @property
    def parts(self) -> list[str]:
        """What must be kept; nothing for a line that is only ornament."""
        return [part for part in (self.core, self.before.strip(), self.after.strip()) if _said(part).words]

    def follows(self, other: _Sentence | None) -> bool:
        return other is not None and (other.member, other.index + 1) == (self.member, self.index)

    @property
    def size(self) -> tuple[int, int]:
        said = _said(self.core)
        return len(said.known), sum(map(_has_no_case, said.unspaced))


def _take_apart(text: str, member: int) -> list[_Sentence]:
    found: list[_Sentence] = []
    end = stop = 0
    fence: int | None = None
    for sentence in sentences(text):
        start, stop = _span(text, stop, sentence)
        starts_line = len(f"{text[:start]}.".splitlines()[-1].strip()) == 1
        is_fence = starts_line and sentence.startswith(_FENCE)
        if fence is None and is_fence:
            fence = start
        elif fence is None:
            marker = _MARKER.match(text[start:stop]) if starts_line else None
            found.append(_sentence(text[start:stop], member, len(found), text[end:start], marker[0] if marker else ""))
            end = stop
        elif is_fence:
            found.append(_Sentence(member, len(found), text[end:fence], "", "", text[fence:stop], ""))
            end, fence = stop, None
    if fence is not None:
        found.append(_Sentence(member, len(found), text[end:fence], "", "", text[fence:stop], ""))
    return found


def _sentences(text: str) -> list[str]:
    return [sentence.text for sentence in _take_apart(text, 0)]


def _span(text: str, start: int, sentence: str) -> tuple[int, int]:
    """Where the sentence stands, which is all of the text but white space, from `start` on."""
    while text[start].isspace():
        start += 1
    stop = start
    for _ in "".join(sentence.split()):
        while text[stop].isspace():
            stop += 1
        stop += 1
    return start, stop


def _sentence(text: str, member: int, index: int, gap: str, marker: str) -> _Sentence:
    core = unwrap(text[len(marker) :])
    start = text.index(core, len(marker))
    return _Sentence(member, index, gap, marker, text[len(marker) : start], core, text[start + len(core) :])


# ── covering ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False, slots=True)
class _Said:
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


@lru_cache(maxsize=CACHED_TEXTS)
def _said(part: str) -> _Said:
    if not any(unicodedata.category(sign) in _SAYING or sign.isalnum() for sign in part):
        return _Said((), frozenset(), frozenset(), frozenset(), 0, "")
    folded = normalise(part)
    words = [word.removesuffix("'s") for word in folded.split() if word != "|"]
    words = [word for word in words if word not in _ARTICLES] or words
    taken_apart = Words.of(part)
    return _Said(
        tuple(words),
        frozenset(words),
        frozenset(_TO_THE_LETTER.findall(part)),
        frozenset(name.casefold() for name in taken_apart.names),
        taken_apart.negations,
        folded.rstrip("。！？ ") if any(map(_has_no_case, folded)) else "",
    )


@lru_cache(maxsize=CACHED_TEXTS)
def _covers(kept: str, part: str) -> bool:
    """Whether nothing that `part` says is missing in `kept`."""
    if kept.startswith(_FENCE) or part.startswith(_FENCE):
        return kept[:3] == part[:3] and _code_lines(part) in _code_lines(kept)
    has, needs = _said(kept), _said(part)
    if has.negations != needs.negations or not needs.exact <= has.exact:
        return False
    if needs.unspaced and needs.unspaced in has.unspaced:
        return True
    words = _found(needs, has)
    if words is None:
        return False
    in_order = LCSseq.similarity(words, has.words) >= IN_ORDER * len(words)
    names = has.names | needs.names
    return in_order and all(
        _is_subsequence([word for word in words if is_one(word)], has.words)
        for is_one in (names.__contains__, _has_digit)
    )


def _found(needs: _Said, has: _Said) -> list[str] | None:
    """The words of `has` that stand for the needed ones; None if one is missing."""
    found = []
    slips = 0
    for word in needs.words:
        if word not in has.known:
            if word in needs.names:
                return None
            slips += 1
            meant = next((own for own in has.known - has.names if _is_slip(word, own)), None)
            if meant is None or slips > FORGIVEN * len(needs.words):
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


def _covers_all(members: Sequence[Sequence[_Sentence]], index: int) -> bool:
    kept = [_Kept(sentence) for sentence in members[index]]
    return all(
        any(keeper.covers(part) for keeper in kept)
        for sentence in _others(members, index)
        for part in sentence.parts
    )


def _word_count(member: Sequence[_Sentence]) -> int:
    return sum(len(_said(part).words) for sentence in member for part in sentence.parts)


def _by(sentence: _Sentence, kept: Sequence[_Kept]) -> str:
    return next((keeper.sentence.text for keeper in kept if keeper.covers(sentence.core)), "")


def _others(members: Sequence[Sequence[_Sentence]], index: int) -> Iterable[_Sentence]:
    return (sentence for other, member in enumerate(members) if other != index for sentence in member)


# ── choosing ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(eq=False)
class _Kept:
    """A sentence that stays, with what joined it and the shorter sentence whose place it takes."""

    sentence: _Sentence
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    replaces: _Sentence | None = None

    def covers(self, part: str) -> bool:
        return any(_covers(own, part) for own in (*self.sentence.parts, *self.before, *self.after))

    @property
    def written(self) -> str:
        own, place = self.sentence, self.replaces or self.sentence
        end = _END_MARK.search(place.core)
        mark = end[0] if self.replaces and end and not _END_MARK.search(own.core) else ""
        before = "".join(part + " " for part in self.before)
        after = "".join(" " + part for part in self.after)
        return place.marker + before + own.before + own.core + mark + own.after + after


def _choose(order: Sequence[_Sentence], lead: int) -> tuple[list[_Kept], list[Dropped]]:
    """Which sentences stay. The leading text's stay unless a longer one takes their place."""
    kept: list[_Kept] = []
    dropped: list[tuple[_Sentence, _Kept]] = []
    for sentence in sorted(order, key=lambda sentence: sentence.size, reverse=True):
        host = _host(sentence, kept, lead)
        if host is None:
            if sentence.member == lead or sentence.parts:
                kept.append(_Kept(sentence))
            continue
        for part, joined in ((sentence.before.strip(), host.before), (sentence.after.strip(), host.after)):
            if _said(part).words and not any(keeper.covers(part) for keeper in kept):
                joined.append(part)
        if sentence.member == lead:
            host.replaces = sentence
        dropped.append((sentence, host))
    kept.sort(key=lambda keeper: order.index(keeper.sentence))
    return kept, [Dropped(sentence.text, sentence.member, host.sentence.text) for sentence, host in dropped]


def _host(sentence: _Sentence, kept: Sequence[_Kept], lead: int) -> _Kept | None:
    """The kept sentence that covers this one and can take up what stands around it."""
    if not _said(sentence.core).words or any(_said(part).negations for part in (sentence.before, sentence.after)):
        return None
    for keeper in kept:
        may_replace = sentence.member != lead or (keeper.sentence.member != lead and keeper.replaces is None)
        if may_replace and _covers(keeper.sentence.core, sentence.core):
            return keeper
    return None


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────


def _write(texts: Sequence[str], lead: Sequence[_Sentence], kept: Sequence[_Kept]) -> str:
    """The leading text with longer sentences and joined stamps put in place, and the rest appended."""
    text = texts[lead[0].member]
    at = {id(keeper.replaces or keeper.sentence): keeper for keeper in kept}
    placed = [at[id(sentence)] for sentence in lead]
    merged = _in_place(text, lead, placed)
    if merged is None:
        merged = text
        placed = [keeper for keeper in placed if keeper.sentence.member == lead[0].member]
        for keeper in kept:
            joined = [*keeper.before, *keeper.after] if keeper in placed else []
            for part in joined:
                merged = _append(merged, part, "\n")
    gap = "\n" if any(len(text.splitlines()) > 1 for text in texts) else " "
    previous: _Sentence | None = None
    for keeper in kept:
        if keeper not in placed:
            own = keeper.sentence
            merged = _append(merged, keeper.written, own.gap if own.follows(previous) else gap)
            previous = own
    return merged


def _in_place(text: str, lead: Sequence[_Sentence], placed: Sequence[_Kept]) -> str | None:
    """None where the change would make sentences run into each other."""
    written = [keeper.written for keeper in placed]
    rest = text[sum(len(sentence.gap + sentence.text) for sentence in lead) :]
    merged = "".join(sentence.gap + new for sentence, new in zip(lead, written, strict=True)) + rest
    apart = [sentence for new in written for sentence in _sentences(new)]
    return merged if _sentences(merged) == apart else None


def _append(text: str, sentence: str, gap: str) -> str:
    """Add a sentence so that taking the result apart gives it back."""
    text = text.rstrip()
    apart = [*_sentences(text), *_sentences(sentence)]
    for between in (gap, "\n", "\n\n"):
        if _sentences(text + between + sentence) == apart:
            return text + between + sentence
    return f"{text}\n{_FENCE}\n{sentence}"
