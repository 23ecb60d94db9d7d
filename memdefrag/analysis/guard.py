"""Why a similar pair may still say different things. All rules are symmetric."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from memdefrag.analysis.language import vocabulary
from memdefrag.analysis.language.literals import unlike
from memdefrag.analysis.language.same_word import CACHED_WORDS, concept, is_same_word
from memdefrag.analysis.language.words import Words

_STEM = 4
"""Letters that must be left after a prefix, so that "into" is not taken for the opposite of "to"."""

_LONG_NAME = 5
"""Up to this many letters two names one edit apart are two people (John, Joan)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something the one text says and the other does not.

    Attributes:
        kind: "number", "port", "date", "time", "version", "path", "address", "option", "id", "negation", "name",
            "roles", "opposite", "spelling" (of code or a password), "dated" (diary entries of different days), "word"
            (one word is replaced), "words" (each has words of its own) or "order" (the same words in another order).
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
        return self._told(" / ")

    @property
    def change(self) -> str:
        """The same where the first text is the older one, as ``number: 8080 → 8081``."""
        return self._told(" → ")

    def _told(self, between: str) -> str:
        return f"{self.kind}: {', '.join(self.ours) or '–'}{between}{', '.join(self.theirs) or '–'}"


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
    return list(weighty(a, b)) or list(_hints(a, b))


def _hints(a: Words, b: Words) -> Iterator[Difference]:
    """Other words, and where there are none other small words or another order."""
    own_a, own_b = own_words(a, b)
    if not own_a or not own_b:
        small = vocabulary.FUNCTION_WORDS - vocabulary.NEEDLESS
        own_a, own_b = (own_a | a.said - b.said) & small, (own_b | b.said - a.said) & small
    if own_a and own_b:
        kind = "word" if len(own_a) == len(own_b) == 1 else "words"
        yield Difference(kind, tuple(sorted(own_a)), tuple(sorted(own_b)), bars=False)
    elif a.sense != b.sense and sorted(a.sense) == sorted(b.sense):
        yield Difference("order", *_unequal_part([*a.sense], [*b.sense]), bars=False)


def weighty(a: Words, b: Words) -> Iterator[Difference]:
    """The differences that count for more than other words."""
    only_a, only_b = ({word.partition("\0")[0] for word in only} for only in (a.said - b.said, b.said - a.said))
    yield from _details(a, b, only_a, only_b)
    ours, theirs = unlike(a.literals, b.literals)
    if ours:
        yield Difference("spelling", ours, theirs, bars=True)
    yield from _dates(a, b)
    yield from _negation(a, b)
    yield from _names(a, b)
    if only_a and only_b:
        yield from _contrasts(a, b, only_a - a.details, only_b - b.details)
    if a.stamps and b.stamps and a.stamps != b.stamps:
        yield Difference("dated", tuple(sorted(a.stamps)), tuple(sorted(b.stamps)), bars=False)


def _details(a: Words, b: Words, only_a: set[str], only_b: set[str]) -> Iterator[Difference]:
    told: set[str] = set()
    for kind, field in _DETAILS:
        ours, theirs = getattr(a, field), getattr(b, field)
        if ours and theirs:
            ours, theirs = ours & only_a, theirs & only_b
            # A port is a number too: it is told once, by the better word.
            if ours and theirs and not ours | theirs <= told:
                told |= ours | theirs
                yield Difference(kind, tuple(sorted(ours)), tuple(sorted(theirs)), bars=True)


def _contrasts(a: Words, b: Words, only_a: set[str], only_b: set[str]) -> Iterator[Difference]:
    pairs = [
        (one, other) for one in sorted(only_a) if not opposites(one).isdisjoint(only_b)
        for other in sorted(opposites(one) & only_b)
    ]  # fmt: skip
    if pairs:
        ours, theirs = dict.fromkeys(one for one, _ in pairs), dict.fromkeys(other for _, other in pairs)
        yield Difference(
            "opposite",
            tuple(a.written.get(word, word) for word in ours),
            tuple(b.written.get(word, word) for word in theirs),
            bars=True,
        )


_CONTRAST_SETS = tuple(frozenset(map(concept, words)) for words in vocabulary.CONTRAST_SETS)
_CONTRASTS: dict[str, list[int]] = {}
for _number, _words in enumerate(_CONTRAST_SETS):
    for _word in _words:
        _CONTRASTS.setdefault(_word, []).append(_number)


@lru_cache(maxsize=CACHED_WORDS)
def opposites(word: str) -> frozenset[str]:
    """The concepts that exclude this one, by the tables or by their prefixes (include, exclude)."""
    found = {other for number in _CONTRASTS.get(word, ()) for other in _CONTRAST_SETS[number]}
    if len(word) >= _STEM:
        found |= {prefix + word for prefix in vocabulary.NEGATIVE_PREFIXES}
    changes = [*((prefix, "") for prefix in vocabulary.NEGATIVE_PREFIXES), *vocabulary.OPPOSITE_PREFIXES]
    for prefix, opposite in changes:
        stem = word.removeprefix(prefix)
        if stem != word and len(stem) >= _STEM:
            found.add(opposite + stem)
    return frozenset(found - {word})


def _dates(a: Words, b: Words) -> Iterator[Difference]:
    ours = tuple(sorted(day for day in a.dates if not any(_same_day(day, other) for other in b.dates)))
    theirs = tuple(sorted(day for day in b.dates if not any(_same_day(day, other) for other in a.dates)))
    if ours and theirs:
        yield Difference("date", ours, theirs, bars=True)
    elif a.moments - b.moments and b.moments - a.moments:
        yield Difference("date", tuple(sorted(a.moments - b.moments)), tuple(sorted(b.moments - a.moments)), bars=True)


