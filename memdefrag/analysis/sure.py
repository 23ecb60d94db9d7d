"""When two texts surely say the same, so that they can be merged without being looked at. All rules are symmetric."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rapidfuzz.distance import LCSseq

from memdefrag.analysis.guard import weighty
from memdefrag.analysis.language import vocabulary
from memdefrag.analysis.language.same_word import concept, is_same_word
from memdefrag.analysis.language.synonyms import UNITS
from memdefrag.analysis.language.words import Words
from memdefrag.base.settings import CANDIDATE_COSINE

SAME_ORDER = 0.95
"""Share of the shorter text's words that must stand in the same order in the longer one."""


def judge(a: Words, b: Words, cosine: float) -> tuple[bool, bool]:
    """Whether a pair is surely the same, and whether it is barred (never both).

    Sure: everything the shorter text says stands in the longer one, in the same order; the rule of
    docs/quality.md, made for English. In other languages only equal texts are sure.

    Args:
        cosine: of the stored vectors; NaN where there are none, which then is no objection.
    """
    dated = False
    for difference in weighty(a, b):
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
    if not short.content or not vocabulary.RETRACTIONS.intersection(long.sense) <= set(short.sense):
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
    return in_order and _adds_at_the_end(short.sense, said, long)


def _adds_at_the_end(short: Iterable[str], said: Sequence[str], long: Words) -> bool:
    """Whether what the longer text says on top follows all the rest: "mostly", "the former" or "pretends that" before
    or inside a statement may change it.

    Args:
        said: the sense of `long` as `short` spells it.
    """
    missing = Counter(word for word in short if word not in vocabulary.NEEDLESS)
    for at, word in enumerate(said):
        if word in vocabulary.NEEDLESS:
            continue
        if not missing.total():
            return not _goes_on(long, at)
        if not missing[word]:
            return False
        missing[word] -= 1
    return True


def _goes_on(words: Words, at: int) -> bool:
    """Whether a word of the sense may belong to the one before it: "Anna's boss", "Georgia Street", or make it the
    subject of another sentence: "Deploying on Friday is a bad idea".
    """
    before, word = (words.written[part].split() for part in words.sense[at - 1 : at + 1])
    if word[0] in _BE and before[-1] not in vocabulary.NEEDLESS:
        return True
    if not {word[0], before[-1]}.isdisjoint(_NEW_PHRASE):
        return False
    joined = rf"\b{re.escape(before[-1])}(?:'s)?\s+{re.escape(word[0])}\b"
    return re.search(joined, " ".join(words.sentences), re.I) is not None


def _measures(words: Words) -> set[tuple[str, str]]:
    """The numbers with their units: 10 is not 10 %."""
    if not words.numbers:
        return set()
    pairs = list(zip(words.sense, words.sense[1:], strict=False))
    after = {(number, unit) for number, unit in pairs if unit in UNITS and number in words.numbers}
    return after | {(number, unit) for unit, number in pairs if unit in _CURRENCIES and number in words.numbers}


_CURRENCIES = "$€£¥"
_BE = frozenset({"is", "are", "was", "were"})
_NEW_PHRASE = vocabulary.FUNCTION_WORDS | vocabulary.NEEDLESS | vocabulary.PREPOSITIONS
_HEDGES = frozenset(map(concept, vocabulary.HEDGES)) | {"?"}


def _persons(words: Iterable[str]) -> set[str]:
    return {vocabulary.PERSONS[word] for word in words if word in vocabulary.PERSONS}


def _spelling(short: Words, long: Words) -> dict[str, str] | None:
    """For each word of `long` that is a slip of one of `short` (or whose slip that is) the one of `short`; None when a
    word is missing there."""
    spelling: dict[str, str] = {}
    names = {name.casefold() for name in short.names | long.names}
    for word in {word.partition("\0")[0] for word in short.said - long.said}:
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
        token == word and not {"a", "an"}.isdisjoint(ours.tokens[max(0, at - 3) : at])
        for at, token in enumerate(ours.tokens)
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
