"""A memory, where it lives, and a whole store's worth of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from memdefrag.model.capabilities import Capabilities
    from memdefrag.model.hashing import Fingerprint

Vector = npt.NDArray[np.float32]
"""One-dimensional float32 array."""

Metadata = dict[str, Any]
"""JSON values by key, with the types the store holds (int is not float, True is not 1)."""


class Key(NamedTuple):
    """Names one record inside a store."""

    collection: str
    id: str

    def __str__(self) -> str:
        return f"{self.collection}/{self.id}"


class State(StrEnum):
    LIVE = "live"
    DELETED = "deleted"
    SUPERSEDED = "superseded"
    CHUNK = "chunk"


DEAD = (State.DELETED, State.SUPERSEDED)
"""States of memories that are no longer there for those who search."""


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """One memory.

    `metadata` is verbatim what the store holds. `tags`, `created` and `updated` are what it means: where a
    store keeps them inside the metadata they are read by `model.service_metadata` and restated there on
    writing; elsewhere they are the store's own columns.

    Attributes:
        text: the document; None where the store holds none.
        embedding: float32 vector as stored (not normalised), or None; arrays have no plain equality, so `==` leaves
            it out.
        created, updated: seconds since 1970 UTC, or None.
        extras: store-specific values with no place elsewhere, kept verbatim.
    """

    key: Key
    text: str | None
    metadata: Metadata = field(default_factory=dict)
    embedding: Vector | None = field(default=None, compare=False)
    tags: tuple[str, ...] = ()
    uri: str | None = None
    created: float | None = None
    updated: float | None = None
    owner: str | None = None
    state: State = State.LIVE
    extras: Metadata = field(default_factory=dict)
    hashed: str | None = field(default=None, init=False, compare=False, repr=False)
    """Where `model.hashing.record_hash` keeps what it computed: nothing in a record ever changes."""

    def with_key(self, key: Key) -> MemoryRecord:
        """The same memory under another name."""
        if key == self.key:
            return self
        renamed = replace(self, key=key)
        object.__setattr__(renamed, "hashed", self.hashed)
        return renamed


@dataclass(frozen=True, slots=True)
class Relation:
    """A directed link between two memories (or to a foreign reference, given as text)."""

    source: Key | str
    target: Key | str
    type: str = "related"
    strength: float | None = None
    metadata: Metadata = field(default_factory=dict)
    created: float | None = None


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What a store says of one collection.

    Attributes:
        count: all records; `live` those that take part in searches; `with_embedding` those with a vector.
        dimension: of the vectors; None when unknown or there are none.
        metric: "cosine", "l2" or "ip".
        model: name of the embedding model, as far as the store records it.
        settings: the store's own settings, verbatim.
    """

    name: str
    count: int
    live: int
    with_embedding: int
    dimension: int | None = None
    metric: str = "cosine"
    model: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileStamp:
    """One raw file at one moment (`path` relative to the store)."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Snapshot:
    """All of a store at one moment, in memory. Never changed; plans produce new ones.

    Attributes:
        capabilities: what the store can hold; None where the records were made for the store they go into.
    """

    address: str
    collections: tuple[CollectionInfo, ...]
    records: tuple[MemoryRecord, ...] = ()
    relations: tuple[Relation, ...] = ()
    fingerprint: Fingerprint | None = None
    capabilities: Capabilities | None = None

    @cached_property
    def by_key(self) -> dict[Key, MemoryRecord]:
        return {record.key: record for record in self.records}

    def collection(self, name: str) -> CollectionInfo | None:
        """The collection of that name, or None."""
        return next((info for info in self.collections if info.name == name), None)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[MemoryRecord]:
        return iter(self.records)
