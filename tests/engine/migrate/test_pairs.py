"""Every kind of store into every other: what was not told as lost is there again at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import pytest

from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address
from memdefrag.model.carried import uncarry
from memdefrag.model.migration import MigrateOptions, MigrationReport, Outcome
from memdefrag.model.records import MemoryRecord
from tests.engine.migrate.kinds import FILES, NAME, NO_MODEL, links, make, odd, unlike
from tests.engine.migrate.servers import SERVERS, Places, new_places
from tests.engine.stores import snapshot_of

KINDS = (*FILES, *SERVERS)
QUICK = ("jsonl", "parquet", "memory-export", "memory-service", "memory-service-json", "hdev")
ALL = os.environ.get("MEMDEFRAG_FAULTS") == "all"
RING = dict(zip(KINDS, (*KINDS[1:], KINDS[0]), strict=True))
PAIRS = [
    (one, other)
    for one, other in product(KINDS, KINDS)
    if ALL or RING[one] == other or (one in QUICK and other in QUICK)
]
"""All where that is wanted; otherwise those that are quick, and each kind once as source and as target."""

LINKED = ("jsonl", "parquet", "memory-service", "bigmemory", "federated")

Lost = dict[str, set[str]]
"""What was told to be lost, by the id that the memory had first."""


class Held(NamedTuple):
    """A store with all of the odd memories that it takes, how they came there, and what came out of it again."""

    address: Address
    report: MigrationReport
    back: Address


@dataclass
class Filled:
    """A store of each kind, made once."""

    place: Places
    origin: Address
    made: dict[str, Held] = field(default_factory=dict)

    def __call__(self, kind: str) -> Held:
        if kind not in self.made:
            address, back = self.place(kind), self.place("jsonl")
            report = copied(self.origin, address)
            copied(address, back)
            self.made[kind] = Held(address, report, back)
        return self.made[kind]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("pairs")
    with new_places(folder) as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMDEFRAG_DATA_DIR", str(folder / "data"))
        yield Filled(place, make(place("jsonl"), odd(), links()))


def copied(source: Address, target: Address) -> MigrationReport:
    """Everything, without a model; some databases have only collections of other names."""
    name = "work_memories" if target.kind == "federated" else None
    report = migrate(source, target, MigrateOptions(target_collection=name or _own(source)), NO_MODEL)
    assert report.checked is None or report.checked.differences == ()
    return report


def _own(source: Address) -> str | None:
    return NAME if source.kind == "federated" else None


def memories(address: Address) -> dict[str, MemoryRecord]:
    return {record.key.id: record for record in snapshot_of(address)}


def told(source: Address, report: MigrationReport) -> tuple[Lost, set[str]]:
    """What was lost of those that were copied, and those that were not."""
    ids = {record.key: uncarry(record).key.id for record in snapshot_of(source)}
    lost = {ids[entry.source]: set(entry.losses) for entry in report.entries}
    return lost, {ids[entry.source] for entry in report.entries if entry.outcome is not Outcome.COPY}


def assert_kept(wanted: dict[str, MemoryRecord], found: dict[str, MemoryRecord], lost: Lost, left: set[str]) -> None:
    differing = {
        id: unlike(record, found.get(id), lost.get(id, set())) for id, record in wanted.items() if id not in left
    }
    assert {id: how for id, how in differing.items() if how} == {}
    assert found.keys() == wanted.keys() - left


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_into_a_store_comes_out_of_it(filled: Filled, kind: str) -> None:
    _, report, back = filled(kind)
    lost, left = told(filled.origin, report)
    assert_kept(memories(filled.origin), memories(back), lost, left)
    assert left <= {"deleted", "superseded", "no vector"}
    expected = {(one.source, one.target, one.type) for one in links()} if kind in LINKED else set()
    assert {(one.source, one.target, one.type) for one in snapshot_of(back).relations} == expected


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_pair(filled: Filled, source: str, target: str) -> None:
    held, _, direct = filled(source)
    address, back = filled.place(target), filled.place("jsonl")
    lost, left = told(held, copied(held, address))
    lost_again, left_again = told(address, copied(address, back))
    assert left_again == set()
    both = {id: lost.get(id, set()) | lost_again.get(id, set()) for id in lost}
    assert_kept(memories(direct), memories(back), both, left)
    assert len(left) <= 3 or snapshot_of(held).records[0].embedding is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_time_nothing_is_copied(filled: Filled, kind: str) -> None:
    address, first, _ = filled(kind)
    again = copied(filled.origin, address)
    assert (again.copied, again.conflicts, again.relations) == (0, 0, 0)
    assert again.count(Outcome.SAME) == first.copied
    assert again.step is None
