"""Which rules apply to the language of a text."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from memdefrag.analysis.language import vocabulary as v
from memdefrag.analysis.language.same_word import english_words
from memdefrag.analysis.language.synonyms import SYNONYMS

UNSPACED = (
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Japanese, Chinese
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
)
"""The signs of scripts without spaces between words, as ranges of an expression."""

_LATIN = "àâäåæçèéêëìíîïñòóôöøùúûüýœß"


def is_english(words: Sequence[str]) -> bool:
    """Whether the rules for English apply: by its function words, and where it has none (or only such as other
    languages share) by whether most of its words are English ones.

    Args:
        words: case-folded.
    """
    if any(not ("a" <= word[0] <= "z" or word[0] in _LATIN) for word in words):
        return False
    foreign = sum(word in v.FOREIGN_FUNCTION_WORDS and word not in v.AMBIGUOUS for word in words)
    telling = sum(word in v.FUNCTION_WORDS and word not in v.AMBIGUOUS for word in words)
    if foreign or telling:
        return telling > foreign
    known = sum(word in english_words() or word in SYNONYMS or word in v.AMBIGUOUS for word in words)
    return 2 * known > len(words) or not words


def is_german(words: Sequence[str]) -> bool:
    """Whether capitals may mark any noun, so that they tell no names."""
    german = sum(word in v.GERMAN_FUNCTION_WORDS for word in words)
    return german > 0 and 2 * german >= sum(word in v.FOREIGN_FUNCTION_WORDS for word in words)


def negations(words: Collection[str], unspaced_text: str, english: bool) -> int:
    """How many words (and signs, in scripts without spaces) negate."""
    known = v.NEGATIONS if english else v.FOREIGN_NEGATIONS | v.NEGATIONS
    spoken = sum(word in known or word.endswith("n't") for word in words)
    return spoken + sum(1 for _ in v.UNSPACED_NEGATIONS.finditer(unspaced_text))
