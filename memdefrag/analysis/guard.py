"""Why a similar pair may still say different things, and when it surely does not.

The rules and their measured value are those of docs/quality.md. All are symmetric.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import OSA, LCSseq

from memdefrag.analysis import vocabulary
from memdefrag.analysis.words import Words
from memdefrag.base.settings import CANDIDATE_COSINE

SAME_ORDER = 0.95
"""Share of the shorter text's words that must stand in the same order in the longer one."""

CACHED_WORDS = 50_000

_STEM = 4
"""Letters that must be left after a prefix, so that "into" is not taken for the opposite of "to"."""

_LONG_NAME = 5
"""Up to this many letters two names one edit apart are two people (John, Joan)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something the one text says and the other does not.

    Attributes:
        kind: "number", "port", "date", "time", "version", "path", "address", "option", "id", "negation", "name",
            "roles", "opposite", "dated" (diary entries of different days), "word" (one word is replaced) or "words"
            (each has words of its own).
        ours, theirs: what stands only in the first and only in the second text.
        bars: whether the pair must never be merged without a person's decision.
    """

    kind: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    bars: bool

    @property
    def text(self) -> str:
        """In words, as ``number: 8080 / 8081``."""
        return f"{self.kind}: {', '.join(self.ours) or '–'} / {', '.join(self.theirs) or '–'}"


_DETAILS = (
    ("port", "ports"),
    ("number", "numbers"),
    ("time", "times"),
    ("version", "versions"),
    ("path", "paths"),
    ("address", "urls"),
    ("option", "options"),
    ("id", "ids"),
)


def differences(a: Words, b: Words) -> list[Difference]:
    """What tells two similar texts apart, the weightiest first. `a` and `b` swapped swap the sides only."""
    found = _weighty(a, b)
    if not found:
        own_a, own_b = own_words(a, b)
        if own_a and own_b:
            kind = "word" if len(own_a) == len(own_b) == 1 else "words"
            found.append(Difference(kind, tuple(sorted(own_a)), tuple(sorted(own_b)), bars=False))
    return found


def _weighty(a: Words, b: Words) -> list[Difference]:
    """The differences that count for more than other words."""
    only_a, only_b = Counter(a.tokens), Counter(b.tokens)
    only_a, only_b = only_a - only_b, only_b - only_a
    found = [*_details(a, b, only_a, only_b), *_dates(a, b), *_negation(a, b), *_names(a, b)]
    found += _contrasts(only_a.keys() - a.details, only_b.keys() - b.details)
    if a.stamps and b.stamps and a.stamps != b.stamps:
        found.append(Difference("dated", tuple(sorted(a.stamps)), tuple(sorted(b.stamps)), bars=False))
    return found


def _details(a: Words, b: Words, only_a: Counter[str], only_b: Counter[str]) -> Iterable[Difference]:
    told: set[str] = set()
    for kind, field in _DETAILS:
        ours, theirs = getattr(a, field) & only_a.keys(), getattr(b, field) & only_b.keys()
        # A port is a number too: it is told once, by the better word.
        if ours and theirs and not ours | theirs <= told:
            told |= ours | theirs
            yield Difference(kind, tuple(sorted(ours)), tuple(sorted(theirs)), bars=True)


def _contrasts(only_a: AbstractSet[str], only_b: AbstractSet[str]) -> Iterable[Difference]:
    pairs = [(one, other) for one in sorted(only_a) for other in sorted(opposites(one) & only_b)]
    if pairs:
        ours, theirs = zip(*pairs, strict=True)
        yield Difference("opposite", tuple(dict.fromkeys(ours)), tuple(dict.fromkeys(theirs)), bars=True)


@lru_cache(maxsize=CACHED_WORDS)
def opposites(word: str) -> frozenset[str]:
    """The words that exclude this one, by the tables or by their prefixes (include, exclude)."""
    found = {other for number in vocabulary.CONTRASTS.get(word, ()) for other in vocabulary.CONTRAST_SETS[number]}
    if len(word) >= _STEM:
        found |= {prefix + word for prefix in vocabulary.NEGATIVE_PREFIXES}
    changes = [*((prefix, "") for prefix in vocabulary.NEGATIVE_PREFIXES), *vocabulary.OPPOSITE_PREFIXES]
    for prefix, opposite in changes:
        stem = word.removeprefix(prefix)
        if stem != word and len(stem) >= _STEM:
            found.add(opposite + stem)
    return frozenset(found - {word})


def _dates(a: Words, b: Words) -> Iterable[Difference]:
    ours = tuple(sorted(day for day in a.dates if not any(_same_day(day, other) for other in b.dates)))
    theirs = tuple(sorted(day for day in b.dates if not any(_same_day(day, other) for other in a.dates)))
    if ours and theirs:
        yield Difference("date", ours, theirs, bars=True)


def _same_day(one: str, other: str) -> bool:
    """Whether two dates can be the same, one of them perhaps without its year or its day."""
    if one.startswith("--") or other.startswith("--"):
        one, other = one[2:] if one.startswith("--") else one[5:], other[2:] if other.startswith("--") else other[5:]
    return one.startswith(other) or other.startswith(one)


def _negation(a: Words, b: Words) -> Iterable[Difference]:
    if a.negations == b.negations:
        return
    few, many = sorted((a, b), key=lambda words: words.negations)
    longer_denies_more = len(many.tokens) > 1.4 * len(few.tokens)
    if longer_denies_more and not any(
        is_same_word(word, other) for word in many.denied for other in few.content
    ):
        return
    yield Difference("negation", ("not",) * (a is many), ("not",) * (b is many), bars=True)


