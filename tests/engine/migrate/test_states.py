"""Whether a memory is live is never decided by a migration: not by the words of its metadata, not by a target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address
from memdefrag.model.migration import MigrateOptions, MigrationReport, Outcome
from memdefrag.model.records import Key, MemoryRecord, Metadata, State
from tests.engine.migrate.kinds import NAME, NO_MODEL, make
from tests.engine.stores import snapshot_of

FILES = {
    "jsonl": "memories.jsonl",
    "memory-export": "export.db",
    "memory-service": "sqlite_vec.db",
    "memory-service-json": "export.json",
    "enhanced": "enhanced.db",
}
MARKS: dict[str, Metadata] = {
    "deleted": {"deleted_at": 1.7e9},
    "replaced": {"superseded_by": "another"},
    "piece": {"is_chunk": True, "chunk_index": 1},
    "nested": {"deleted_at": {"by": "somebody"}},
}
CASES: dict[str, tuple[State, Metadata]] = {
    "live": (State.LIVE, {}),
    **{f"live, says {name}": (State.LIVE, said) for name, said in MARKS.items()},
    "live, says all": (State.LIVE, {**MARKS["replaced"], **MARKS["piece"], **MARKS["deleted"]}),
    "live, says none of it": (State.LIVE, {"deleted_at": None, "superseded_by": "", "is_chunk": False}),
    "chunk": (State.CHUNK, MARKS["piece"]),
    "chunk, says deleted": (State.CHUNK, {**MARKS["piece"], **MARKS["deleted"]}),
    "deleted": (State.DELETED, MARKS["deleted"]),
    "deleted, by no words": (State.DELETED, {}),
    "superseded": (State.SUPERSEDED, MARKS["replaced"]),
    "superseded, by no words": (State.SUPERSEDED, {}),
}
NO_PLACE = {
    "jsonl": set[str](),
    "memory-export": {"deleted, by no words", "superseded, by no words"},
    "memory-service-json": {"deleted, by no words", "superseded, by no words"},
    "memory-service": {"superseded, by no words"},
    "enhanced": {"superseded, by no words"},
}
"""What a store cannot say; it is left out, and told, rather than written as live."""


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Address, MigrationReport]]:
    """A store of each kind with all the cases, made once."""
    source = make(Address("jsonl", str(tmp_path_factory.mktemp("source") / "source.jsonl")), memories())

    @cache
    def copy(kind: str) -> tuple[Address, MigrationReport]:
        return copied(source, tmp_path_factory.mktemp(kind), kind)

    return copy


def memories() -> list[MemoryRecord]:
    vector = np.random.default_rng(3).standard_normal(4).astype(np.float32)
    return [
        MemoryRecord(Key(NAME, case), f"A text of {case}.", said, vector, created=1.6e9, updated=1.6e9, state=state)
        for case, (state, said) in CASES.items()
    ]


def copied(source: Address, folder: Path, kind: str) -> tuple[Address, MigrationReport]:
    folder.mkdir(exist_ok=True)
    target = Address(kind, str(folder / FILES[kind]))
    return target, migrate(source, target, MigrateOptions(target_collection=NAME), NO_MODEL)


def states(address: Address) -> dict[str, State]:
    return {(record.text or "")[len("A text of ") : -1]: record.state for record in snapshot_of(address)}


@pytest.mark.parametrize("kind", FILES)
def test_every_state_that_a_store_can_say_is_said_there(
    held: Callable[[str], tuple[Address, MigrationReport]], kind: str
) -> None:
    address, report = held(kind)
    assert states(address) == {case: state for case, (state, _) in CASES.items() if case not in NO_PLACE[kind]}
    left = {entry.source.id for entry in report.entries if entry.outcome is Outcome.DEAD}
    assert (left, report.failed) == (NO_PLACE[kind], 0)


@pytest.mark.parametrize(("one", "other"), list(product(FILES, FILES)))
def test_it_comes_back_over_any_two_stores(
    held: Callable[[str], tuple[Address, MigrationReport]], tmp_path: Path, one: str, other: str
) -> None:
    between, _ = copied(held(one)[0], tmp_path, other)
    back, _ = copied(between, tmp_path / "back", "jsonl")
    wanted = {case: told for case, told in CASES.items() if case not in NO_PLACE[one] | NO_PLACE[other]}
    assert states(back) == {case: state for case, (state, _) in wanted.items()}
    for record in snapshot_of(back):
        case = (record.text or "")[len("A text of ") : -1]
        said = {name: value for name, value in record.metadata.items() if name in wanted[case][1]}
        assert said == wanted[case][1], case


@pytest.mark.parametrize("kind", FILES)
def test_a_second_migration_finds_the_same(
    held: Callable[[str], tuple[Address, MigrationReport]], tmp_path: Path, kind: str
) -> None:
    source = make(Address("jsonl", str(tmp_path / "source.jsonl")), memories())
    again = migrate(source, held(kind)[0], MigrateOptions(target_collection=NAME, dry_run=True), NO_MODEL)
    assert {entry.outcome for entry in again.entries} <= {Outcome.SAME, Outcome.DEAD}


@pytest.mark.parametrize("kind", ["memory-export", "memory-service-json"])
def test_words_that_had_to_move_are_told(
    held: Callable[[str], tuple[Address, MigrationReport]], kind: str
) -> None:
    [entry] = [entry for entry in held(kind)[1].entries if entry.source.id == "live, says deleted"]
    assert any("the place of 'deleted_at'" in loss for loss in entry.losses)


def test_a_memory_that_is_deleted_later_by_the_same_words_stays_deleted(
    held: Callable[[str], tuple[Address, MigrationReport]], tmp_path: Path
) -> None:
    """Words that were kept aside do not overrule those that somebody wrote since."""
    [moved] = [each for each in snapshot_of(held("memory-export")[0]) if "of live, says deleted" in (each.text or "")]
    later = replace(moved, metadata={**moved.metadata, "deleted_at": 1.9e9}, state=State.DELETED)
    source = make(Address("jsonl", str(tmp_path / "later.jsonl")), [later])
    [found] = snapshot_of(copied(source, tmp_path, "jsonl")[0])
    assert (found.state, found.metadata["deleted_at"]) == (State.DELETED, 1.9e9)
