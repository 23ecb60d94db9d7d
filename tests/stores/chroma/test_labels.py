"""The label table is read from pickles of both shapes, and from nothing else."""

from __future__ import annotations

import pickle
import sys
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.stores.chroma.labels import Labels, parse

TABLES = st.dictionaries(st.text(max_size=12), st.integers(0, 2**31 - 1), max_size=40)
MODULE = "chromadb.segment.impl.vector.local_persistent_hnsw"


def plain(table: dict[str, int], protocol: int = 3) -> bytes:
    """As Chroma 1.x writes it."""
    fields = {
        "dimensionality": None,
        "total_elements_added": len(table),
        "id_to_label": table,
        "label_to_id": {label: id for id, label in table.items()},
        "id_to_seq_id": {},
    }
    return pickle.dumps(fields, protocol)


def as_object(table: dict[str, int], protocol: int) -> bytes:
    """As Chroma up to 0.6 writes it: an object of a class of its own."""
    module = ModuleType(MODULE)
    kind = type("PersistentData", (), {"__module__": MODULE})
    module.PersistentData = kind  # type: ignore[attr-defined]
    data = kind()
    vars(data).update(pickle.loads(plain(table)))
    sys.modules[MODULE] = module
    try:
        return pickle.dumps(data, protocol)
    finally:
        del sys.modules[MODULE]


@given(TABLES, st.integers(2, 5))
def test_plain_tables_are_read(table: dict[str, int], protocol: int) -> None:
    assert parse(plain(table, protocol)) == Labels(table)


@given(TABLES, st.integers(2, 5))
def test_tables_of_objects_are_read(table: dict[str, int], protocol: int) -> None:
    assert parse(as_object(table, protocol)) == Labels(table)


def test_tables_longer_than_a_pickle_batch_are_read() -> None:
    table = {f"id {n}": n for n in range(2001)}
    assert parse(plain(table)).by_id == table


@given(TABLES, st.data())
def test_a_cut_table_is_a_part_of_the_whole(table: dict[str, int], data: st.DataObject) -> None:
    whole = plain(table)
    labels = parse(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert labels.fault
    assert labels.by_id.items() <= table.items()


def test_a_table_cut_near_its_end_is_nearly_whole() -> None:
    table = {f"id {n}": n for n in range(500)}
    whole = plain(table)
    labels = parse(whole[: whole.index(b"label_to_id")])
    assert labels.by_id == table and labels.fault == "is cut short"


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    parse(data)


@given(TABLES, st.data())
def test_no_flipped_byte_makes_it_fail(table: dict[str, int], data: st.DataObject) -> None:
    damaged = bytearray(plain(table))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    labels = parse(bytes(damaged))
    assert all(type(id) is str and type(label) is int and label >= 0 for id, label in labels.by_id.items())


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\x80\x03}r\xff\xff\xff\x7f.",
        b"\x80\x03X\xff\xff\xff\xffabc.",
    ],
)
def test_lengths_that_lie_take_no_memory(data: bytes) -> None:
    assert not parse(data).by_id


@pytest.mark.case(33)
@pytest.mark.parametrize("table", [{"a": -1}, {"a": "b"}, {1: 2}, {"a": None}, {"a": True}])
def test_wrong_types_are_left_out_and_told(table: dict[object, object]) -> None:
    labels = parse(pickle.dumps({"id_to_label": table}, 3))
    assert labels == Labels({}, "holds ids or labels of a wrong type")


@pytest.mark.case(33)
def test_another_pickle_holds_no_table() -> None:
    assert parse(pickle.dumps({"a": 1}, 3)).fault == "holds no label table"
