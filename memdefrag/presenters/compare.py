"""Two memories side by side: which words differ, which values differ."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from memdefrag.base.settings import PREVIEW_CHARACTERS
from memdefrag.base.wording import moment
from memdefrag.presenters.wording import elided

_TOKEN = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")
_MOST_TOKENS = 1_500
"""Longer texts are compared line by line: word by word would take seconds."""


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text; `own` is what the other text does not have."""

    text: str
    own: bool


def word_diff(one: str, other: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Both texts in runs, each marked where it differs from the other."""
    one, other = elided(one, PREVIEW_CHARACTERS), elided(other, PREVIEW_CHARACTERS)
    a, b = _tokens(one), _tokens(other)
    ours: list[Span] = []
    theirs: list[Span] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        _add(ours, "".join(a[i1:i2]), tag != "equal")
        _add(theirs, "".join(b[j1:j2]), tag != "equal")
    return tuple(ours), tuple(theirs)


def _tokens(text: str) -> list[str]:
    tokens = _TOKEN.findall(text)
    return tokens if len(tokens) <= _MOST_TOKENS else text.splitlines(keepends=True)


def _add(spans: list[Span], text: str, own: bool) -> None:
    if text:
        spans.append(Span(text, own))


@dataclass(frozen=True, slots=True)
class Value:
    """One metadata key in the memory that stays, in the one looked at, and after the merge."""

    key: str
    survivor: str
    member: str
    merged: str

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Whose value, and the value; one line where all agree."""
        if self.survivor == self.member and self.merged in (self.survivor, ""):
            return (("both", self.survivor),)
        found = (("survivor", self.survivor), ("this one", self.member), ("merged", self.merged))
        return tuple((who, value) for who, value in found if value)


def metadata_rows(survivor: Any, member: Any, merged: Any) -> tuple[Value, ...]:
    """All that three memories say beside their text, key by key; `merged` may be None."""
    columns = [_values(record) for record in (survivor, member, merged)]
    keys = dict.fromkeys(key for column in columns for key in column)
    return tuple(Value(key, *(column.get(key, "") for column in columns)) for key in keys)


def _values(record: Any) -> dict[str, str]:
    if record is None:
        return {}
    said = {
        "tags": ", ".join(record.tags),
        "created": moment(record.created),
        "updated": moment(record.updated),
        "uri": record.uri or "",
    }
    metadata: Mapping[str, Any] = record.metadata
    return {key: value for key, value in said.items() if value} | {
        key: elided(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 500)
        for key, value in metadata.items()
    }
