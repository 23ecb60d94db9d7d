"""Small real stores for the engine's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Merge, Plan, Put, Ref, Result, VectorRule
from memdefrag.model.records import Key, MemoryRecord, Snapshot
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store

DIMENSION = 8
SUFFIX = {"memory-export": ".db", "jsonl": ".jsonl", "hdev": ""}


def make_store(kind: str, folder: Path, count: int = 20) -> Address:
    """A store of `count` records with vectors; every other record repeats the one before it."""
    return fill_store(Address(kind, str(folder / f"store{SUFFIX[kind]}")), count)


def fill_store(address: Address, count: int = 20) -> Address:
    """The same records in the store of this address."""
    rng = np.random.default_rng(1)
    records = []
    for number in range(count):
        vector = rng.standard_normal(DIMENSION).astype(np.float32)
        text = f"Fact number {number // 2} about the garden"
        metadata = {"number": number, "weight": number / 4, "odd": number % 2 == 1, "tags": "a,b"}
        record = MemoryRecord(
            Key("memories", f"id{number:03}"), text, metadata, vector, ("a", "b"), created=1.7e9 + number
        )
        records.append(record)
    with open_store(address, must_exist=False) as store:
        puts = tuple(Put(store.fit(record)[0], None) for record in records)
        store.write(Changes(put=puts), Progress())
    return address


def snapshot_of(address: Address) -> Snapshot:
    with open_store(address) as store:
        return read_snapshot(store)


def merge_plan(address: Address, pairs: int = 3) -> Plan:
    """Merge the first records two by two."""
    records = sorted(snapshot_of(address).records, key=lambda record: record.key)
    steps = []
    for one, other in zip(records[: 2 * pairs : 2], records[1 : 2 * pairs : 2], strict=True):
        result = Result(
            f"{one.text}, merged", ("a", "b", "c"), one.created, 1.8e9, metadata=one.metadata, vector=VectorRule.MEAN
        )
        steps.append(Merge(Ref.of(one), (Ref.of(other),), result, "same words"))
    return Plan(source=str(address), target=str(address), steps=tuple(steps), settings={"reason": "optimize"})
