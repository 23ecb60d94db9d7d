"""What must be kept to the letter, case and signs included: code between back-ticks, and passwords and the like."""

from __future__ import annotations

import re

_TOLD = re.compile(
    r"""`([^`\n]{1,200})`
    |\b(?:pass ?(?:word|phrase|code)|passwd|passwort|pwd|contraseña|user ?name|login|api[ -]?key|key|token|pin|secret
        |regexp?|regular\ expression|glob|separator|delimiter|variable|constant|environment\ variable)
    (?:\s{0,3}(?:\b(?:is|are|was|ist|es|to|called|named)\b|[:=：])){1,4}\s{0,3}(\S{1,200})
    |(?:密码|密碼|パスワード|口令)(?:\s{0,3}(?:是|为|為|は|[:=：])){1,2}\s{0,3}([^\s。，、]{1,200})""",
    re.X | re.I,
)
_AROUND = "`\"'“”‘’()[]*_"
_LETTERS = re.compile(r"[\W_]+")


def literals(text: str) -> frozenset[str]:
    """What the text says that is another thing in another case or with other signs.

    In a text without any small letter the case tells nothing, and in one without capitals it tells nothing of code.

    >>> sorted(literals("The password is Hunter2. Set `PATH` first."))
    ['Hunter2', 'PATH']
    """
    if text.isupper():
        return frozenset()
    small = text.islower()
    told = (found for found in _TOLD.finditer(text) if not (small and found[1]))
    return frozenset(_bare(next(filter(None, found.groups()))) for found in told)


def _bare(literal: str) -> str:
    """Without quotes and the sentence's full stop, if anything else is left."""
    inner = literal.rstrip(".,").strip(_AROUND).rstrip(".,")
    return inner or literal


def unlike(ours: frozenset[str], theirs: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of either text that the other has with the same letters in another case or with other signs alone."""
    own, others = sorted(ours - theirs), sorted(theirs - ours)
    pairs = [(one, other) for one in own for other in others if _letters(one) == _letters(other)]
    return tuple(dict.fromkeys(one for one, _ in pairs)), tuple(dict.fromkeys(other for _, other in pairs))


def _letters(literal: str) -> str:
    return _LETTERS.sub("", literal.casefold())
