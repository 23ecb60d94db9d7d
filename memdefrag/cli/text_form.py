"""hdev's text form of a command, as typed into its session: ``!migrate_memory key=value key="some value"``. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from memdefrag.base.errors import UsageError

_NAME = re.compile(r"[!/]?migrate[_-]memory")
_BEFORE_A_PAIR = re.compile(r'\s+(?=\w+=)(?=(?:[^"]*"[^"]*")*[^"]*$)')
_BEGINNING = re.compile(r"\s*(?:[!/]migrate[_-]memory\b|(?:source|target)_config=)")
_NEEDLESS_QUOTES = re.compile(r'(\w+=)"([^\s"]*)"')


def begins(text: str) -> bool:
    """Whether a text is surely meant as such a command, or as the beginning of one."""
    return _BEGINNING.match(text) is not None


def words(text: str) -> list[str]:
    """The command's name and the pairs of a text; quotes stay only around values with spaces in them.

    >>> words('!migrate_memory target_config="http:https://host" dry_run=true')
    ['!migrate_memory', 'target_config=http:https://host', 'dry_run=true']
    """
    pieces = (piece for piece in _BEFORE_A_PAIR.split(text.strip()) if piece)
    return [_NEEDLESS_QUOTES.sub(r"\1\2", piece) for piece in pieces]


def pairs(text: Sequence[str], known: Collection[str]) -> dict[str, str]:
    """The values by their keys; the text may be in one piece or in several, with the command's name or without.

    Raises:
        UsageError: a piece is no pair, its key is not known or stands there twice, or a quote is not closed.
    """
    said = [word for piece in text for word in words(piece)]
    if said and _NAME.fullmatch(said[0]):
        del said[0]
    found: dict[str, str] = {}
    for word in said:
        key, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"{word!r} is not key=value.", todo=f"The keys are {', '.join(known)}.")
        if key not in known:
            raise UsageError(f"The text form does not know {key!r}.", todo=f"The keys are {', '.join(known)}.")
        if key in found:
            raise UsageError(f"{key} is there twice.")
        inner = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        if '"' in inner:
            raise UsageError(f"The quotes of {key} are not in pairs: {value}.")
        found[key] = inner
    return found
