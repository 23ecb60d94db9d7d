"""The records of one Chroma collection: tables, index files and queue laid over each other, read in blocks."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection as Ids
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from memdefrag.model import service_metadata
from memdefrag.model.records import Key, MemoryRecord, Metadata, State, Vector
from memdefrag.stores.chroma import wal
from memdefrag.stores.chroma.index import HnswIndex
from memdefrag.stores.chroma.tables import DOCUMENT, URI, Collection, Row, Values, read_rows
from memdefrag.stores.chroma.wal import INDEX, Operation

STATE_KEYS = ("deleted_at", "superseded_by", "is_chunk")
"""Metadata without any of these are of a live record (`service_metadata.read`)."""
_NONE = -1


@dataclass(slots=True)
class _Placed:
    """Ids and rowids in order; by position, the queued changes to merge and where a vector is if not in the index."""

    ids: list[str] = field(default_factory=list)
    rowids: list[int] = field(default_factory=list)
    pending: dict[int, tuple[int, ...]] = field(default_factory=dict)
    vectors: dict[int, int] = field(default_factory=dict)


class Contents:
    """Where every record of a collection stands, in a stable order: the tables' own, then the queue's.

    Attributes:
        ids: of all records.
        rowids: in the tables; -1 for records that only the queue has.
        elements: of the index that hold their vectors; -1 where the queue or nothing does.
        queued: numbers of the queued changes that hold their vectors; 0 where none does.
        pending: by position, numbers of the queued changes that the tables have not taken in.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        collection: Collection,
        index: HnswIndex,
        operations: Sequence[Operation],
    ) -> None:
        self._connection, self.collection, self.index = connection, collection, index
        self._values = Values(connection)
        rows = read_rows(connection, collection)
        labels = _labels(collection, index, rows, operations)
        placed = _overlay(rows, operations, labels)
        self.ids, self.pending = placed.ids, placed.pending
        self.rowids = np.array(placed.rowids, np.int64)
        self.elements = index.rows(self.ids, labels)
        self.queued = np.zeros(len(self.ids), np.int64)
        for position, place in placed.vectors.items():
            self.elements[position] = _NONE
            self.queued[position] = max(place, 0)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def with_embedding(self) -> int:
        """How many records have a vector."""
        return int(np.count_nonzero((self.elements >= 0) | (self.queued > 0)))

    def live(self) -> int:
        """How many records take part in searches."""
        marked = self._values.rowids_with(STATE_KEYS)
        suspects = np.isin(self.rowids, np.fromiter(marked, np.int64, len(marked)))
        suspects[list(self.pending)] = True
        records = self.read(np.flatnonzero(suspects).tolist(), vectors=False)
        return len(self) - sum(record.state is not State.LIVE for record in records)

    def batches(self, size: int, *, vectors: bool) -> Iterator[list[MemoryRecord]]:
        """All records in order."""
        for start in range(0, len(self), size):
            yield self.read(range(start, min(start + size, len(self))), vectors=vectors)

    def positions(self, ids: Ids[str]) -> list[int]:
        """Where these records stand, as far as they exist."""
        return [position for position, id in enumerate(self.ids) if id in ids]

    def read(self, positions: Sequence[int], *, vectors: bool) -> list[MemoryRecord]:
        """The records at these positions. Their vectors are views into one block."""
        metadata = self._read_metadata(positions)
        embeddings: Iterable[Vector | None]
        embeddings = self.read_vectors(positions) if vectors else [None] * len(positions)
        name, ids, meaning = self.collection.name, self.ids, service_metadata.read
        records = []
        for position, values, embedding in zip(positions, metadata, embeddings, strict=True):
            text, uri = values.pop(DOCUMENT, None), values.pop(URI, None)
            tags, created, updated, state = meaning(values)
            key = Key(name, ids[position])
            records.append(MemoryRecord(key, text, values, embedding, tags, uri, created, updated, None, state))
        return records

    def read_vectors(self, positions: Sequence[int]) -> list[Vector | None]:
        """The vectors of the records at these positions, None where one is lost."""
        places = np.asarray(positions, np.int64)
        elements = self.elements[places]
        found: list[Vector | None]
        if len(elements) and elements.min() >= 0:
            return list(self.index.vectors(elements))
        found = [None] * len(positions)
        here = np.flatnonzero(elements >= 0)
        if len(here):
            for place, vector in zip(here.tolist(), self.index.vectors(elements[here]), strict=True):
                found[place] = vector
        there = np.flatnonzero(self.queued[places] > 0)
        if len(there):
            seqs = self.queued[places[there]].tolist()
            queued = wal.read_vectors(self._connection, seqs)
            for place, seq in zip(there.tolist(), seqs, strict=True):
                found[place] = queued.get(seq)
        return found

    def _read_metadata(self, positions: Sequence[int]) -> list[Metadata]:
        rowids = self.rowids[np.asarray(positions, np.int64)].tolist() if len(positions) else []
        stored = self._values.read([rowid for rowid in rowids if rowid != _NONE])
        found: list[Metadata] = [{} if rowid == _NONE else stored[rowid] for rowid in rowids]
        changed = [(place, self.pending[at]) for place, at in enumerate(positions) if at in self.pending]
        if changed:
            wanted = sorted({seq for _, seqs in changed for seq in seqs})
            changes = wal.read_metadata(self._connection, wanted)
            for place, seqs in changed:
                for seq in seqs:
                    wal.merge(found[place], changes.get(seq, {}))
        return found


def _overlay(rows: Sequence[Row], operations: Sequence[Operation], indexed: Mapping[str, int]) -> _Placed:
    """Lay the queue over the tables: their records in their order, then those that only the queue has."""
    if not operations:
        return _Placed([row.id for row in rows], [row.rowid for row in rows])
    changes: dict[str, list[Operation]] = {}
    for operation in operations:
        changes.setdefault(operation.id, []).append(operation)
    stored = {row.id: row for row in rows}
    placed = _Placed()
    for id in chain(stored, (id for id in changes if id not in stored)):
        row = stored.get(id)
        rowid = row.rowid if row else _NONE
        if id in changes:
            outcome = wal.resolve(changes[id], row.seq if row else None, id in indexed)
            if not outcome.exists:
                continue
            if outcome.pending:
                placed.pending[len(placed.ids)] = outcome.pending
            if outcome.vector != INDEX:
                placed.vectors[len(placed.ids)] = outcome.vector
            rowid = rowid if outcome.from_tables else _NONE
        placed.ids.append(id)
        placed.rowids.append(rowid)
    return placed


def _labels(
    collection: Collection, index: HnswIndex, rows: Sequence[Row], operations: Sequence[Operation]
) -> Mapping[str, int]:
    """Label of each id in the index: from its table or, where that is lost, from the order of the records.

    The index has all records up to the one that the oldest queued change concerns: Chroma 1.x purges the queue
    up to there.
    """
    table = index.labels
    if not table.fault or not index.elements or not collection.labels_follow_ids:
        return table.by_id
    compacted = operations[0].seq if operations else None
    last = max((row.rowid for row in rows if compacted is None or row.seq <= compacted), default=0)
    inside = [row for row in rows if row.rowid <= last]
    labels = index.matched_labels(np.array([row.rowid for row in inside], np.int64))
    if labels is None:
        return table.by_id
    return {row.id: label for row, label in zip(inside, labels.tolist(), strict=True)}
