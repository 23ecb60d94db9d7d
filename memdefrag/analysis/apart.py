"""Texts that a person told apart: alike or not, they are not duplicates."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property

from memdefrag.model.hashing import text_hash

Pair = tuple[str, str]
"""Two content keys, the lesser first; both the same: not even its own copies are duplicates of such a text."""


def content_key(text: str) -> str:
    """What a text is remembered by: SHA-256 hex of its NFKC form, case folded, with single spaces.

    Stands in the files of `engine.apart` and therefore never changes; it is finer than `words.normalise`.
    """
    return text_hash(" ".join(unicodedata.normalize("NFKC", text).casefold().split()))


def pair_of(one: str, other: str) -> Pair:
    """Two content keys in the order in which they are kept."""
    return (one, other) if one <= other else (other, one)


@dataclass(frozen=True)
class Apart:
    """All pairs of texts that were told apart."""

    pairs: frozenset[Pair] = frozenset()

    @cached_property
    def keys(self) -> frozenset[str]:
        """The content keys that stand in any pair."""
        return frozenset(key for pair in self.pairs for key in pair)

    def key(self, text: str) -> str | None:
        """The text's content key, where the text was told apart from any other; else None."""
        if not self.pairs:
            return None
        found = content_key(text)
        return found if found in self.keys else None
