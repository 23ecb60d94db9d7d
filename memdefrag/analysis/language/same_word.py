"""Whether two words say the same: synonyms, British and American spelling, endings, typing errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from rapidfuzz.distance import OSA

from memdefrag.analysis.language import vocabulary as v
from memdefrag.analysis.language.synonyms import CONTRACTED_ENDINGS, CONTRACTIONS, PHRASES, SYNONYMS, UNITS
from memdefrag.base.settings import resource

CACHED_WORDS = 50_000

_LONG = 7
"""In shorter words an exchanged letter makes another word or name too often (momo, mono)."""

_VOWELS = frozenset("aeiouy")

_AMERICAN = (
    (re.compile(r"(?<=[a-z]{3})our(?=(?:s|ed|ing|ite|ites|able|hood|ful|less|ly)?$)"), "or"),
    (re.compile(r"(?<=[a-z]{3})is(?=(?:e|es|ed|er|ers|ing|ation|ations)$)"), "iz"),
    (re.compile(r"(?<=[a-z]{3}ly)s(?=(?:e|ed|ing)$)"), "z"),
    (re.compile(r"^(cent|theat|lit|fib|(?:kilo|centi|milli)?met|somb|lust)re(?=s?$)"), r"\1er"),
    (re.compile(r"^(trave|cance|labe|mode|fue|signa|leve|marve|counse|tota|dia)ll(?=(?:ed|ing|er|ers)$)"), r"\1l"),
    (re.compile(r"^(lic|def|off|pret)ence(?=[sd]?$)"), r"\1ense"),
)


@lru_cache(maxsize=CACHED_WORDS)
def concept(word: str) -> str:
    """The word that stands for this one, its synonyms and its other spelling; the word itself if it has none."""
    american = word
    for british, form in _AMERICAN:
        american = british.sub(form, american)
    return SYNONYMS.get(american, american)


def sense(tokens: Sequence[str]) -> list[tuple[str, str]]:
    """What English tokens say, such that equal results say the same: without articles, contractions spelt out,
    phrases, units and words replaced by what stands for them; and beside each how it is written in the text.
    """
    found: list[tuple[str, str]] = []
    plain = list(_spelt_out(tokens))
    at = 0
    while at < len(plain):
        word = plain[at]
        for phrase, meaning in PHRASES.get(word, ()):
            if tuple(plain[at : at + len(phrase)]) == phrase:
                found += ((part, " ".join(phrase)) for part in meaning)
                at += len(phrase)
                break
        else:
            after_number = bool(found) and found[-1][0][-1:].isdigit()
            found.append((UNITS[word] if after_number and word in UNITS else concept(word), word))
            at += 1
    return found


_PERFECT = frozenset(
    {"has", "have", "had", "having", "hasn't", "haven't", "hadn't", "i've", "we've", "you've", "they've"}
)


def _spelt_out(tokens: Sequence[str]) -> Iterator[str]:
    article = False
    for at, token in enumerate(tokens):
        if token == "been" and at and _PERFECT.isdisjoint(tokens[max(0, at - 3) : at]):
            # Of "Maria's been there" the tokens have no 's.
            yield "has"
        some, article = article and token in ("few", "little"), token in v.ARTICLES
        if some:
            # "Few" and "a few" are opposites.
            yield f"a {token}"
        elif article:
            continue
        elif token in CONTRACTIONS:
            yield from CONTRACTIONS[token]
        elif (ending := token[-3:]) in CONTRACTED_ENDINGS and len(token) > len(ending):
            yield from (token[:-3], CONTRACTED_ENDINGS[ending])
        else:
            yield token


@cache
def english_words() -> frozenset[str]:
    """Some twenty thousand words and names that are common in English texts: the whole words of at least three
    letters in the vocabulary of the language model BERT (Apache licence 2.0)."""
    return frozenset(resource("english.txt").read_text(encoding="ascii").split())


def is_same_word(one: str, other: str) -> bool:
    """Whether two words are equal but for spelling, a typing error or a plural's s.

    One edit (two from nine letters), never in the first letter, never where a digit is involved, never in words
    of three letters unless a letter was added. Two words that both are English are no typing errors of each other:
    house and horse, lives and lived, dance and dancer. A letter is exchanged for another in long words only.
    """
    if one == other:
        return True
    if one[0] != other[0] or not (one.isalpha() and other.isalpha()):
        return concept(one) == concept(other)
    return _is_slip(*sorted((one, other), key=len)) or concept(one) == concept(other)


def _is_slip(shorter: str, longer: str) -> bool:
    allowed = 2 if len(shorter) >= 9 else 1
    if len(longer) - len(shorter) > allowed or len(shorter) < 3 or len(longer) == 3:
        return False
    if OSA.distance(shorter, longer, score_cutoff=allowed) > allowed:
        return False
    if longer == shorter + "s":
        return shorter not in v.OTHERS_WITH_S and not shorter.endswith("s")
    if shorter.isascii() and longer.isascii() and _VOWELS.isdisjoint(shorter + longer):
        # Two abbreviations: tsp, tbsp.
        return False
    exchanged = len(shorter) == len(longer) and sorted(shorter) != sorted(longer)
    return not (exchanged and len(shorter) < _LONG) and not {shorter, longer} <= english_words()
