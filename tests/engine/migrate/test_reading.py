"""How much of a target is read before anything is decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address
from memdefrag.model.migration import MigrateOptions, MigrationReport
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.chroma.local import ChromaLocal
from tests.conftest import DIMENSION
from tests.engine.migrate.kinds import NAME, make


def stored(path: Path, **texts: str) -> Address:
    """A file of memories, by id."""
    vectors = np.random.default_rng(1).standard_normal((len(texts), DIMENSION)).astype(np.float32)
    return make(
        Address("jsonl", str(path)),
        [MemoryRecord(Key(NAME, id), texts[id], embedding=vector) for id, vector in zip(texts, vectors, strict=True)],
    )


@pytest.fixture
def source(tmp_path: Path) -> Address:
    return stored(tmp_path / "source.jsonl", a="The gate is green.", b="Tomatoes are watered at six.")


@pytest.fixture
def target(tmp_path: Path) -> Address:
    """Two collections: one has a memory of the source changed, the other one says what another memory does."""
    address = Address("chroma", str(tmp_path / "target"))
    for name, texts in {"notes": {"a": "The gate is red."}, "other": {"x": "Tomatoes are watered at six."}}.items():
        migrate(stored(tmp_path / f"{name}.jsonl", **texts), address, MigrateOptions(target_collection=name))
    return address


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The collections of Chroma folders that are read."""
    scanned: list[str] = []
    scan = ChromaLocal.scan

    def noting(store: ChromaLocal, collection: str, *arguments: Any, **more: Any) -> Any:
        scanned.append(collection)
        return scan(store, collection, *arguments, **more)

    monkeypatch.setattr(ChromaLocal, "scan", noting)
    return scanned


def rehearsed(source: Address, target: Address, **options: Any) -> MigrationReport:
    return migrate(source, target, MigrateOptions(dry_run=True, target_collection="notes", **options))


def test_only_the_collection_that_is_written_is_compared(source: Address, target: Address, read: list[str]) -> None:
    report = rehearsed(source, target)
    assert read == ["notes"]
    assert (report.copied, report.conflicts) == (1, 1)


def test_the_collection_in_the_targets_address_counts_less_than_the_one_that_is_named(
    source: Address, target: Address, read: list[str]
) -> None:
    report = rehearsed(source, target.select("other"))
    assert read == ["notes"] and report.conflicts == 1


def test_duplicates_are_sought_in_all_collections(source: Address, target: Address, read: list[str]) -> None:
    report = rehearsed(source, target, skip_duplicates=True)
    assert {*read} == {"notes", "other"}
    assert [entry.source.id for entry in report.entries if entry.outcome == "duplicate"] == ["b"]


def test_what_was_written_elsewhere_before_is_looked_at_when_catching_up(source: Address, target: Address) -> None:
    first = migrate(source, target, MigrateOptions(target_collection="other"))
    again = rehearsed(source, target, catch_up=True)
    assert (first.copied, again.copied) == (2, 0)
    assert {entry.outcome for entry in again.entries} == {"same"}
