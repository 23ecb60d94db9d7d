"""Tags that a target spells in its own way are told, and are as they were when they leave it again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address
from memdefrag.model.carried import CARRIED
from memdefrag.model.migration import MigrateOptions, MigrationReport, Outcome
from memdefrag.model.records import Key, MemoryRecord
from tests.engine.migrate.kinds import NAME, NO_MODEL, make
from tests.engine.stores import snapshot_of

LOSS = "the spelling of the tags (the store writes them in its own way)"
FOLDED = MigrateOptions(target_collection="default")
SPELLED = {("Work",): ("work",), ("a, b", "C"): ("a- b", "c"), (" x ",): ("x",), ("A", "a"): ("a",), (",",): ("-",)}


def source_of(folder: Path, *tags: tuple[str, ...]) -> Address:
    vector = np.ones(4, np.float32)
    records = [
        MemoryRecord(Key(NAME, f"id {number}"), f"Text {number}.", {}, vector, each, created=1.6e9, updated=1.6e9)
        for number, each in enumerate(tags)
    ]
    return make(Address("jsonl", str(folder / "source.jsonl")), records)


def into_service(source: Address, folder: Path) -> tuple[Address, MigrationReport]:
    target = Address("memory-service", str(folder / "sqlite_vec.db"))
    return target, migrate(source, target, FOLDED, NO_MODEL)


def back_from(target: Address, folder: Path, kind: str = "jsonl") -> dict[str, tuple[str, ...]]:
    back = Address(kind, str(folder / f"back.{kind}"))
    migrate(target, back, MigrateOptions(target_collection=NAME), NO_MODEL)
    return {record.text or "": record.tags for record in snapshot_of(back)}


@pytest.mark.parametrize(("tags", "spelled"), SPELLED.items())
@pytest.mark.parametrize("kind", ["jsonl", "memory-export"])
def test_another_spelling_is_told_and_comes_back(
    tmp_path: Path, tags: tuple[str, ...], spelled: tuple[str, ...], kind: str
) -> None:
    target, report = into_service(source_of(tmp_path, tags), tmp_path)
    [entry] = report.entries
    [record] = snapshot_of(target)
    assert (record.tags, entry.losses) == (spelled, (LOSS,))
    assert back_from(target, tmp_path, kind) == {"Text 0.": tags}


def test_tags_in_the_services_spelling_are_nothing_to_tell(tmp_path: Path) -> None:
    target, report = into_service(source_of(tmp_path, ("work", "a b"), ()), tmp_path)
    assert not any(entry.losses for entry in report.entries)
    assert all("tags" not in record.metadata.get(CARRIED, {}) for record in snapshot_of(target))


def test_a_second_migration_finds_them_the_same(tmp_path: Path) -> None:
    source = source_of(tmp_path, *SPELLED)
    into_service(source, tmp_path)
    _, again = into_service(source, tmp_path)
    assert {entry.outcome for entry in again.entries} == {Outcome.SAME}


def test_tags_that_were_edited_since_stay_edited(tmp_path: Path) -> None:
    target, _ = into_service(source_of(tmp_path, ("Work", "Home"), ("Old",)), tmp_path)
    with closing(sqlite3.connect(target.path)) as service:
        service.execute("UPDATE memories SET tags = 'work,new' WHERE content = 'Text 0.'")
        service.execute("UPDATE memories SET tags = '' WHERE content = 'Text 1.'")
        service.commit()
    assert back_from(target, tmp_path) == {"Text 0.": ("work", "new"), "Text 1.": ()}


def test_tags_of_the_chroma_years_are_as_they_were(export_file: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(export_file)) as export:
        export.execute("""UPDATE memories SET metadata = json_set(metadata, '$.tags', 'North,South Pole')""")
        export.commit()
    before = snapshot_of(Address("memory-export", str(export_file)))
    target, _ = into_service(Address("memory-export", str(export_file)), tmp_path)
    migrate(target, Address("memory-export", str(tmp_path / "back.db")))
    after = snapshot_of(Address("memory-export", str(tmp_path / "back.db")))
    assert {record.tags for record in snapshot_of(target)} == {("north", "south pole")}
    assert after.by_key == before.by_key


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.sampled_from('Aa ,-"[]Ü\n'), min_size=1, max_size=5), max_size=4))
def test_any_tags_come_back(tmp_path_factory: pytest.TempPathFactory, tags: list[str]) -> None:
    folder = tmp_path_factory.mktemp("any")
    target, _ = into_service(source_of(folder, tuple(tags)), folder)
    assert back_from(target, folder) == {"Text 0.": tuple(tags)}
