"""One text that says all that several texts say, and nothing twice.

The text that says most leads, to the byte. A sentence of another one is left out only where a sentence that
stays covers it (see `covering`). A longer version of a sentence takes the shorter one's place; a time stamp or
set phrase around something said already joins what says it; the rest is appended. Nothing about the merge is
written into the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from memdefrag.analysis.covering import FENCE, covers, has_words, said
from memdefrag.analysis.language.stamps import unwrap
from memdefrag.analysis.language.words import sentences

_BULLET = re.compile(r"(?:[-*+•]\s+(?=\S))?")
_END_MARK = re.compile(r"""[.!?…。！？]+["'”’»)\]」』）]*$""")


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
        first: index of the text that leads where several say equally much; one ALL IN CAPITALS gives way.
    """
    members = [_take_apart(text, index) for index, text in enumerate(texts)]
    order = [first, *(index for index in range(len(texts)) if index != first)]
    lead = max(
        order,
        key=lambda index: (
            _covers_all(members, index),
            _word_count(members[index]),
            -sum(said(sentence.core).misspelt for sentence in members[index]),
            not texts[index].isupper(),
        ),
    )
    if _covers_all(members, lead):
        kept = [_Kept(sentence) for sentence in members[lead]]
        others = [sentence for sentence in _others(members, lead) if sentence.parts]
        dropped = [Dropped(other.text, other.member, _by(other, kept)) for other in others]
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
        bullet, before, core, after: make up the text: bullet, stamps and phrases, what is said, and more stamps.
    """

    member: int
    index: int
    gap: str
    bullet: str
    before: str
    core: str
    after: str

    @property
    def text(self) -> str:
        return self.bullet + self.before + self.core + self.after

    @property
    def parts(self) -> list[str]:
        """What must be kept; nothing for a line that is only ornament."""
        return [part for part in (self.core, self.before.strip(), self.after.strip()) if said(part).words]

    def follows(self, other: _Sentence | None) -> bool:
        return other is not None and (other.member, other.index + 1) == (self.member, self.index)

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """What covers another sentence ranks before it, and of two that cover each other the better spelt one."""
        core = said(self.core)
        return *core.size, -core.misspelt


def _take_apart(text: str, member: int) -> list[_Sentence]:
    found: list[_Sentence] = []
    end = stop = 0
    fence: int | None = None
    for sentence in sentences(text):
        start, stop = _span(text, stop, sentence)
        is_fence = sentence.startswith(FENCE) and len(f"{text[:start]}.".splitlines()[-1].strip()) == 1
        if fence is None and is_fence:
            fence = start
        elif fence is None:
            found.append(_sentence(text[start:stop], member, len(found), text[end:start]))
            end = stop
        elif is_fence:
            found.append(_Sentence(member, len(found), text[end:fence], "", "", text[fence:stop], ""))
            end, fence = stop, None
    if fence is not None:
        found.append(_Sentence(member, len(found), text[end:fence], "", "", text[fence:stop], ""))
    return found


def _sentences(text: str) -> list[str]:
    return [sentence.text for sentence in _take_apart(text, 0)]


def _cores(text: str) -> list[str]:
    return [sentence.core for sentence in _take_apart(text, 0)]


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


def _sentence(text: str, member: int, index: int, gap: str) -> _Sentence:
    bullet = text[: _BULLET.match(text).end()]  # type: ignore[union-attr]  # it matches anything
    core = unwrap(text[len(bullet) :])
    start = text.index(core, len(bullet))
    return _Sentence(member, index, gap, bullet, text[len(bullet) : start], core, text[start + len(core) :])


# ── choosing ─────────────────────────────────────────────────────────────────────────────────────────────


def _covers_all(members: Sequence[Sequence[_Sentence]], index: int) -> bool:
    kept = [_Kept(sentence) for sentence in members[index]]
    return all(
        any(keeper.covers(part) and not _is_better_spelt(part, keeper.sentence.core) for keeper in kept)
        for sentence in _others(members, index)
        for part in sentence.parts
    )


def _is_better_spelt(one: str, other: str) -> bool:
    return said(one).misspelt < said(other).misspelt and covers(one, other)


def _word_count(member: Sequence[_Sentence]) -> int:
    return sum(len(said(part).words) for sentence in member for part in sentence.parts)


def _by(sentence: _Sentence, kept: Sequence[_Kept]) -> str:
    return next((keeper.sentence.text for keeper in kept if keeper.covers(sentence.core)), "")


def _others(members: Sequence[Sequence[_Sentence]], index: int) -> Iterable[_Sentence]:
    return (sentence for other, member in enumerate(members) if other != index for sentence in member)


