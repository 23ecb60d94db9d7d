"""Memories of Memory Service's Chroma years come into its present database, and back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address
from memdefrag.model.hashing import content_hash, relation_hash
from memdefrag.model.migration import MigrateOptions
from memdefrag.model.records import State
from tests.engine.stores import snapshot_of


def test_there_and_back_nothing_is_different(export_file: Path, tmp_path: Path) -> None:
    """An export holds what the Chroma folder held, in the same words."""
    there = Address("memory-service", str(tmp_path / "sqlite_vec.db"))
    back = Address("memory-export", str(tmp_path / "back.db"))
    report = migrate(f"memory-export:{export_file}", there, MigrateOptions(target_collection="default"))
    assert (report.failed, report.warnings) == (0, ())
    assert {record.extras["memory_type"] for record in snapshot_of(there)} == {"note"}
    migrate(there, back)
    source = Address("memory-export", str(export_file))
    assert content_hash(snapshot_of(back).records) == content_hash(snapshot_of(source).records)


def test_a_store_that_the_service_does_not_search_is_told(export_file: Path, tmp_path: Path) -> None:
    report = migrate(
        f"memory-export:{export_file}", f"memory-service:{tmp_path / 'new.db'}", MigrateOptions(dry_run=True)
    )
    [warning] = report.warnings
    assert "searches its store 'default'" in warning
    assert "memories" in warning


@pytest.mark.parametrize("name", ["sqlite_vec_v7.db", "sqlite_vec_fresh12.db"])
def test_a_database_is_copied_with_all_that_it_says(shared: Path, tmp_path: Path, name: str) -> None:
    source = Address("memory-service", shutil.copyfile(shared / "fixtures" / name, str(tmp_path / name)))
    copy = Address("memory-service", str(tmp_path / "copy.db"))
    migrate(source, copy)
    before, after = snapshot_of(source), snapshot_of(copy)
    assert content_hash(after.records) == content_hash(before.records)
    assert sorted(map(relation_hash, after.relations)) == sorted(map(relation_hash, before.relations))
    assert {record.state for record in after} >= ({State.LIVE} if "v7" in name else {State.DELETED, State.SUPERSEDED})
