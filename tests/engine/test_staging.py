"""What an interrupted copy still lacks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import StoreDamaged
from memdefrag.engine.in_place import same
from memdefrag.engine.staging import remaining
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref, expected
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot

INFO = CollectionInfo("memories", 0, 0, 0)


def record(name: str, version: int) -> MemoryRecord:
    return MemoryRecord(Key("memories", name), f"{name} {version}", embedding=np.float32([version, 1]))


def snapshot(records: dict[str, int]) -> Snapshot:
    return Snapshot("jsonl:/nowhere", (INFO,), tuple(record(name, version) for name, version in records.items()))


contents = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2), max_size=8)


@given(before=contents, wanted=contents, present=contents)
def test_what_remains_makes_the_copy_what_was_promised(
    before: dict[str, int], wanted: dict[str, int], present: dict[str, int]
) -> None:
    old = snapshot(before)
    changes = Changes(
        put=tuple(
            Put(record(name, version), record_hash(old.by_key[Key("memories", name)]) if name in before else None)
            for name, version in wanted.items()
        ),
        delete=tuple(Ref.of(record(name, version)) for name, version in before.items() if name not in wanted),
    )
    copy = snapshot(present)
    left = remaining(old, changes, copy)
    found, promised = expected(copy, left), expected(old, changes)
    assert found.keys() == promised.keys() and all(same(found[key], promised[key]) for key in promised)
    assert all((put.before is None) is (put.record.key not in copy.by_key) for put in left.put)
    untouched = {name for name in present if wanted.get(name) == present[name]}
    assert not {put.record.key.id for put in left.put} & untouched


def test_a_vector_that_was_torn_is_written_again() -> None:
    promised = record("a", 1)
    torn = replace(promised, embedding=np.float32([7, 7]))
    changes = Changes(put=(Put(promised, None),))
    left = remaining(snapshot({}), changes, replace(snapshot({}), records=(torn,)))
    assert left.put == (Put(promised, record_hash(torn)),)


def test_a_copy_with_a_strange_collection_is_not_ours() -> None:
    strange = replace(snapshot({}), collections=(INFO, CollectionInfo("theirs", 0, 0, 0)))
    with pytest.raises(StoreDamaged, match="theirs"):
        remaining(snapshot({}), Changes(), strange)
