"""What is to be done to a store, as plain data: reviewed, saved, edited, replayed.

A plan names records with the content hashes it saw, so that replaying it on a store that has moved on applies
the steps that still fit and lists the rest. It never holds vectors, only the rule that makes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from memdefrag.base import foreign_json
from memdefrag.base.errors import PlanInvalid
from memdefrag.model.hashing import record_hash
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Metadata, Relation, Snapshot, State

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FORMAT = 1
_REPLACED = "\ufffd".encode()
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


class Ref(NamedTuple):
    """A record as the plan saw it."""

    key: Key
    hash: str

    @classmethod
    def of(cls, record: MemoryRecord) -> Ref:
        return cls(record.key, record_hash(record))


class VectorRule(StrEnum):
    """Where the vector of a written record comes from."""

    MEAN = "mean"
    """Mean of the members' unit vectors; scaled to their mean norm for l2 and ip."""
    KEEP = "keep"
    """The one the record (or survivor) has."""
    EMBED = "embed"
    """Embedded from the text by the store's model."""
    SOURCE = "source"
    """The one the record has in the plan's source."""


@dataclass(frozen=True, slots=True)
class Result:
    """All that a written record will say."""

    text: str | None
    tags: tuple[str, ...] = ()
    created: float | None = None
    updated: float | None = None
    uri: str | None = None
    metadata: Metadata = field(default_factory=dict)
    vector: VectorRule = VectorRule.KEEP


@dataclass(frozen=True, slots=True)
class Keep:
    """The person looked at it and keeps it; nothing is done."""

    record: Ref
    do: Literal["keep"] = "keep"


@dataclass(frozen=True, slots=True)
class Merge:
    """`members` disappear into `survivor`, which afterwards says `result`."""

    survivor: Ref
    members: tuple[Ref, ...]
    result: Result
    reason: str = ""
    do: Literal["merge"] = "merge"


@dataclass(frozen=True, slots=True)
class Drop:
    """The record disappears. `archive`: the store's own archive, where it has one, keeps it."""

    record: Ref
    reason: str = ""
    archive: bool = True
    do: Literal["drop"] = "drop"


@dataclass(frozen=True, slots=True)
class Write:
    """The source's `record` is written under `key`.

    Attributes:
        expects: the hash of what the target holds under that key; None: nothing.
        result: what is written where that differs from the source's record.
        archive: the store's own archive, where it has one, gets what stood there ("put"), or gives up what is
            written ("take").
    """

    record: Ref
    key: Key
    expects: str | None = None
    result: Result | None = None
    reason: str = ""
    archive: Literal["put", "take"] | None = None
    do: Literal["write"] = "write"


@dataclass(frozen=True, slots=True)
class Relate:
    """A link is made between two records of the target (or foreign references)."""

    relation: Relation
    do: Literal["relate"] = "relate"


@dataclass(frozen=True, slots=True)
class Unrelate:
    """A link disappears; one that says something else by now stays."""

    relation: Relation
    do: Literal["unrelate"] = "unrelate"


Step = Keep | Merge | Drop | Write | Relate | Unrelate


class StoreStep(StrEnum):
    """What is done to the store as a whole, beside its records."""

    REPLACE = "replace"
    """Its files become the source's files."""
    REBUILD = "rebuild"
    """Index files are built anew, so that they shrink."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps that turn `target` into what the person chose.

    `source` and `target` are addresses; they are equal when a store is tidied in itself.

    Attributes:
        source_fingerprint: `Fingerprint.content` of the source when the plan was made.
        rule: what happens to the target's records that no step names; they stay.
        collections: made in the target where they are absent.
    """

    memdefrag_plan: int = FORMAT
    source: str
    target: str
    source_fingerprint: str = ""
    settings: Metadata = field(default_factory=dict)
    rule: Literal["keep"] = "keep"
    store_steps: tuple[StoreStep, ...] = ()
    collections: tuple[CollectionInfo, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def removed(self) -> int:
        """How many records the steps remove."""
        return sum(
            len(step.members) if isinstance(step, Merge) else isinstance(step, Drop) for step in self.steps
        )


class Put(NamedTuple):
    """A record to write, and the hash of what stands there now (None: nothing)."""

    record: MemoryRecord
    before: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """A plan worked out against one store: what its `write` has to do.

    Attributes:
        put: records to create or to replace whole (metadata is replaced, not merged).
        delete: records to remove, with the hashes they must still have.
        archive: originals that the store's own archive keeps, where it has one.
        unarchive: originals that it held and that are memories again; of several equal ones the newest leaves it.
        collections: to be made where absent.
    """

    put: tuple[Put, ...] = ()
    delete: tuple[Ref, ...] = ()
    archive: tuple[MemoryRecord, ...] = ()
    collections: tuple[CollectionInfo, ...] = ()
    unarchive: tuple[MemoryRecord, ...] = ()
    relate: tuple[Relation, ...] = ()
    unrelate: tuple[Relation, ...] = ()

    @property
    def removed(self) -> int:
        """How many records disappear, or are marked as deleted."""
        marked = sum(put.before is not None and put.record.state is State.DELETED for put in self.put)
        return len(self.delete) + marked

    def __bool__(self) -> bool:
        records = self.put or self.delete or self.archive or self.unarchive
        return bool(records or self.collections or self.relate or self.unrelate)


def expected(snapshot: Snapshot, changes: Changes) -> dict[Key, MemoryRecord]:
    """All records the store must hold after the changes, by key. Pure."""
    records = dict(snapshot.by_key)
    for ref in changes.delete:
        records.pop(ref.key, None)
    records.update((put.record.key, put.record) for put in changes.put)
    return records


def touched(changes: Changes) -> Iterable[Key]:
    """The keys the changes name."""
    yield from (put.record.key for put in changes.put)
    yield from (ref.key for ref in changes.delete)


def dump(plan: Plan) -> bytes:
    """The plan as indented JSON; half characters in texts and ids, which UTF-8 cannot write, as escapes."""
    from pydantic_core import PydanticSerializationError

    try:
        data = _adapter().dump_json(plan, indent=2)
    except PydanticSerializationError:
        data = _REPLACED
    # In the keys of metadata half characters do not fail but are replaced.
    return json.dumps(_adapter().dump_python(plan), indent=2).encode() if _REPLACED in data else data


def load(path: Path) -> Plan:
    """Read and check a plan file.

    Raises:
        PlanInvalid: unreadable, not JSON, another format version, or a field that does not fit.
    """
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise PlanInvalid(f"The plan {path} cannot be read: {error.strerror}.") from error


def parse(data: bytes) -> Plan:
    """Check a plan's JSON.

    Raises:
        PlanInvalid: not JSON, another format version, or a field that does not fit.
    """
    from pydantic import ValidationError

    try:
        plan: Plan = _with_halves(data) if _HALF.search(data) else _adapter().validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise PlanInvalid(f"The plan does not fit at {where}: {first['msg']}.") from error
    if plan.memdefrag_plan != FORMAT:
        raise PlanInvalid(f"The plan has format {plan.memdefrag_plan}; this program reads {FORMAT}.")
    return plan


def _with_halves(data: bytes) -> Any:
    """A plan whose escapes name half characters, which only Python's own reader takes."""
    try:
        told = foreign_json.parse(data)
    except ValueError as error:
        raise PlanInvalid(f"The plan is not JSON: {error}.") from error
    return _adapter().validate_python(told)


@cache
def _adapter() -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(Plan)
