"""Both ends of a migration for the tests of what is looked at before it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memdefrag.engine.migrate import preflight
from memdefrag.engine.migrate.check import Check
from memdefrag.model.address import Address
from memdefrag.model.migration import MigrateOptions
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.conftest import fill


def memory(number: int, dimension: int | None = 8, *, text: str | None = None, turn: float = 0.0) -> MemoryRecord:
    """One of many; those of the same number are the same but for the `turn` of their vector."""
    rng = np.random.default_rng(number)
    vector = None if dimension is None else (rng.standard_normal(dimension) + turn * np.arange(dimension))
    return MemoryRecord(
        Key("memories", f"id{number:03}"),
        f"Fact number {number}" if text is None else text,
        {"number": number},
        None if vector is None else vector.astype(np.float32),
        created=1.7e9 + number,
    )


def source_of(folder: Path, records: Sequence[MemoryRecord]) -> Address:
    """JSON lines, which hold anything."""
    folder.mkdir(exist_ok=True)
    address = Address("jsonl", str(folder / "source.jsonl"))
    fill(address, list(records))
    return address


def looked_at(
    source: Address, target: Address, options: MigrateOptions | None = None, origin: Address | None = None
) -> dict[str, Check]:
    """The checks by name."""
    with open_store(source) as one, open_store(target, must_exist=False) as other:
        found = preflight.checks(one, other, read_snapshot(one), options or MigrateOptions(), origin=origin)
    assert len({check.name for check in found}) == len(found)
    return {check.name: check for check in found}


def failures(found: dict[str, Check]) -> list[str]:
    return [name for name, check in found.items() if check.passed is False]
