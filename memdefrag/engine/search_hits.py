"""What searches of a store find now, and at which rank they will find it in the planned result.

Each collection is searched for itself and exactly: vectors by the collection's metric among those of their dimension,
texts by the words they share with the query, as `engine.search` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.merge import MERGED_FROM
from memdefrag.base.progress import Progress
from memdefrag.engine.own_queries import Query
from memdefrag.engine.ranks import ByVector, ByWords, Question, Searched, best, ranks
from memdefrag.model.codec import unfit
from memdefrag.model.records import Key, MemoryRecord, Snapshot, State

UNSEEN = (State.DELETED, State.SUPERSEDED)
"""What no search returns."""


class Hit(NamedTuple):
    """A memory that a query found, what it is merged into, and the ranks before and after; 0: not found at all."""

    query: str
    memory: Key
    survivor: Key
    before: int
    after: int


@dataclass(frozen=True)
class Comparison:
    """A store and the planned result.

    Attributes:
        after: all its records, by key; those that stay as they are are the very same objects.
        survivors: by each merged record, the survivors included, the one that stands for it afterwards.
    """

    before: Snapshot
    after: Mapping[Key, MemoryRecord]
    survivors: Mapping[Key, Key]
    progress: Progress

    def merged(self, keys: Iterable[Key]) -> list[Hit]:
        """Each of these records asked for by its own old vector, or by its words where it has none."""
        kinds: dict[tuple[str, int], list[MemoryRecord]] = {}
        for key in keys:
            record = self.before.by_key[key]
            for dimension in (_dimension(record), 0):
                if _is_seen(record, dimension):
                    kinds.setdefault((key.collection, dimension), []).append(record)
                    break
        return [hit for (name, dimension), asked in kinds.items() for hit in self._merged(name, dimension, asked)]

    def by_vector(self, name: str, queries: Sequence[Query], vectors: npt.NDArray[np.float32], k: int) -> list[Hit]:
        """What the queries find among the first k of a collection.

        Args:
            vectors: float32 (queries, d), one for each query.
        """
        columns = self._columns(name, vectors.shape[1])
        return self._own(queries, columns, ByVector(vectors, columns.vectors, self._metric(name)), k)

    def by_words(self, name: str, queries: Sequence[Query], k: int) -> list[Hit]:
        """The same for collections whose model is not here."""
        columns = self._columns(name, 0)
        return self._own(queries, columns, ByWords([query.text for query in queries], columns.texts), k)

    def _merged(self, name: str, dimension: int, asked: Sequence[MemoryRecord]) -> list[Hit]:
        columns = self._columns(name, dimension)
        searched: Searched
        if dimension:
            vectors = np.stack([record.embedding for record in asked if record.embedding is not None])
            searched = ByVector(vectors.astype(np.float32, copy=False), columns.vectors, self._metric(name))
        else:
            searched = ByWords([record.text or "" for record in asked], columns.texts)
        keys = [record.key for record in asked]
        return self._ranked(columns, searched, list(map(str, keys)), np.arange(len(keys)), keys)

    def _own(self, queries: Sequence[Query], columns: _Columns, searched: Searched, k: int) -> list[Hit]:
        merged_before = _merged_before(self.before) if any(query.expect for query in queries) else {}
        found = best(searched, len(queries), k, columns.before, self.progress)
        rows, places = np.nonzero(found >= 0)
        numbers = found[rows, places]
        near = searched.score(rows, numbers) > 0 if isinstance(searched, ByWords) else np.full(len(rows), True)
        query, keys = [], []
        for row, number in zip(rows[near].tolist(), numbers[near].tolist(), strict=True):
            key = columns.records[number].key
            if not queries[row].expect or not merged_before.get(key, _names(key)).isdisjoint(queries[row].expect):
                query.append(row)
                keys.append(key)
        return self._ranked(columns, searched, [queries[row].text for row in query], np.array(query, np.int64), keys)

    def _ranked(
        self, columns: _Columns, searched: Searched, names: list[str], query: npt.NDArray[np.int64], keys: list[Key]
    ) -> list[Hit]:
        """The hits of single queries, given by their numbers, and of the records that they want."""
        survivors = [self.survivors.get(key, key) for key in keys]
        old = np.array([columns.old[key] for key in keys], np.int64)
        new = np.array([columns.new.get(key, -1) for key in survivors], np.int64)
        questions = (Question(query, old, columns.before), Question(query, new, columns.after))
        before, after = (each.tolist() for each in ranks(searched, questions, self.progress))
        return list(map(Hit, names, keys, survivors, before, after))

    def _columns(self, name: str, dimension: int) -> _Columns:
        going: list[MemoryRecord] = []
        staying: list[MemoryRecord] = []
        for record in self.before:
            if record.key.collection == name and _is_seen(record, dimension):
                (staying if self.after.get(record.key) is record else going).append(record)
        present = self.before.by_key
        coming = [
            record
            for key, record in self.after.items()
            if key.collection == name and present.get(key) is not record and _is_seen(record, dimension)
        ]
        return _Columns.of(going, staying, coming)

    def _metric(self, name: str) -> str:
        info = self.before.collection(name)
        return info.metric if info else "cosine"


@dataclass(frozen=True, slots=True)
class _Columns:
    """The records that searches see: those that go or change, those that stay, and those that come, in this order.

    So those before and those after are one stretch each, and what stays is compared once for both.

    Attributes:
        old, new: the numbers of the records, by key.
    """

    records: list[MemoryRecord]
    before: slice
    after: slice
    old: dict[Key, int]
    new: dict[Key, int]

    @classmethod
    def of(cls, going: list[MemoryRecord], staying: list[MemoryRecord], coming: list[MemoryRecord]) -> _Columns:
        records = [*going, *staying, *coming]
        before, after = slice(0, len(going) + len(staying)), slice(len(going), len(records))
        old, new = (
            {record.key: number for number, record in enumerate(records[part], part.start)} for part in (before, after)
        )
        return cls(records, before, after, old, new)

    @property
    def vectors(self) -> list[npt.NDArray[np.float32]]:
        return [record.embedding for record in self.records if record.embedding is not None]

    @property
    def texts(self) -> list[str]:
        return [record.text or "" for record in self.records]


def _dimension(record: MemoryRecord) -> int:
    return 0 if record.embedding is None else len(record.embedding)


def _is_seen(record: MemoryRecord, dimension: int) -> bool:
    """Whether searches find the record by a vector of that dimension; 0: by its words."""
    if record.state in UNSEEN:
        return False
    if not dimension:
        return bool(record.text and record.text.strip())
    vector = record.embedding
    if vector is None or len(vector) != dimension:
        return False
    square = float(np.dot(vector, vector))
    return 0 < square < np.inf


def _merged_before(snapshot: Snapshot) -> dict[Key, set[str]]:
    """All names of the records that earlier merges made: lists of what is expected are older than merges."""
    merges = [record for record in snapshot if MERGED_FROM in record.metadata]
    noted = ((record.key, unfit(record.metadata)[MERGED_FROM]) for record in merges)
    return {key: _names(key) | set(map(str, ids)) for key, ids in noted if isinstance(ids, list)}


def _names(key: Key) -> set[str]:
    return {key.id, str(key)}
