"""What takes part in an analysis: records, and the distinct texts (nodes) they come down to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from memdefrag.analysis.language.stamps import unwrap
from memdefrag.analysis.language.words import normalise
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.scope import is_current, owners, text_of_piece
from memdefrag.base.progress import Progress
from memdefrag.model.records import MemoryRecord, Snapshot, Vector

Space = tuple[int, str | None]
"""Dimension and model: only vectors of one space can be compared."""


class Participant(NamedTuple):
    """A record with the number of its store and the model of its vector."""

    record: MemoryRecord
    store: int
    model: str | None


def taking_part(snapshots: Sequence[Snapshot], options: AnalysisOptions) -> list[Participant]:
    """The records that may be compared: those in scope that are live, whole, and hold a text or a vector."""
    found = []
    for number, snapshot in enumerate(snapshots):
        models = {info.name: info.model for info in snapshot.collections}
        found += [
            Participant(record, number, models.get(record.key.collection))
            for record in snapshot
            if is_current(record)
            and options.scope.admits(record)
            and (_says_something(record) or record.embedding is not None)
        ]
    return found


def _says_something(record: MemoryRecord) -> bool:
    return bool(record.text and record.text.strip())


class Marks(NamedTuple):
    """What keeps a node from some others whatever they say (`bars`).

    Attributes:
        store: the number of its (first record's) store.
        piece_of: the text that it is a piece of; None: it is a whole.
        told: its content key, where it was told apart from some text.
    """

    store: int
    piece_of: object | None
    told: str | None


class Nodes:
    """Distinct texts: records whose normalised texts, owners (and collections, if asked) are equal are one node,
    unless their marks may keep them from each other.

    Attributes:
        of_record: int32, the node of each record.
        texts: per node the text of its first record ("" where there is none).
        part: per node what it may be compared within: its owner, and its collection if asked.
        marks: per node what keeps it from others inside its part.
        vectors: per space, the vector of each node that has one there; of a long text that was embedded for this
            comparison (windows, dimension).
    """

    def __init__(
        self, participants: Sequence[Participant], options: AnalysisOptions, progress: Progress
    ) -> None:
        numbers: dict[object, int] = {}
        of_record = []
        self.texts: list[str] = []
        self.part: list[object] = []
        self.marks: list[Marks] = []
        self._normal: list[str | None] = []
        self.vectors: dict[Space, dict[int, Vector]] = {}
        progress.phase("Reading texts", len(participants))
        records, stores, _ = zip(*participants, strict=True) if participants else ((), (), ())
        owned = owners(records, stores, options.against)
        for (record, store, model), owner in zip(participants, owned, strict=True):
            part = (owner, None if options.across_collections else (store, record.key.collection))
            marks = _marks(record, store, options)
            alone = not _says_something(record) or _is_kept_from_its_like(marks, options)
            normal = None if alone else normalise(record.text or "")
            same = (store, record.key) if alone else (normal, marks.told)
            node = numbers.setdefault((part, same), len(numbers))
            if node == len(self.texts):
                self.texts.append(record.text or "")
                self.part.append(part)
                self.marks.append(marks)
                self._normal.append(normal)
            of_record.append(node)
            if record.embedding is not None and options.use_vectors:
                space = (record.embedding.shape[-1], model)
                self.vectors.setdefault(space, {}).setdefault(node, record.embedding)
            progress.step()
        self.of_record = np.array(of_record, np.int32)

    @cached_property
    def plain(self) -> list[str]:
        """Per node the normalised text without stamps and wrappers; made only where something is compared."""
        bare = map(unwrap, self.texts)
        return [
            normalise(inner) if normal is None or inner != text else normal
            for inner, text, normal in zip(bare, self.texts, self._normal, strict=True)
        ]

    def parts(self, nodes: Sequence[int]) -> Iterator[list[int]]:
        """The nodes that may be compared with each other, in order."""
        by_part: dict[object, list[int]] = {}
        for node in nodes:
            by_part.setdefault(self.part[node], []).append(node)
        yield from by_part.values()


def _marks(record: MemoryRecord, store: int, options: AnalysisOptions) -> Marks:
    name = text_of_piece(record)
    piece_of = None if name is None else (store, record.key.collection, name)
    return Marks(store, piece_of, options.apart.key(record.text or ""))


def _is_kept_from_its_like(marks: Marks, options: AnalysisOptions) -> bool:
    """Whether a record may have to be kept even from one that says the very same."""
    told_from_itself = marks.told is not None and (marks.told, marks.told) in options.apart.pairs
    return options.against is not None or marks.piece_of is not None or told_from_itself
