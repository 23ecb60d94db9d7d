"""Hashes tell memories apart, types included, and do not depend on order."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.model.hashing import content_hash, record_hash
from memdefrag.model.records import Key, MemoryRecord, State

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
METADATA = st.dictionaries(st.text(), SCALARS, max_size=4)


def record(**values: object) -> MemoryRecord:
    return replace(MemoryRecord(Key("c", "1"), "text"), **values)  # type: ignore[arg-type]


@given(METADATA)
def test_order_of_metadata_does_not_count(metadata: dict[str, object]) -> None:
    turned = dict(reversed(metadata.items()))
    assert record_hash(record(metadata=metadata)) == record_hash(record(metadata=turned))


def test_types_are_told_apart() -> None:
    hashes = {record_hash(record(metadata={"n": value})) for value in (1, 1.0, True, "1", None)}
    assert len(hashes) == 5


def test_every_field_but_key_and_vector_counts() -> None:
    changes: list[dict[str, object]] = [
        {"text": "other"}, {"text": None}, {"uri": "u"}, {"tags": ("a",)}, {"created": 1.0}, {"updated": 1.0},
        {"owner": "o"}, {"state": State.CHUNK}, {"extras": {"a": 1}}, {"metadata": {"a": 1}},
    ]  # fmt: skip
    hashes = {record_hash(record(**change)) for change in changes}
    assert len(hashes | {record_hash(record())}) == len(changes) + 1
    vector = np.ones(3, np.float32)
    assert record_hash(record(embedding=vector, key=Key("c", "2"))) == record_hash(record())


def test_undecodable_text_can_be_hashed() -> None:
    assert record_hash(record(text=b"\xff".decode("utf-8", "surrogateescape")))


@given(st.permutations([MemoryRecord(Key("c", str(n)), f"text {n}") for n in range(5)]))
def test_content_hash_does_not_depend_on_order(records: list[MemoryRecord]) -> None:
    assert content_hash(records) == content_hash(sorted(records, key=lambda r: r.key))


def test_content_hash_counts_copies_and_keys() -> None:
    one, two = MemoryRecord(Key("c", "1"), "t"), MemoryRecord(Key("c", "2"), "t")
    assert len({content_hash(r) for r in ([one], [one, one], [two], [one, two])}) == 4
