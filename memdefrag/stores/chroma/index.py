"""The vectors of a Chroma collection, straight from its HNSW files.

The folder of a vector segment holds `header.bin`, `data_level0.bin` (links, vector and label of every
element),
`length.bin` (float32 norms, because the cosine metric stores unit vectors), `link_lists.bin` (upper layers,
not needed here) and `index_metadata.pickle` (id -> label). The layout is hnswlib's `saveIndex`, split into files by
chroma-hnswlib; read off folders made by chromadb 0.4.24 to 1.5.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from struct import Struct

import numpy as np
import numpy.typing as npt

from memdefrag.stores.chroma.labels import Labels, parse

Rows = npt.NDArray[np.int64]
"""Element numbers in data_level0.bin; -1 for none."""
Floats = npt.NDArray[np.float32]

HEADER, DATA, NORMS, LINKS, PICKLE = (
    "header.bin",
    "data_level0.bin",
    "length.bin",
    "link_lists.bin",
    "index_metadata.pickle",
)
INDEX_FILES = (HEADER, DATA, NORMS, LINKS, PICKLE)
_HEADER = Struct("<i6QiI3QdQ")
_LABEL_BYTES = 8
_MOST_DISTANCES = 1_000
_LINK_BYTES = 4
_DELETED = 1 << 16
"""hnswlib's delete mark: bit 0 of byte 2 of an element's link count."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """How elements lie in data_level0.bin: `count` of them, `element` bytes each, vector at byte `vector`."""

    count: int
    element: int
    vector: int
    dimension: int

    @classmethod
    def of(cls, dimension: int, neighbours: int, count: int) -> Geometry:
        """The layout that hnswlib gives vectors of this dimension with M = `neighbours`."""
        vector = _LINK_BYTES * (1 + 2 * neighbours)
        return cls(count, vector + 4 * dimension + _LABEL_BYTES, vector, dimension)


def parse_header(data: bytes) -> Geometry | None:
    """The geometry a header tells, or None where it contradicts itself."""
    if len(data) < _HEADER.size:
        return None
    fields = _HEADER.unpack_from(data)
    capacity, count, element, label, vector = fields[2:7]
    links, neighbours = fields[10:12]
    size = label - vector
    sound = (
        size > 0
        and size % 4 == 0
        and label + _LABEL_BYTES == element
        and links == 2 * neighbours
        and vector == _LINK_BYTES * (1 + links)
        and count <= capacity
    )
    return Geometry(count, element, vector, size // 4) if sound else None


@dataclass
class HnswIndex:
    """The readable elements of one vector segment.

    Attributes:
        folder: of the segment; it need not exist.
        dimension, neighbours: what the collection says, for a header that is damaged.
        unit: vectors are stored at unit length (the cosine metric).
        findings: what is wrong with the files, one sentence each.
    """

    folder: Path
    dimension: int | None
    neighbours: int
    unit: bool
    findings: list[str] = field(default_factory=list)

    @cached_property
    def geometry(self) -> Geometry | None:
        """Where the elements lie; None when there are none. Damaged sizes are worked out anew."""
        available = self.size(DATA)
        if not available:
            return None
        told = parse_header(self._bytes(HEADER))
        if told and self.dimension in (None, told.dimension):
            readable = available // told.element
            if readable < told.count:
                lost = told.count - readable
                self.findings.append(f"{self._name(DATA)} is cut short: {lost} vectors are lost.")
            return Geometry(min(told.count, readable), told.element, told.vector, told.dimension)
        if not self.dimension:
            return None
        self.findings.append(f"{self._name(HEADER)} is damaged; the vectors were found without it.")
        derived = Geometry.of(self.dimension, self.neighbours, 0)
        return Geometry.of(self.dimension, self.neighbours, available // derived.element)

    @cached_property
    def labels(self) -> Labels:
        """The id -> label table as far as it is readable; remarks when elements are left without it."""
        data = self._bytes(PICKLE)
        labels = parse(data) if data else Labels(fault="is missing")
        if labels.fault and (data or (self.geometry and self.geometry.count)):
            self.findings.append(f"{self._name(PICKLE)} {labels.fault}.")
        return labels

    def rows(self, ids: Sequence[str], labels_by_id: Mapping[str, int]) -> Rows:
        """The element of each id, -1 where the index has none."""
        get = labels_by_id.get
        labels = np.fromiter((get(id, -1) for id in ids), np.int64, len(ids))
        known, order = self._sorted_labels
        if not len(known):
            return np.full(len(labels), -1, np.int64)
        places = np.minimum(np.searchsorted(known, labels), len(known) - 1)
        found: Rows = np.where(known[places] == labels, order[places], -1)
        return found

    def live_labels(self) -> npt.NDArray[np.int64]:
        """Labels of the elements that are not marked deleted, ascending."""
        if self.geometry is None or not self.geometry.count:
            return np.empty(0, np.int64)
        marks = np.ascontiguousarray(self._elements[:, 0]).view(np.uint32)
        labels: npt.NDArray[np.int64] = np.sort(self._element_labels[(marks & _DELETED) == 0])
        return labels

    def vectors(self, rows: Rows) -> Floats:
        """A new float32 matrix of the vectors of these elements, at the length they were given with."""
        assert self.geometry is not None
        first = self.geometry.vector // 4
        block: Floats = self._elements[rows, first : first + self.geometry.dimension]
        if self.unit and len(self._norms):
            block *= self._norms[rows, np.newaxis]
        return block

    def matched_labels(self, rowids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        """Labels of the records with these rising numbers, worked out without the label table.

        Only for an index whose labels were given in the order of the numbers. Either both lists are of one
        length, or exactly one distance between number and label fits all records; otherwise None.
        """
        labels = self.live_labels()
        spare = len(labels) - len(rowids)
        if spare == 0:
            return labels
        if spare < 0 or not len(rowids):
            return None
        distances = rowids[0] - labels[: min(spare, _MOST_DISTANCES) + 1]
        fitting = [distance for distance in distances if np.isin(rowids - distance, labels).all()]
        return rowids - fitting[0] if len(fitting) == 1 else None

    @property
    def elements(self) -> int:
        """How many elements the files hold, deleted ones included."""
        return self.geometry.count if self.geometry else 0

    @cached_property
    def _elements(self) -> Floats:
        """All elements as a read-only (count, element / 4) matrix over the file."""
        assert self.geometry is not None
        shape = (self.geometry.count, self.geometry.element // 4)
        return np.memmap(self.folder / DATA, "<f4", "r", 0, shape)

    @cached_property
    def _element_labels(self) -> npt.NDArray[np.int64]:
        assert self.geometry is not None
        first = (self.geometry.element - _LABEL_BYTES) // 4
        labels: npt.NDArray[np.int64] = np.ascontiguousarray(self._elements[:, first:]).view("<i8")[:, 0]
        return labels

    @cached_property
    def _sorted_labels(self) -> tuple[npt.NDArray[np.int64], Rows]:
        """Labels ascending and their elements; of equal labels (unused space) the first element leads."""
        if self.geometry is None or not self.geometry.count:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        order = np.argsort(self._element_labels, kind="stable")
        return self._element_labels[order], order

    @cached_property
    def _norms(self) -> Floats:
        """Norms by element; empty where the file is missing or too short."""
        norms = np.frombuffer(self._bytes(NORMS), "<f4") if self.size(NORMS) % 4 == 0 else np.empty(0, "<f4")
        if len(norms) < self.elements:
            self.findings.append(f"{self._name(NORMS)} is missing or cut short: vectors have unit length.")
            return np.empty(0, np.float32)
        return norms

    def _name(self, file: str) -> str:
        return f"{self.folder.name}/{file}"

    def size(self, file: str) -> int:
        path = self.folder / file
        linked = path.is_symlink() or self.folder.is_symlink()
        return path.stat().st_size if path.is_file() and not linked else 0

    def _bytes(self, file: str) -> bytes:
        return (self.folder / file).read_bytes() if self.size(file) else b""
