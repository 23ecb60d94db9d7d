"""Chroma's write-ahead queue: what it holds beyond the tables and the index, applied as Chroma applies it.

Chroma writes every change to table `embeddings_queue` first. The tables take it in at once or a little later,
the index files only every thousand changes or so; until then the queue has the only copy of a vector. Chroma up
to 0.5.5 never purges the queue, later ones purge what all segments have taken in. The rules below (an add of an
existing id is ignored, an update of a missing one too, metadata are merged, a null deletes its key) are those
of chromadb 0.4.24 to 1.5.9.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from memdefrag.base import foreign_json
from memdefrag.model.records import Metadata, Vector

INDEX, NOWHERE = 0, -1
"""Places of a vector that are not a number in the queue (those start at 1)."""


class Kind(IntEnum):
    ADD = 0
    UPDATE = 1
    UPSERT = 2
    DELETE = 3


class Operation(NamedTuple):
    """One queued change of one record, without its payload."""

    seq: int
    kind: int
    id: str
    has_vector: bool


class Outcome(NamedTuple):
    """What the queue makes of one record.

    Attributes:
        exists: whether there is such a record afterwards.
        from_tables: whether its metadata start from what the tables hold.
        pending: numbers of the changes whose metadata must be merged, in order.
        vector: number of the change that has its vector, or INDEX or NOWHERE.
    """

    exists: bool
    from_tables: bool
    pending: tuple[int, ...]
    vector: int


def read_operations(connection: sqlite3.Connection, collection_id: str | None = None) -> dict[str, list[Operation]]:
    """The queue by collection id, in order; of one collection, or of all (None)."""
    found: dict[str, list[Operation]] = {}
    rows = connection.execute(
        "SELECT topic, seq_id, operation, id, vector IS NOT NULL FROM embeddings_queue "
        "WHERE ? IS NULL OR topic LIKE '%/' || ? ORDER BY seq_id",
        (collection_id, collection_id),
    )
    for topic, seq, kind, id, has_vector in rows:
        found.setdefault(topic.rpartition("/")[2], []).append(Operation(seq, kind, id, bool(has_vector)))
    return found


def resolve(operations: Sequence[Operation], applied: int | None, in_index: bool) -> Outcome:
    """Work out where a record stands after its queued changes.

    Args:
        operations: the queued changes of this one id, in order.
        applied: number of the last change that the tables took in for it; None: it is not in the tables.
        in_index: whether the index files have a vector for it.
    """
    exists, from_tables, pending = _resolve_metadata(operations, applied)
    vector = _resolve_vector(operations, applied, in_index) if exists else NOWHERE
    return Outcome(exists, from_tables, tuple(pending), vector)


def _resolve_metadata(operations: Sequence[Operation], applied: int | None) -> tuple[bool, bool, list[int]]:
    exists = from_tables = applied is not None
    # A number beyond the queue's own end cannot be right (a known fault of conversions): then all is replayed.
    taken = applied if applied is not None and applied <= operations[-1].seq else 0
    pending: list[int] = []
    for seq, kind, _, _ in operations:
        if seq <= taken:
            continue
        if kind == Kind.DELETE:
            exists = from_tables = False
            pending = []
        elif (kind == Kind.ADD and not exists) or (kind == Kind.UPDATE and exists) or kind == Kind.UPSERT:
            exists = True
            pending.append(seq)
    return exists, from_tables, pending


def _resolve_vector(operations: Sequence[Operation], applied: int | None, in_index: bool) -> int:
    """Where the vector is of a record that exists in the end."""
    deletes = [number for number, operation in enumerate(operations) if operation.kind == Kind.DELETE]
    left = operations[deletes[-1] + 1 :] if deletes else operations
    exists, vector = False, NOWHERE
    if not deletes and applied is not None:
        # Nothing says whether it was there before the queue's first change: purged, those before are unknown.
        created = any(seq == applied and kind == Kind.ADD for seq, kind, _, _ in left)
        exists = not created and (in_index or applied < left[0].seq or left[0].kind == Kind.UPDATE)
        vector = INDEX if in_index else NOWHERE
    for seq, kind, _, has_vector in left:
        if kind == Kind.UPSERT or exists == (kind == Kind.UPDATE):
            exists = True
            vector = seq if has_vector else vector
    return vector


def read_metadata(connection: sqlite3.Connection, seqs: Iterable[int]) -> dict[int, Metadata]:
    """The metadata of queued changes, document and uri included; None values delete their key."""
    rows = connection.execute(
        "SELECT seq_id, metadata FROM embeddings_queue WHERE seq_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(seqs)),),
    )
    return {seq: parse_metadata(text) for seq, text in rows}


def parse_metadata(text: Any) -> Metadata:
    """A queued change's JSON; an empty dict for what is no JSON object."""
    try:
        found = foreign_json.parse(text) if isinstance(text, str | bytes) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def merge(metadata: Metadata, change: Metadata) -> None:
    """Apply one change to a record's metadata. NaN is lost on the way into the tables, as in Chroma."""
    for key, value in change.items():
        if value is None or (type(value) is float and math.isnan(value)):
            metadata.pop(key, None)
        else:
            metadata[key] = value


def read_vectors(connection: sqlite3.Connection, seqs: Iterable[int]) -> dict[int, Vector]:
    """The vectors of queued changes, as float32; what is no vector is left out."""
    rows = connection.execute(
        "SELECT seq_id, vector, encoding FROM embeddings_queue WHERE seq_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(seqs)),),
    )
    found = {}
    for seq, blob, encoding in rows:
        if isinstance(blob, bytes) and blob and len(blob) % 4 == 0:
            kind = "<i4" if encoding == "INT32" else "<f4"
            found[seq] = np.frombuffer(blob, kind).astype(np.float32)
    return found
