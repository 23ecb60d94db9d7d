"""A step of the history in full: what it did to each memory, and how before and after differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from memdefrag.engine import history, images
from memdefrag.engine.history import HistoryStep, StepState
from memdefrag.model.hashing import canonical_json
from memdefrag.model.records import Key, MemoryRecord, Metadata, Relation

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_PLAIN_FIELDS = ("uri", "tags", "created", "updated", "owner", "state")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One value besides the text, before and after; None where there is none."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class RecordChange:
    """One memory that a step touched; `before` or `after` is None where it was not there."""

    key: Key
    before: MemoryRecord | None
    after: MemoryRecord | None

    @property
    def what(self) -> str:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def text(self) -> list[tuple[str, str]]:
        """The text sentence by sentence: those that went ("-"), came ("+") or stayed (" "), in reading order."""
        return list(_text_change(_text(self.before), _text(self.after)))

    @property
    def fields(self) -> list[FieldChange]:
        """All values besides the text that differ, the metadata's by key."""
        before, after = _fields(self.before), _fields(self.after)
        names = dict.fromkeys([*before, *after])
        return [
            FieldChange(name, before.get(name), after.get(name))
            for name in names
            if canonical_json(before.get(name)) != canonical_json(after.get(name))
        ]

    def as_dict(self) -> dict[str, Any]:
        return {
            "collection": self.key.collection,
            "id": self.key.id,
            "what": self.what,
            "text": [list(part) for part in self.text],
            "fields": {each.name: [each.before, each.after] for each in self.fields},
        }


@dataclass(frozen=True, slots=True)
class StepDetails:
    """A step, what is left of its effect, and the records it touched.

    Attributes:
        left: of a step that was undone in part: the records that were not.
        linked, unlinked: the links that it made, and those that it removed.
    """

    step: HistoryStep
    state: StepState
    left: tuple[Key, ...]
    records: tuple[RecordChange, ...]
    linked: tuple[Relation, ...] = ()
    unlinked: tuple[Relation, ...] = ()


def show(step: HistoryStep) -> StepDetails:
    """All that a step did.

    Raises:
        BackupDamaged: what it saved is damaged.
    """
    history.require_whole(step)
    before, after, linked, unlinked = images.load(step.folder)
    records = [RecordChange(key, before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]
    found = history.state(step)
    left = history.left(step) if found is StepState.PARTLY else ()
    return StepDetails(step, found, left, tuple(records), linked, unlinked)


def _text(record: MemoryRecord | None) -> list[str]:
    return [part for part in _SENTENCE.split(record.text or "") if part.strip()] if record else []


def _text_change(before: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    for _, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if before[i:j] == after[k:m]:
            yield from ((" ", part) for part in before[i:j])
        else:
            yield from (("-", part) for part in before[i:j])
            yield from (("+", part) for part in after[k:m])


def _fields(record: MemoryRecord | None) -> Metadata:
    if record is None:
        return {}
    said = {name: getattr(record, name) for name in _PLAIN_FIELDS}
    said["tags"] = list(record.tags)
    return {name: value for name, value in said.items() if value} | dict(record.metadata) | dict(record.extras)
