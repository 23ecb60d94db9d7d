"""Memories of Memory Service's Chroma years come into its present database, and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from memdefrag.base.errors import UsageError
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


def test_a_new_store_of_a_database_measures_as_the_database_does(tmp_path: Path) -> None:
    source, other = Address("jsonl", str(tmp_path / "a.jsonl")), Address("jsonl", str(tmp_path / "b.jsonl"))
    there = Address("memory-service", str(tmp_path / "sqlite_vec.db"))
    for place, metric in ((source, "cosine"), (other, "l2")):
        head = {"memdefrag": 1, "collection": metric, "metric": metric}
        memory = {"id": metric, "text": f"Measured by {metric}.", "embedding": [0.5] * 8}
        place.path.write_text(f"{json.dumps(head)}\n{json.dumps(memory)}\n", "utf-8")
    migrate(source, there)
    report = migrate(other, there)
    assert (report.copied, report.failed) == (1, 0)
    assert any("distances will differ. Only another store" in warning for warning in report.warnings)


def test_vectors_of_two_lengths_are_told_before_a_database_is_made(tmp_path: Path) -> None:
    source = Address("jsonl", str(tmp_path / "a.jsonl"))
    told = [{"text": f"Number {length}.", "collection": f"c{length}", "embedding": [0.5] * length} for length in (4, 8)]
    source.path.write_text("".join(f"{json.dumps(memory)}\n" for memory in told), "utf-8")
    with pytest.raises(UsageError, match="1 vector of 4 dimensions, 1 vector of 8 dimensions"):
        migrate(source, f"memory-service:{tmp_path / 'new.db'}", MigrateOptions(dry_run=True))


def test_that_a_text_is_there_already_is_not_told_as_its_length(tmp_path: Path) -> None:
    """What the target has against a memory is said of that memory, and not that it were too long."""
    source = Address("jsonl", str(tmp_path / "a.jsonl"))
    source.path.write_text('{"id": "one", "text": "The long one.", "embedding": [1, 0]}\n', "utf-8")
    there = f"memory-service:{tmp_path / 'new.db'}"
    migrate(source, there, MigrateOptions(target_collection="default"))
    report = migrate(source, there, MigrateOptions(target_collection="other", dry_run=True))
    assert report.failed == 1 and not any("longest" in warning for warning in report.warnings)