def _names(a: Words, b: Words) -> Iterable[Difference]:
    ours, theirs = _missing_names(a, b), _missing_names(b, a)
    if ours and theirs:
        yield Difference("name", ours, theirs, bars=True)
    elif not ours and not theirs and ("by" in a.tokens) == ("by" in b.tokens):
        shared = {name.casefold() for name in a.names | b.names} & a.content & b.content
        roles_a, roles_b = _roles(a, shared), _roles(b, shared)
        if roles_a != roles_b:
            yield Difference("roles", *_unequal_part(roles_a, roles_b), bars=True)


def _roles(words: Words, names: set[str]) -> list[str]:
    """The names in the order in which they first appear; "A and B" has none."""
    order: list[str] = []
    for at, token in enumerate(words.tokens):
        if token in names and token not in order:
            swap = order and words.tokens[at - 2 : at] == (order[-1], "and") and token < order[-1]
            order.insert(len(order) - 1 if swap else len(order), token)
    return order


def _unequal_part(one: list[str], other: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    start = next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    end = next((k for k, (a, b) in enumerate(zip(one[::-1], other[::-1], strict=False)) if a != b), 0)
    return tuple(one[start : len(one) - end]), tuple(other[start : len(other) - end])


def _missing_names(a: Words, b: Words) -> tuple[str, ...]:
    said = set(b.tokens)
    missing = {name for name in a.names if name.casefold() not in said}
    # The first word of a sentence is seldom a name: a typing error there is no other person.
    first_words = {name for name in missing - a.inner_names if len(name) > _LONG_NAME}
    return tuple(sorted(
        name for name in missing
        if name not in first_words or not any(is_same_word(name.casefold(), word) for word in b.content)
    ))


def own_words(a: Words, b: Words) -> tuple[frozenset[str], frozenset[str]]:
    """The content words that stand only in the first and only in the second text (typing errors aside)."""
    only_a, only_b = a.content - b.content, b.content - a.content
    return (
        frozenset(word for word in only_a if not any(is_same_word(word, other) for other in b.content)),
        frozenset(word for word in only_b if not any(is_same_word(word, other) for other in a.content)),
    )


def is_same_word(one: str, other: str) -> bool:
    """Whether two words are equal but for a typing error or an ending.

    One edit (two from nine letters), never in the first letter, never where a digit is involved, never in words
    of three letters unless a letter was added.
    """
    if one == other:
        return True
    if one[0] != other[0] or not (one.isalpha() and other.isalpha()):
        return False
    shorter = min(len(one), len(other))
    if shorter < 3 or (shorter == 3 and len(one) == len(other)):
        return False
    allowed = 2 if shorter >= 9 else 1
    return OSA.distance(one, other, score_cutoff=allowed) <= allowed


def judge(a: Words, b: Words, cosine: float) -> tuple[bool, bool]:
    """Whether a pair is surely the same, and whether it is barred (never both).

    Sure: everything the shorter text says stands in the longer one, in the same order; the rule of
    docs/quality.md, made for English. In other languages only equal texts are sure.

    Args:
        cosine: of the stored vectors; NaN where there are none, which then is no objection.
    """
    found = _weighty(a, b)
    if any(difference.bars for difference in found):
        return False, True
    if any(difference.kind == "dated" for difference in found):
        return False, False
    if a.tokens == b.tokens:
        return True, False
    likely = not cosine < CANDIDATE_COSINE and a.english and b.english
    return likely and _contains(*sorted((a, b), key=lambda words: (len(words.tokens), words.tokens))), False


def _contains(short: Words, long: Words) -> bool:
    """Whether `long`, or a run of its sentences, says all that `short` says and no more about it."""
    if not short.content:
        return False
    if _says_all(short, long):
        return True
    count = len(short.sentences)
    runs = (long.sentences[at : at + count] for at in range(len(long.sentences) - count + 1))
    return count < len(long.sentences) and any(_says_all(short, Words.of(" ".join(run))) for run in runs)


def _says_all(short: Words, long: Words) -> bool:
    if short.negations != long.negations:
        return False
    if len(short.sentences) == len(long.sentences) and long.details - short.details:
        return False
    if _hedges(short) != _hedges(long) or _persons(short) - _persons(long):
        return False
    spelling = _spelling(short, long)
    if spelling is None:
        return False
    tokens = [spelling.get(token, token) for token in short.tokens]
    return LCSseq.similarity(tokens, long.tokens) >= SAME_ORDER * len(tokens)


def _hedges(words: Words) -> frozenset[str]:
    return vocabulary.HEDGES.intersection(words.tokens)


def _persons(words: Words) -> set[str]:
    return {vocabulary.PERSONS[token] for token in words.tokens if token in vocabulary.PERSONS}


def _spelling(short: Words, long: Words) -> dict[str, str] | None:
    """For each word of `short` the form it has in `long`; None when a content word is missing there."""
    spelling: dict[str, str] = {}
    names = {name.casefold() for name in short.names | long.names}
    candidates = sorted(set(long.tokens) - set(short.tokens))
    for word in sorted(set(short.tokens) - set(long.tokens)):
        content = word in short.content
        same = None if word in names else next(
            (w for w in candidates if (content or w in long.content) and is_same_word(word, w)), None
        )
        if same is not None:
            spelling[word] = same
        elif content:
            return None
    return spelling
