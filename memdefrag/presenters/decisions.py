"""What a person decided about sets of memories: taken back step by step, remembered between sittings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.apart import Pair
from memdefrag.engine.apart import pairs_among
from memdefrag.model.hashing import record_hash
from memdefrag.model.records import MemoryRecord

FORMAT = 1


class Action(StrEnum):
    MERGE = "merge"
    LEAVE = "leave"
    """They stay as they are, this time."""
    APART = "apart"
    """They are not duplicates."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision about exactly these memories.

    Attributes:
        members, survivor, kept: indices into the analysis' records; `kept` stay as they are although the others
            merge.
        text: the person's own wording of the merged memory.
        update: the two contradict each other, and the survivor is the one that still holds.
    """

    members: frozenset[int]
    action: Action
    survivor: int
    kept: frozenset[int] = frozenset()
    text: str | None = None
    update: bool = False

    @property
    def gone(self) -> frozenset[int]:
        """The memories that disappear into the survivor."""
        return self.members - self.kept - {self.survivor} if self.action is Action.MERGE else frozenset()


@dataclass(frozen=True, slots=True)
class Packed:
    """Many choices as arrays, one entry each. Choice c is about ``members[starts[c] : starts[c + 1]]``.

    Attributes:
        kept: all kept memories of all choices.
        kept_of: the choice of each of them.
    """

    members: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    action: npt.NDArray[np.int8]
    survivor: npt.NDArray[np.int32]
    edited: npt.NDArray[np.bool_]
    update: npt.NDArray[np.bool_]
    kept: npt.NDArray[np.int32]
    kept_of: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.action)


def pack(choices: Sequence[Choice]) -> Packed:
    """The choices as arrays; `action` is the place in `Action`."""
    place = {action: number for number, action in enumerate(Action)}
    sizes = np.array([len(choice.members) for choice in choices], np.int32)
    kept = np.array([len(choice.kept) for choice in choices], np.int32)
    return Packed(
        members=np.fromiter(chain.from_iterable(choice.members for choice in choices), np.int32, int(sizes.sum())),
        starts=np.concatenate(([0], np.cumsum(sizes))).astype(np.int32),
        action=np.array([place[choice.action] for choice in choices], np.int8),
        survivor=np.array([choice.survivor for choice in choices], np.int32),
        edited=np.array([choice.text is not None for choice in choices], np.bool_),
        update=np.array([choice.update for choice in choices], np.bool_),
        kept=np.fromiter(chain.from_iterable(choice.kept for choice in choices), np.int32),
        kept_of=np.repeat(np.arange(len(choices), dtype=np.int32), kept),
    )


class Decisions:
    """Choices by the set of memories they are about; every change is one step that `undo` takes back."""

    def __init__(self) -> None:
        self._choices: dict[frozenset[int], Choice] = {}
        self._steps: list[list[tuple[frozenset[int], Choice | None]]] = []
        self._names: dict[int, list[str]] = {}
        self._packed: Packed | None = None

    def __len__(self) -> int:
        return len(self._choices)

    def __iter__(self) -> Iterator[Choice]:
        return iter(self._choices.values())

    def get(self, members: frozenset[int]) -> Choice | None:
        return self._choices.get(members)

    def packed(self) -> Packed:
        """All choices as arrays."""
        if self._packed is None:
            self._packed = pack(list(self._choices.values()))
        return self._packed

    @property
    def can_undo(self) -> bool:
        return bool(self._steps)

    def take(self, choices: Iterable[Choice]) -> None:
        """Make choices, as one step."""
        self._packed = None
        step = []
        for choice in choices:
            step.append((choice.members, self._choices.get(choice.members)))
            self._choices[choice.members] = choice
        if step:
            self._steps.append(step)

    def replace_last(self, choice: Choice) -> None:
        """Change a choice without a step of its own: typing a text is one step, not one per letter."""
        self._packed = None
        self._choices[choice.members] = choice

    def undo(self) -> list[frozenset[int]]:
        """Take the last step back; returns the sets it was about."""
        self._packed = None
        step = self._steps.pop() if self._steps else []
        for members, before in reversed(step):
            if before is None:
                self._choices.pop(members, None)
            else:
                self._choices[members] = before
        return [members for members, _ in step]

    def dump(self, records: Sequence[MemoryRecord]) -> Callable[[], dict[str, Any]]:
        """What makes JSON values of the present choices, in any thread: memories by key, with the hash of what
        they said. Texts told apart are listed by content under "apart" (see `engine.apart`), for all stores."""
        told = [choice for choice in self if _is_told_by_texts(choice, records)]
        present = [choice for choice in self if not _is_told_by_texts(choice, records)]

        def name(member: int) -> list[str]:
            if member not in self._names:
                record = records[member]
                self._names[member] = [*record.key, record_hash(record)]
            return self._names[member]

        return lambda: {
            "format": FORMAT,
            "choices": [
                {
                    "members": [name(member) for member in sorted(choice.members)],
                    "action": choice.action.value,
                    "survivor": name(choice.survivor),
                    "kept": [name(member) for member in sorted(choice.kept)],
                    "text": choice.text,
                    "update": choice.update,
                }
                for choice in present
            ],
            "apart": sorted({pair for choice in told for pair in pairs_among(records[at] for at in choice.members)}),
        }

    def load(self, saved: dict[str, Any], records: Sequence[MemoryRecord]) -> None:
        """Take over saved choices whose memories are all there and still say the same."""
        for _, choice in _choices_in(saved, records):
            self._choices[choice.members] = choice
        self._packed = None


def move_apart(saved: dict[str, Any], records: Sequence[MemoryRecord]) -> tuple[frozenset[Pair], dict[str, Any]]:
    """Saved choices of the time when texts were told apart store by store: the pairs of texts, and all else."""
    old = [(entry, choice) for entry, choice in _choices_in(saved, records) if _is_told_by_texts(choice, records)]
    pairs = frozenset(pair for _, choice in old for pair in pairs_among(records[at] for at in choice.members))
    gone = {id(entry) for entry, _ in old}
    return pairs, saved | {"choices": [entry for entry in saved["choices"] if id(entry) not in gone]} if gone else saved


def _is_told_by_texts(choice: Choice, records: Sequence[MemoryRecord]) -> bool:
    """Whether memories are told apart that all have a text to remember them by."""
    return choice.action is Action.APART and all((records[at].text or "").strip() for at in choice.members)


def _choices_in(
    saved: dict[str, Any], records: Sequence[MemoryRecord]
) -> Iterator[tuple[dict[str, Any], Choice]]:
    """Saved choices, as they are saved and as they are meant, whose memories are all there and still say the same."""
    named = {(record.key.collection, record.key.id): index for index, record in enumerate(records)}

    def find(name: Sequence[str]) -> int:
        index = named[name[0], name[1]]
        if record_hash(records[index]) != name[2]:
            raise KeyError(name[1])
        return index

    for entry in saved["choices"] if saved.get("format") == FORMAT else ():
        try:
            choice = Choice(
                members=frozenset(map(find, entry["members"])),
                action=Action(entry["action"]),
                survivor=find(entry["survivor"]),
                kept=frozenset(map(find, entry["kept"])),
                text=entry["text"],
                update=entry["update"],
            )
        except KeyError:
            continue
        yield entry, choice
