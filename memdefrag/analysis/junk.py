"""Memories that hardly are any: empty, nearly empty, left over from a test, oversized, or with an unusable vector.

Each kind is a list of its own, to be looked at; nothing here is ever removed by a rule.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from memdefrag.analysis.language.languages import UNSPACED
from memdefrag.analysis.language.stamps import unwrap
from memdefrag.analysis.language.words import normalise
from memdefrag.base.wording import count
from memdefrag.model.records import MemoryRecord, Snapshot, State, Vector

OVERSIZED_CHARACTERS = 8_000
"""About eight times what the default model reads of a text."""
FEWEST_SIGNS = 3
"""Letters and digits of a memory that says something; half as many in scripts whose signs are words."""


class JunkKind(StrEnum):
    EMPTY = "empty"
    NEARLY_EMPTY = "nearly-empty"
    TEST = "test"
    OVERSIZED = "oversized"
    BAD_VECTOR = "bad-vector"


@dataclass(frozen=True, slots=True)
class Junk:
    """A record that hardly is a memory; `why` says so in words."""

    record: MemoryRecord
    kind: JunkKind
    why: str


_LONGEST_TEST = 100
_UNSPACED = re.compile(f"[{UNSPACED}]")
_WORD_OF_TEST = (
    "test|tests|testing|tested|prueba|pruebas|probando|essai|teste|testeintrag|testnachricht|测试|測試|テスト|проверка|тест"
)
_TEST = re.compile(
    rf"""(?:this\s+is\s+|just\s+|only\s+|a\s+|an\s+|my\s+|the\s+|some\s+|first\s+|hello\s+|esto\s+es\s+una\s+
        |das\s+ist\s+(?:ein|nur\s+ein)\s+|这是一个?|これは)*
        (?:{_WORD_OF_TEST})
        (?:[\s_-]*(?:memory|memories|entry|note|message|record|data|content|text|string|document|doc|item|value|only
        |please\s+ignore|ignore|\#?\d++|one|two|three|a|b|c|です|记忆|記憶|数据))*""",
    re.X,
)
_FILLER = re.compile(
    r"(?:foo|bar|baz|qux|asdf+|qwerty|aaa+|xxx+|abc|abc123|hello,?\s+world|lorem\s+ipsum.*|dummy|dummy\s+\w+"
    r"|placeholder|sample\s+text)(?:\s+(?:foo|bar|baz|qux))*",
    re.S,
)


def junk(snapshot: Snapshot) -> list[Junk]:
    """All junk of a store, kind by kind in the order of `JunkKind`, each in the order of its records.

    A record may be junk in several ways. Superseded and deleted records are not looked at.
    """
    usual = _usual_dimensions(snapshot)
    found = [
        Junk(record, kind, why)
        for record in snapshot
        if record.state in (State.LIVE, State.CHUNK)
        for kind, why in _kinds(record, usual.get(record.key.collection))
    ]
    kinds = list(JunkKind)
    return sorted(found, key=lambda each: kinds.index(each.kind))


def _kinds(record: MemoryRecord, dimension: int | None) -> Iterator[tuple[JunkKind, str]]:
    text = record.text or ""
    said = normalise(unwrap(text))
    if not text.strip():
        yield JunkKind.EMPTY, "there is no text" if record.text is None else "the text is empty"
    elif (len(said) <= _LONGEST_TEST and _TEST.fullmatch(said)) or _FILLER.fullmatch(said):
        yield JunkKind.TEST, "reads like something left over from a test"
    elif _signs(said) < FEWEST_SIGNS:
        yield JunkKind.NEARLY_EMPTY, "says next to nothing"
    if len(text) > OVERSIZED_CHARACTERS:
        yield JunkKind.OVERSIZED, f"{count(len(text), 'character')}; a search sees only the beginning"
    trouble = _trouble(record.embedding, dimension)
    if trouble and text.strip():
        yield JunkKind.BAD_VECTOR, f"{trouble}, so no search by meaning finds it"


def _signs(text: str) -> int:
    """Letters and digits, those of scripts without spaces twice."""
    return sum(sign.isalnum() for sign in text) + len(_UNSPACED.findall(text))


def _usual_dimensions(snapshot: Snapshot) -> dict[str, int]:
    """The dimension of most vectors of each collection that has any."""
    seen: dict[str, Counter[int]] = {}
    for record in snapshot:
        if record.embedding is not None:
            seen.setdefault(record.key.collection, Counter())[len(record.embedding)] += 1
    return {collection: dimensions.most_common(1)[0][0] for collection, dimensions in seen.items()}


def _trouble(vector: Vector | None, dimension: int | None) -> str:
    """What is wrong with a vector; a missing one only where others have one."""
    if vector is None:
        return "it has no vector although others have one" if dimension else ""
    if not np.isfinite(vector).all():
        return "its vector holds numbers that are none"
    if not vector.any():
        return "its vector is zero"
    if len(vector) != dimension:
        return f"its vector has {len(vector)} numbers, the others {dimension}"
    return ""
