"""The geometry of HNSW files, and labels worked out without their table."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.stores.chroma.index import Geometry, HnswIndex, parse_header


def header(geometry: Geometry, neighbours: int, capacity: int) -> bytes:
    fields = (0, 0, capacity, geometry.count, geometry.element, geometry.element - 8, geometry.vector)
    return struct.pack("<i6QiI3QdQ", *fields, 0, 0, neighbours, 2 * neighbours, neighbours, 0.36, 100)


def write_index(
    folder: Path, vectors: np.ndarray, labels: list[int], neighbours: int = 4, deleted: tuple[int, ...] = ()
) -> Path:
    """The files of an index, as hnswlib lays them out, with unused room behind the elements."""
    geometry = Geometry.of(vectors.shape[1], neighbours, len(vectors))
    data = bytearray(b"\x5a" * (geometry.element * (len(vectors) + 3)))
    for number, (vector, label) in enumerate(zip(vectors, labels, strict=True)):
        start = number * geometry.element
        data[start : start + 4] = bytes([1, 0, label in deleted, 0])
        data[start + geometry.vector : start + geometry.element] = vector.tobytes() + struct.pack("<Q", label)
    folder.mkdir()
    (folder / "header.bin").write_bytes(header(geometry, neighbours, len(vectors) + 3))
    (folder / "data_level0.bin").write_bytes(data)
    table = {f"id {label}": label for label in labels if label not in deleted}
    (folder / "index_metadata.pickle").write_bytes(pickle.dumps({"id_to_label": table}, 3))
    return folder


@given(st.integers(1, 4096), st.integers(2, 256), st.integers(0, 10**6), st.integers(0, 1000))
def test_a_sound_header_tells_its_geometry(dimension: int, neighbours: int, count: int, spare: int) -> None:
    geometry = Geometry.of(dimension, neighbours, count)
    assert parse_header(header(geometry, neighbours, count + spare)) == geometry


@given(st.binary(max_size=120))
def test_no_header_makes_it_fail(data: bytes) -> None:
    geometry = parse_header(data)
    assert geometry is None or geometry.dimension > 0


def test_more_elements_than_room_are_not_believed() -> None:
    assert parse_header(header(Geometry.of(8, 4, 10), 4, 9)) is None


@pytest.mark.parametrize("destroyed", [False, True])
def test_vectors_are_found_by_id(tmp_path: Path, destroyed: bool) -> None:
    vectors = np.random.default_rng(1).normal(size=(20, 8)).astype(np.float32)
    labels = [n * 7 % 20 + 1 for n in range(20)]
    folder = write_index(tmp_path / "segment", vectors, labels)
    if destroyed:
        (folder / "header.bin").write_bytes(bytes(100))
    index = HnswIndex(folder, dimension=8, neighbours=4, unit=False)
    ids = [f"id {label}" for label in labels[::-1]]
    rows = index.rows([*ids, "unknown"], index.labels.by_id)
    assert rows[-1] == -1
    np.testing.assert_array_equal(index.vectors(rows[:-1]), vectors[::-1])
    assert bool(index.findings) == destroyed


def test_norms_are_given_back_to_unit_vectors(tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1)
    folder = write_index(tmp_path / "segment", vectors / norms[:, None], [1, 2, 3, 4, 5])
    (folder / "length.bin").write_bytes(norms.astype("<f4").tobytes())
    index = HnswIndex(folder, 8, 4, unit=True)
    np.testing.assert_allclose(index.vectors(np.arange(5)), vectors, rtol=1e-6)


def test_a_missing_folder_is_an_empty_index(tmp_path: Path) -> None:
    index = HnswIndex(tmp_path / "none", 8, 4, unit=True)
    assert index.elements == 0 and index.rows(["a"], index.labels.by_id).tolist() == [-1]
    assert not index.findings


def matched(tmp_path: Path, labels: list[int], rowids: list[int], deleted: tuple[int, ...] = ()) -> list[int] | None:
    folder = write_index(tmp_path / "segment", np.zeros((len(labels), 2), np.float32), labels, deleted=deleted)
    found = HnswIndex(folder, 2, 4, unit=False).matched_labels(np.array(rowids, np.int64))
    return None if found is None else found.tolist()


def test_as_many_labels_as_records_are_matched_in_order(tmp_path: Path) -> None:
    assert matched(tmp_path, [3, 1, 2, 9], [10, 25, 26, 90]) == [1, 2, 3, 9]


def test_deleted_elements_do_not_count(tmp_path: Path) -> None:
    assert matched(tmp_path, [1, 2, 3, 4], [10, 25, 90], deleted=(2,)) == [1, 3, 4]


def test_a_single_fitting_distance_is_used(tmp_path: Path) -> None:
    assert matched(tmp_path, [1, 2, 3, 4, 5], [11, 13, 15]) == [1, 3, 5]


def test_two_fitting_distances_are_not_chosen_from(tmp_path: Path) -> None:
    assert matched(tmp_path, [1, 2, 3, 4, 5], [11, 13]) is None


def test_more_records_than_labels_are_not_matched(tmp_path: Path) -> None:
    assert matched(tmp_path, [1, 2], [11, 12, 13]) is None
