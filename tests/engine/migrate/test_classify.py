"""What is decided about each memory is what happens to it, whatever both ends hold."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address
from memdefrag.model.carried import uncarry
from memdefrag.model.codec import unfit
from memdefrag.model.hashing import record_hash
from memdefrag.model.migration import Conflict, MigrateOptions, MigrationReport, Outcome, Selection
from memdefrag.model.records import Key, MemoryRecord, Snapshot
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.conftest import DIMENSION
from tests.conftest import fill as filled
from tests.engine.migrate.kinds import FILES, NAME, NO_MODEL, make, unlike
from tests.engine.stores import snapshot_of

QUICK = ("jsonl", "memory-export", "hdev")
EXAMPLES = 60 if os.environ.get("MEMDEFRAG_FAULTS") == "all" else 12

ids = st.sampled_from(["a", "b", "c", "d e", "ü#1"])
words = st.sampled_from(["Tea at five.", "Tea at six.", "Grüße 🦊", ""])
values: st.SearchStrategy[Any] = st.sampled_from([1, 1.0, True, "x", [1, "a"], ["a"], {"b": [None]}, None, 2**70])
times = st.none() | st.sampled_from([1.6e9, 1.7e9 + 0.25])
bodies = st.fixed_dictionaries(
    {
        "text": words,
        "metadata": st.dictionaries(st.sampled_from(["k", "ключ", "n"]), values, max_size=2),
        "tags": st.sampled_from([(), ("t",), ("t", "ü")]),
        "created": times,
        "uri": st.sampled_from([None, "x:y"]),
        "owner": st.sampled_from([None, "o"]),
        "extras": st.dictionaries(st.sampled_from(["e", "title"]), values, max_size=1),
    }
)
contents = st.dictionaries(ids, bodies, max_size=4)
kinds = st.sampled_from(QUICK)
conflicts = st.sampled_from(Conflict)


class Ends(NamedTuple):
    """Two stores, and what they held first."""

    source: Address
    target: Address
    before: Snapshot


@contextmanager
def both(kind: str, source: dict[str, Any], target: dict[str, Any]) -> Iterator[Ends]:
    """A source that holds anything, and a target of that kind."""
    folder = Path(tempfile.mkdtemp(prefix="memdefrag-classify-"))
    try:
        ends = Address("jsonl", str(folder / "source.jsonl")), Address(kind, str(folder / FILES[kind]))
        make(ends[0], memories(source))
        filled(ends[1], memories(target))
        yield Ends(*ends, held(ends[1]))
    finally:
        shutil.rmtree(folder)


def memories(bodies: dict[str, Any]) -> list[MemoryRecord]:
    vector = np.full(DIMENSION, DIMENSION**-0.5, np.float32)
    return [MemoryRecord(Key(NAME, id), embedding=vector, **body) for id, body in bodies.items()]


def held(address: Address) -> Snapshot:
    with open_store(address, must_exist=False) as store:
        return read_snapshot(store) if store.exists else Snapshot(str(address), ())


def outcomes(report: MigrationReport) -> list[tuple[Key, Key, Outcome, tuple[str, ...], bool]]:
    return [(each.source, each.target, each.outcome, each.losses, each.replaces) for each in report.entries]


def said(record: MemoryRecord) -> str:
    return record_hash(record)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds, contents, contents, conflicts)
def test_the_rehearsal_says_what_happens(kind: str, source: Any, target: Any, conflict: Conflict) -> None:
    with both(kind, source, target) as ends:
        options = MigrateOptions(conflict)
        told = migrate(ends.source, ends.target, replace(options, dry_run=True), NO_MODEL)
        assert {record.key: said(record) for record in held(ends.target)} == {
            record.key: said(record) for record in ends.before
        }
        done = migrate(ends.source, ends.target, options, NO_MODEL)
        assert outcomes(done) == outcomes(told)
        assert Counter(told.losses) == Counter(done.losses)
        written = {entry.target: entry for entry in done.entries if entry.outcome is Outcome.COPY}
        after = held(ends.target).by_key
        new = after.keys() - ends.before.by_key.keys()
        assert new == {key for key, entry in written.items() if not entry.replaces}
        for key, record in ends.before.by_key.items():
            assert key in written or said(after[key]) == said(record)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds, contents, contents, conflicts)
def test_the_second_time_nothing_is_copied(kind: str, source: Any, target: Any, conflict: Conflict) -> None:
    with both(kind, source, target) as ends:
        first = migrate(ends.source, ends.target, MigrateOptions(conflict), NO_MODEL)
        after = {record.key: said(record) for record in held(ends.target)}
        second = migrate(ends.source, ends.target, MigrateOptions(conflict), NO_MODEL)
        assert (second.copied, second.step) == (0, None)
        assert second.conflicts == first.conflicts
        assert {record.key: said(record) for record in held(ends.target)} == after


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds, contents, contents, conflicts)
def test_a_taken_name_goes_to_whom_the_person_says(kind: str, source: Any, target: Any, conflict: Conflict) -> None:
    with both(kind, source, target) as ends:
        report = migrate(ends.source, ends.target, MigrateOptions(conflict), NO_MODEL)
        after, origin = held(ends.target).by_key, snapshot_of(ends.source).by_key
        for entry in report.entries:
            key = Key(ends.before.collections[0].name, entry.source.id)
            old, new = ends.before.by_key.get(key), origin[entry.source]
            if old is None:
                assert entry.outcome is Outcome.COPY
            elif entry.outcome is Outcome.SAME and entry.target == key:
                assert said(after[key]) == said(old)
            elif conflict is Conflict.KEEP_BOTH:
                assert said(after[key]) == said(old)
                assert entry.target.id == f"{key.id}-2"
                assert unlike(new, said_again(after[entry.target], key.id), set(entry.losses)) == []
            else:
                wins = conflict is Conflict.OVERWRITE or (conflict is Conflict.NEWEST and newer(new, old))
                assert entry.outcome is (Outcome.COPY if wins else Outcome.CONFLICT)
                assert wins or said(after[key]) == said(old)


def newer(new: MemoryRecord, old: MemoryRecord) -> bool:
    moments = [max(filter(None, (record.created, record.updated)), default=0) for record in (new, old)]
    return moments[0] > moments[1]


def said_again(record: MemoryRecord, id: str) -> MemoryRecord:
    """What a stored memory says when all that was carried and escaped is back in its place."""
    told = uncarry(record)
    return replace(told, key=Key(NAME, id), metadata=unfit(told.metadata))


@settings(max_examples=EXAMPLES * 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["memory-export", "hdev", "memory-service", "memory-service-json"]), ids, bodies, st.booleans())
def test_what_is_told_as_lost_is_what_is_lost(kind: str, id: str, body: Any, textless: bool) -> None:
    with both(kind, {id: {**body, "text": None if textless else body["text"]}}, {}) as ends:
        if kind == "memory-service":
            ends.target.path.unlink()  # One that is there has vectors of one length, and takes no others.
        report = migrate(ends.source, ends.target, None, NO_MODEL)
        [entry] = report.entries
        assume(entry.outcome is Outcome.COPY)
        wanted, found = snapshot_of(ends.source).records[0], held(ends.target).by_key[entry.target]
        again = said_again(found, id)
        assert unlike(wanted, again, set(entry.losses)) == []
        real = set(unlike(wanted, again, set()))
        kept = {loss for loss in entry.losses if "kept as JSON text" not in loss}
        aspects = {"text": "text", "embedding": "vector", "tags": "tags"}
        assert {name for name, word in aspects.items() if any(word in loss for loss in kept)} == real
        as_text = {name for name in wanted.metadata if f"the type of {name!r} (kept as JSON text)" in entry.losses}
        assert as_text == {
            name for name, value in wanted.metadata.items() if type(found.metadata.get(name)) is not type(value)
        }


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds, contents, contents, st.sampled_from(["a", "d", "zz"]))
def test_only_what_is_chosen_is_touched(kind: str, source: Any, target: Any, prefix: str) -> None:
    with both(kind, source, target) as ends:
        options = MigrateOptions(Conflict.OVERWRITE, Selection(prefix=prefix))
        report = migrate(ends.source, ends.target, options, NO_MODEL)
        assert {entry.source.id for entry in report.entries} == {id for id in source if id.startswith(prefix)}
        after = held(ends.target).by_key
        for key, record in ends.before.by_key.items():
            assert key.id.startswith(prefix) or said(after[key]) == said(record)


@pytest.mark.parametrize("conflict", [Conflict.OVERWRITE, Conflict.KEEP_BOTH])
def test_a_chroma_folder_is_no_other(tmp_path: Path, conflict: Conflict) -> None:
    body = {"metadata": {"n": 1}}
    mine = {"a": {**body, "text": "Tea at five.", "created": 1.7e9}, "b": {**body, "text": "B"}, "c": {"text": "C"}}
    theirs = {"a": {**body, "text": "Tea at six.", "created": 1.6e9}, "b": {**body, "text": "B"}, "z": {"text": "Z"}}
    with both("chroma", mine, theirs) as ends:
        report = migrate(ends.source, ends.target, MigrateOptions(conflict), NO_MODEL)
        outcome = {entry.source.id: entry.outcome for entry in report.entries}
        assert outcome == {"a": Outcome.COPY, "b": Outcome.SAME, "c": Outcome.COPY}
        texts = {key.id: record.text for key, record in held(ends.target).by_key.items()}
        replaced = conflict is Conflict.OVERWRITE
        assert texts.pop("a") == ("Tea at five." if replaced else "Tea at six.")
        assert texts.pop("a-2", None) == (None if replaced else "Tea at five.")
        assert texts == {"b": "B", "c": "C", "z": "Z"}