@dataclass(eq=False)
class _Kept:
    """A sentence that stays, with what joined it and the shorter sentence whose place it takes."""

    sentence: _Sentence
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    replaces: _Sentence | None = None

    def covers(self, part: str) -> bool:
        own = self.sentence
        return covers(own.core, part) or any(
            has_words(around, part) for around in (own.before, own.after, *self.before, *self.after)
        )

    @property
    def core(self) -> str:
        """What is said, closed like the sentence whose place it takes."""
        core = self.sentence.core
        end = _END_MARK.search(self.replaces.core) if self.replaces else None
        return core + end[0] if end and not _END_MARK.search(core) else core

    @property
    def written(self) -> str:
        own, place = self.sentence, self.replaces or self.sentence
        before = "".join(part + " " for part in self.before)
        after = "".join(" " + part for part in self.after)
        return place.bullet + before + own.before + self.core + own.after + after


def _choose(order: Sequence[_Sentence], lead: int) -> tuple[list[_Kept], list[Dropped]]:
    """Which sentences stay. The leading text's stay unless a longer one takes their place."""
    kept: list[_Kept] = []
    dropped: list[tuple[_Sentence, _Kept]] = []
    for sentence in sorted(order, key=lambda sentence: sentence.rank, reverse=True):
        host = _host(sentence, kept, lead)
        if host is None:
            if sentence.member == lead or sentence.parts:
                kept.append(_Kept(sentence))
            continue
        for part, joined in ((sentence.before.strip(), host.before), (sentence.after.strip(), host.after)):
            if said(part).words and not any(keeper.covers(part) for keeper in kept):
                joined.append(part)
        if sentence.member == lead:
            host.replaces = sentence
        dropped.append((sentence, host))
    kept.sort(key=lambda keeper: order.index(keeper.sentence))
    return kept, [Dropped(sentence.text, sentence.member, host.sentence.text) for sentence, host in dropped]


def _host(sentence: _Sentence, kept: Sequence[_Kept], lead: int) -> _Kept | None:
    """The kept sentence that covers this one and can take up what stands around it."""
    if not said(sentence.core).words or any(said(part).negations for part in (sentence.before, sentence.after)):
        return None
    for keeper in kept:
        core = keeper.sentence.core
        may_replace = sentence.member != lead or (keeper.sentence.member != lead and keeper.replaces is None)
        if may_replace and covers(core, sentence.core) and _is_one(sentence.before, core):
            return keeper
    return None


def _is_one(before: str, core: str) -> bool:
    """Whether a stamp and what follows it are one sentence, which they are not before a list number."""
    return not before.strip() or _cores(f"{before.strip()} {core}") == [core]


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────


def _write(texts: Sequence[str], lead: Sequence[_Sentence], kept: Sequence[_Kept]) -> str:
    """The leading text with longer sentences and joined stamps put in place, and the rest appended."""
    text = texts[lead[0].member]
    at = {id(keeper.replaces or keeper.sentence): keeper for keeper in kept}
    placed = [at[id(sentence)] for sentence in lead]
    merged = _in_place(text, lead, placed)
    if merged is None:
        merged = text
        placed = [keeper for keeper in placed if not keeper.replaces]
        for keeper in kept:
            keeper.replaces = None
            for part in (*keeper.before, *keeper.after) if keeper in placed else ():
                merged = _append(merged, part, "\n")
    default = "\n" if any(len(text.splitlines()) > 1 for text in texts) else " "
    added: list[tuple[str, str]] = []
    previous: _Sentence | None = None
    for keeper in kept:
        if keeper not in placed:
            own = keeper.sentence
            added.append((own.gap if own.follows(previous) else default, _unwrapped(keeper.written)))
            previous = own
    return _appended(merged, added)


def _unwrapped(sentence: str) -> str:
    """On one line, unless it is code: elsewhere the same lines may not be taken for one sentence."""
    return sentence if sentence.startswith(FENCE) else " ".join(sentence.splitlines())


def _appended(text: str, added: Sequence[tuple[str, str]]) -> str:
    """Add sentences after the gaps that stand before them, or others where they would run into each other."""
    at_once = text.rstrip() + "".join(gap + sentence for gap, sentence in added)
    if _sentences(at_once) == _sentences(text) + [part for _, sentence in added for part in _sentences(sentence)]:
        return at_once if added else text
    for gap, sentence in added:
        text = _append(text, sentence, gap)
    return text


def _in_place(text: str, lead: Sequence[_Sentence], placed: Sequence[_Kept]) -> str | None:
    """None where the change would make sentences run into each other."""
    written = [keeper.written for keeper in placed]
    rest = text[sum(len(sentence.gap + sentence.text) for sentence in lead) :]
    merged = "".join(sentence.gap + new for sentence, new in zip(lead, written, strict=True)) + rest
    apart = [sentence for new in written for sentence in _sentences(new)]
    cores = set(_cores(merged))
    return merged if _sentences(merged) == apart and cores.issuperset(keeper.core for keeper in placed) else None


def _append(text: str, sentence: str, gap: str) -> str:
    """Add a sentence so that taking the result apart gives it back."""
    text = text.rstrip()
    apart = [*_sentences(text), *_sentences(sentence)]
    for between in (gap, "\n", "\n\n"):
        if _sentences(text + between + sentence) == apart:
            return text + between + sentence
    return f"{text}\n{FENCE}\n{sentence}"
