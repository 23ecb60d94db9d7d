"""Why a similar pair may still say different things, and when it surely does not. All rules are symmetric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import LCSseq

from memdefrag.analysis.language import vocabulary
from memdefrag.analysis.language.same_word import CACHED_WORDS, concept, is_same_word
from memdefrag.analysis.language.synonyms import UNITS
from memdefrag.analysis.language.words import Words
from memdefrag.base.settings import CANDIDATE_COSINE

SAME_ORDER = 0.95
"""Share of the shorter text's words that must stand in the same order in the longer one."""

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
    found = list(_weighty(a, b))
    if not found:
        own_a, own_b = own_words(a, b)
        if own_a and own_b:
            kind = "word" if len(own_a) == len(own_b) == 1 else "words"
            found.append(Difference(kind, tuple(sorted(own_a)), tuple(sorted(own_b)), bars=False))
    return found


def _weighty(a: Words, b: Words) -> Iterator[Difference]:
    """The differences that count for more than other words."""
    only_a, only_b = ({word.rstrip("\0") for word in only} for only in (a.said - b.said, b.said - a.said))
    yield from _details(a, b, only_a, only_b)
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
        shared = {name.casefold() for name in a.names | b.names} & a.content & b.content
        roles_a, roles_b = _roles(a, shared), _roles(b, shared)
        if roles_a != roles_b:
            yield Difference("roles", *_unequal_part(roles_a, roles_b), bars=True)


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


def judge(a: Words, b: Words, cosine: float) -> tuple[bool, bool]:
    """Whether a pair is surely the same, and whether it is barred (never both).

    Sure: everything the shorter text says stands in the longer one, in the same order; the rule of
    docs/quality.md, made for English. In other languages only equal texts are sure.

    Args:
        cosine: of the stored vectors; NaN where there are none, which then is no objection.
    """
    dated = False
    for difference in _weighty(a, b):
        if difference.bars:
            return False, True
        dated = True
    if dated:
        return False, False
    if a.tokens == b.tokens:
        return True, False
    if not (a.english and b.english):
        return False, False
    short, long = sorted((a, b), key=lambda words: (len(words.sense), words.sense))
    # What is said on top may be about something else; the vectors of equal words tell nothing new.
    if cosine < CANDIDATE_COSINE and len(short.sentences) != len(long.sentences):
        return False, False
    return _contains(short, long), False


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
    spelling = _spelling(short, long)
    if spelling is None:
        return False
    if any(number in short.numbers for number, _ in _measures(long) - _measures(short)):
        return False
    said = [spelling.get(word, word) for word in long.sense]
    if _HEDGES.intersection(short.sense) != _HEDGES.intersection(said) or _persons(short.sense) - _persons(said):
        return False
    in_order = LCSseq.similarity(short.sense, said) >= SAME_ORDER * len(short.sense)
    return in_order and _adds_at_the_end(short.sense, said)


def _adds_at_the_end(short: Iterable[str], long: Iterable[str]) -> bool:
    """Whether what the longer text says on top follows all the rest: "mostly", "the former" or "pretends that" before
    or inside a statement may change it.
    """
    missing = Counter(word for word in short if word not in vocabulary.NEEDLESS)
    for word in long:
        if word in vocabulary.NEEDLESS:
            continue
        if not missing.total():
            return True
        if not missing[word]:
            return False
        missing[word] -= 1
    return True


def _measures(words: Words) -> set[tuple[str, str]]:
    """The numbers with their units: 10 is not 10 %."""
    if not words.numbers:
        return set()
    pairs = list(zip(words.sense, words.sense[1:], strict=False))
    after = {(number, unit) for number, unit in pairs if unit in UNITS and number in words.numbers}
    return after | {(number, unit) for unit, number in pairs if unit in _CURRENCIES and number in words.numbers}


_CURRENCIES = "$€£¥"
_HEDGES = frozenset(map(concept, vocabulary.HEDGES)) | {"?"}


def _persons(words: Iterable[str]) -> set[str]:
    return {vocabulary.PERSONS[word] for word in words if word in vocabulary.PERSONS}


def _spelling(short: Words, long: Words) -> dict[str, str] | None:
    """For each word of `long` that is a slip of one of `short` (or whose slip that is) the one of `short`; None when a
    word is missing there."""
    spelling: dict[str, str] = {}
    names = {name.casefold() for name in short.names | long.names}
    for word in {word.rstrip("\0") for word in short.said - long.said}:
        same = None if word in names else _slip(word, short, long, names)
        if same is not None:
            spelling[same] = word
        elif word not in vocabulary.NEEDLESS:
            return None
    return spelling


def _is_one_of_several(word: str, ours: Words, other: str, theirs: Words) -> bool:
    """Whether the words are "a sister" and "sisters"."""
    if other + "s" == word:
        word, ours, other = other, theirs, word
    return word + "s" == other and any(
        token == word and before in ("a", "an") for before, token in zip(ours.tokens, ours.tokens[1:], strict=False)
    )


def _slip(word: str, short: Words, long: Words, names: set[str]) -> str | None:
    """What `long` says for a word of `short`, one of the two being written wrong."""
    # A slip in "enjoys" is near to "enjoys", not to "likes", which stands for it.
    own = short.written.get(word, word)
    content = word not in vocabulary.FUNCTION_WORDS
    return min(
        (meant for meant, written in long.written.items()
         if written[0] == own[0] and is_same_word(own, written)
         and not _is_one_of_several(own, short, written, long)
         and meant not in names and (content or meant not in vocabulary.FUNCTION_WORDS)),
        default=None,
    )  # fmt: skip