def _same_day(one: str, other: str) -> bool:
    """Whether two dates can be the same, one of them perhaps without its year or its day."""
    if one.startswith("--") or other.startswith("--"):
        one, other = one[2:] if one.startswith("--") else one[5:], other[2:] if other.startswith("--") else other[5:]
    return one.startswith(other) or other.startswith(one)


def _negation(a: Words, b: Words) -> Iterator[Difference]:
    if a.negations == b.negations:
        return
    few, many = sorted((a, b), key=lambda words: words.negations)
    longer_denies_more = len(many.tokens) > 1.4 * len(few.tokens)
    if longer_denies_more and not any(
        is_same_word(word, other) for word in many.denied for other in few.content
    ):
        return
    yield Difference("negation", ("not",) * (a is many), ("not",) * (b is many), bars=True)


def _names(a: Words, b: Words) -> Iterator[Difference]:
    if "nouns" in (a.capitals, b.capitals):
        yield from _replaced_noun(a, b)
        return
    if a.capitals and b.capitals:
        ours, theirs = _missing_names(a, b), _missing_names(b, a)
    else:
        ours, theirs = _replaced_names(a, b)
    if ours and theirs:
        yield Difference("name", ours, theirs, bars=True)
    elif not ours and not theirs and ("by" in a.tokens) == ("by" in b.tokens):
        shared = _names_of_both(a, b)
        # When it was may be said first or last; only days among themselves change places ("from Monday to Friday").
        for names in (shared - _WHEN, shared & _WHEN):
            roles_a, roles_b = _roles(a, names), _roles(b, names)
            if roles_a != roles_b:
                yield Difference("roles", *_unequal_part(roles_a, roles_b), bars=True)


_WHEN = frozenset(
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", *vocabulary.MONTHS)
)


def _names_of_both(a: Words, b: Words) -> set[str]:
    """The names that both texts say; what is capitalised at the beginning of a sentence alone and small in the other
    text ("Last Saturday", "Recently") is none.
    """
    names = a.names | b.names
    if a.capitals and b.capitals:
        names = (a.names & b.names) | a.inner_names | b.inner_names
    return {name.casefold() for name in names} & a.content & b.content


def _replaced_noun(a: Words, b: Words) -> Iterator[Difference]:
    """Where any noun is capitalised: one of them in the place of another, all else being equal."""
    own_a, own_b = own_words(a, b)
    if len(own_a) == len(own_b) == 1 and all(
        own <= {name.casefold() for name in words.names} for own, words in ((own_a, a), (own_b, b))
    ):
        yield Difference("word", tuple(own_a), tuple(own_b), bars=True)


def _replaced_names(a: Words, b: Words) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where the capitals of one text tell nothing: names of the other, in whose place it has a word of its own."""
    if not a.names and not b.names:
        return (), ()
    own_a, own_b = own_words(a, b)
    names = {name.casefold() for name in a.names | b.names}
    pairs = [
        (one, other) for one in sorted(own_a) for other in sorted(own_b)
        if names & {one, other} and _beside(a, one) & _beside(b, other)
    ]  # fmt: skip
    return tuple(dict.fromkeys(one for one, _ in pairs)), tuple(dict.fromkeys(other for _, other in pairs))


def _beside(words: Words, word: str) -> set[tuple[int, str]]:
    """What stands right before and right after a word; "" at the edges of the text."""
    padded = ("", *words.tokens, "")
    places = [at for at, token in enumerate(padded) if token == word]
    return {(side, padded[at + side]) for at in places for side in (-1, 1)}


def _roles(words: Words, names: set[str]) -> list[str]:
    """The names in the order in which they first appear; enumerations are sorted."""
    return list(dict.fromkeys(token for token in words.sense if token in names))


def _unequal_part(one: list[str], other: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    start = next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    end = next((k for k, (a, b) in enumerate(zip(one[::-1], other[::-1], strict=False)) if a != b), 0)
    return tuple(one[start : len(one) - end]), tuple(other[start : len(other) - end])


def _missing_names(a: Words, b: Words) -> tuple[str, ...]:
    if a.names <= b.names:
        return ()
    said = set(b.tokens)
    missing = {
        name for name in a.names - b.names if name.casefold() not in said and concept(name.casefold()) not in b.said
    }
    # The first word of a sentence is seldom a name: a typing error there is no other person.
    first_words = {name for name in missing - a.inner_names if len(name) > _LONG_NAME}
    return tuple(sorted(
        name for name in missing
        if name not in first_words or not any(is_same_word(name.casefold(), word) for word in b.content)
    ))


def own_words(a: Words, b: Words) -> tuple[frozenset[str], frozenset[str]]:
    """The content words that stand only in the first and only in the second text (typing errors, other spellings and
    synonyms aside)."""
    only_a, only_b = a.content - b.content, b.content - a.content
    if not only_a or not only_b:
        return only_a, only_b
    return (
        frozenset(word for word in only_a if not _is_said(word, b)),
        frozenset(word for word in only_b if not _is_said(word, a)),
    )


def taken_for_equal(a: Words, b: Words) -> list[tuple[str, str]]:
    """The words of either text that count as the same though they are written differently, in the order of `a`."""
    other = [word for word in dict.fromkeys(b.tokens) if word in b.content - a.content]
    found = []
    for word in dict.fromkeys(a.tokens):
        if word in a.content - b.content:
            same = next((w for w in other if concept(word) == concept(w)), None)
            same = same or next((w for w in other if is_same_word(word, w)), None)
            found += [(word, same)] if same else []
    return found


def _is_said(word: str, words: Words) -> bool:
    return concept(word) in words.sense or any(is_same_word(word, other) for other in words.content)
