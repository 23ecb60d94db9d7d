"""The queue is applied as Chroma applies it, wherever the tables and the index have stopped."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from memdefrag.stores.chroma.wal import INDEX, NOWHERE, Kind, Operation, merge, parse_metadata, resolve


@dataclass(frozen=True)
class Model:
    """A record as a plain reading of Chroma's rules leaves it.

    Attributes:
        changes: numbers of the changes that made its metadata.
        vector: number of the change that gave its vector.
        applied: number of the last change that had an effect.
    """

    exists: bool = False
    changes: tuple[int, ...] = ()
    vector: int = NOWHERE
    applied: int = 0

    def after(self, operation: Operation) -> Model:
        seq, kind, _, has_vector = operation
        if kind == Kind.DELETE:
            return Model()
        if (kind == Kind.ADD and self.exists) or (kind == Kind.UPDATE and not self.exists):
            return self
        return replace(
            self, exists=True, changes=(*self.changes, seq), vector=seq if has_vector else self.vector, applied=seq
        )


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Operation], int, int, int]:
    """Changes of one record; how many the tables, the index and the purge have reached."""
    kinds = draw(st.lists(st.sampled_from(Kind), min_size=1, max_size=10))
    operations = [
        Operation(seq, kind, "x", kind in (Kind.ADD, Kind.UPSERT) or (kind == Kind.UPDATE and draw(st.booleans())))
        for seq, kind in enumerate(kinds, 1)
    ]
    tables = draw(st.integers(0, len(kinds)))
    index = draw(st.integers(0, len(kinds)))
    purged = draw(st.integers(0, min(tables, index, len(kinds) - 1)))
    return operations, tables, index, purged


def state(operations: list[Operation]) -> Model:
    model = Model()
    for operation in operations:
        model = model.after(operation)
    return model


def undecidable(operations: list[Operation], tables: int, purged: int) -> bool:
    """Whether what is left does not tell an update of a missing record, then its add, from an ignored add."""
    queue, stored = operations[purged:], state(operations[:tables])
    kinds = [operation.kind for operation in queue if operation.seq < stored.applied]
    early = Kind.ADD in kinds and Kind.UPDATE in kinds[: kinds.index(Kind.ADD)]
    deleted = any(operation.kind == Kind.DELETE for operation in queue)
    return early and not deleted and stored.exists and not state(operations[:purged]).exists


@settings(max_examples=1000)
@given(histories())
def test_the_end_is_the_same_wherever_tables_index_and_purge_have_stopped(
    history: tuple[list[Operation], int, int, int],
) -> None:
    operations, tables, index, purged = history
    stored, indexed, end = state(operations[:tables]), state(operations[:index]), state(operations)
    assume(not undecidable(operations, tables, purged))
    outcome = resolve(operations[purged:], stored.applied if stored.exists else None, indexed.exists)
    assert outcome.exists == end.exists
    if end.exists:
        assert (stored.changes if outcome.from_tables else ()) + outcome.pending == end.changes
        assert (indexed.vector if outcome.vector == INDEX else outcome.vector) == end.vector


@given(histories())
def test_impossible_numbers_are_replayed(history: tuple[list[Operation], int, int, int]) -> None:
    operations, tables, _, purged = history
    stored, end = state(operations[:tables]), state(operations)
    outcome = resolve(operations[purged:], 1 << 60 if stored.exists else None, in_index=False)
    if stored.exists and all(operation.kind != Kind.DELETE for operation in operations):
        assert outcome.exists and {*end.changes} <= {*stored.changes, *outcome.pending}


@settings(max_examples=1000)
@given(histories())
def test_a_lost_index_loses_no_vector_that_the_queue_has(history: tuple[list[Operation], int, int, int]) -> None:
    operations, tables, _, purged = history
    stored, end = state(operations[:tables]), state(operations)
    assume(not undecidable(operations, tables, purged))
    outcome = resolve(operations[purged:], stored.applied if stored.exists else None, in_index=False)
    if end.exists and end.vector > purged:
        assert outcome.vector == end.vector


SMALL_TEXT = st.text("xyz", max_size=3)
VALUES = st.none() | SMALL_TEXT | st.integers(-5, 5) | st.floats() | st.booleans() | st.lists(SMALL_TEXT, max_size=3)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=4))
def test_merging_keeps_the_last_value_of_each_key(changes: list[dict[str, Any]]) -> None:
    merged: dict[str, Any] = {}
    for change in changes:
        merge(merged, change)
    last = {key: value for change in changes for key, value in change.items()}
    gone = {key for key, value in last.items() if value is None or (type(value) is float and math.isnan(value))}
    assert merged == {key: value for key, value in last.items() if key not in gone}


@given(st.one_of(st.none(), st.text(), st.binary(), st.integers()))
def test_no_payload_makes_it_fail(payload: Any) -> None:
    assert isinstance(parse_metadata(payload), dict)
