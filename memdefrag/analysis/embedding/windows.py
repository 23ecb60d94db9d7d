"""How much of a text an embedding model reads, and whether a text is longer. Pure: no model is loaded."""

from __future__ import annotations

import re

DEFAULT_WINDOW = 256
"""Tokens that the default model reads; assumed where the model is not known, since most read at least as many."""

WINDOWS = {
    "all-MiniLM-L6-v2": 256,
    "all-MiniLM-L12-v2": 128,
    "all-distilroberta-v1": 512,
    "all-mpnet-base-v2": 384,
    "multi-qa-MiniLM-L6-cos-v1": 512,
    "multi-qa-mpnet-base-dot-v1": 512,
    "paraphrase-MiniLM-L6-v2": 128,
    "paraphrase-multilingual-MiniLM-L12-v2": 128,
    "paraphrase-multilingual-mpnet-base-v2": 128,
    "distiluse-base-multilingual-cased-v2": 128,
    "LaBSE": 256,
    "e5-small-v2": 512,
    "e5-base-v2": 512,
    "e5-large-v2": 512,
    "multilingual-e5-small": 512,
    "multilingual-e5-base": 512,
    "multilingual-e5-large": 512,
    "bge-small-en-v1.5": 512,
    "bge-base-en-v1.5": 512,
    "bge-large-en-v1.5": 512,
    "bge-m3": 8_192,
    "gte-small": 512,
    "gte-base": 512,
    "gte-large": 512,
    "nomic-embed-text-v1": 8_192,
    "nomic-embed-text-v1.5": 8_192,
    "text-embedding-ada-002": 8_191,
    "text-embedding-3-small": 8_191,
    "text-embedding-3-large": 8_191,
}
"""Tokens by model, as their model cards (`max_seq_length`) and OpenAI's documentation say."""

_PIECE = re.compile(r"[^\W_]+|[^\w\s]|_")
_MARKS = 2
"""The tokens before and after every text."""
_WITHOUT_SPACES = "\u2e80"
"""From here on the scripts of China and Japan: one token for each character."""


def window_of(model: str | None) -> int:
    """Tokens that a model reads of a text; an organisation before its name says nothing."""
    return WINDOWS.get((model or "").rpartition("/")[2], DEFAULT_WINDOW)


def tokens(text: str) -> int:
    """About how many word pieces a text has: within 10 % for English notes, exact for Chinese and Japanese."""
    return sum(_pieces(found[0]) for found in _PIECE.finditer(text)) + _MARKS


def is_long(text: str | None, model: str | None = None) -> bool:
    """Whether a text may be longer than what one vector of the model can stand for."""
    # A piece has at least one character, so that short texts need no counting.
    return len(text or "") > window_of(model) - _MARKS and tokens(text or "") > window_of(model)


def _pieces(word: str) -> int:
    length = len(word)
    if word[0] >= _WITHOUT_SPACES:
        return length
    if word.isdigit():
        return -(-length // 3)
    if not word.isalpha():
        return -(-length // 2)
    if not word.isascii():
        return -(-length // 3)
    # Frequent words are one piece; rare, long ones fall apart.
    return 1 + (length - 1) // 8 if length <= 12 else 1 + length // 4
