"""A backup opens as a store that can only be read."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

from memdefrag.base.errors import (
    BackupDamaged,
    BackupNotFound,
    CollectionNotFound,
    MemdefragError,
    NotPermitted,
    UnsupportedFormat,
)
from memdefrag.engine.apply import apply
from memdefrag.engine.backups.shelf import Backup
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Plan
from memdefrag.model.records import MemoryRecord, Snapshot
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store, resolve
from tests.engine.backups.made import as_version_1, back_up, backup_of
from tests.engine.stores import merge_plan, snapshot_of
from tests.stores.contract import tree


@pytest.fixture
def backup(jsonl_file: Path) -> Backup:
    return back_up(str(jsonl_file))


def snapshot(text: str) -> Snapshot:
    with open_store(text) as store:
        return read_snapshot(store)


def test_it_is_opened_by_its_id_its_beginning_or_its_folder(backup: Backup) -> None:
    for name in (f"backup:{backup.id}", f"backup:{backup.id[:25]}", f"backup:{backup.folder}", str(backup.folder)):
        assert resolve(name) == Address("backup", str(backup.folder))
    assert resolve(str(backup.folder / "RESTORE.txt")).location == str(backup.folder)
    assert open_store(parse(f"backup:{backup.id}")).exists


def test_it_holds_what_the_store_held(backup: Backup, jsonl_file: Path, records: list[MemoryRecord]) -> None:
    found, live = snapshot(f"backup:{backup.id}"), snapshot(str(jsonl_file))
    assert found.collections == live.collections
    assert [record_hash(record) for record in found] == [record_hash(record) for record in live]
    for one, other in zip(found, live, strict=True):
        assert one.embedding is not None and other.embedding is not None
        assert one.embedding.tobytes() == other.embedding.tobytes()
    assert found.fingerprint and live.fingerprint and found.fingerprint.content == live.fingerprint.content
    assert len(found) == len(records)


def test_reading_it_leaves_no_trace(backup: Backup) -> None:
    before = tree(backup.folder.parent)
    found = snapshot(f"backup:{backup.id}")
    with open_store(f"backup:{backup.id}") as store:
        assert store.problems() == []
        assert [record.key for record in store.fetch([found.records[2].key])] == [found.records[2].key]
        assert "backup" in store.format
    assert tree(backup.folder.parent) == before


@pytest.mark.parametrize("name", ["nope", "", "/nowhere/at/all", "*", "..", "2"])
def test_what_is_not_there_is_not_found(backup: Backup, jsonl_file: Path, name: str) -> None:
    back_up(str(jsonl_file))
    with pytest.raises(BackupNotFound):
        resolve(f"backup:{name}")


def test_an_unknown_collection_is_told(backup: Backup) -> None:
    with pytest.raises(CollectionNotFound), open_store(f"backup:{backup.id}") as store:
        list(store.scan("nope"))


def test_one_of_raw_files_only_says_how_to_open_it(tmp_path: Path) -> None:
    backup = as_version_1(backup_of("jsonl", tmp_path))
    with pytest.raises(UnsupportedFormat) as told:
        snapshot(f"backup:{backup.id}")
    assert f"backup restore {backup.id} --to" in told.value.todo


@pytest.mark.case(14)
@pytest.mark.parametrize("name", ["records.jsonl.zst", "vectors.f32.zst"])
def test_no_memory_comes_out_of_a_damaged_one(backup: Backup, name: str) -> None:
    data = bytearray((backup.folder / name).read_bytes())
    data[-1] ^= 1
    (backup.folder / name).write_bytes(data)
    with pytest.raises(BackupDamaged):
        snapshot(f"backup:{backup.id}")


@pytest.mark.case(14)
def test_memories_that_were_exchanged_in_it_are_not_given_out(backup: Backup) -> None:
    path = backup.folder / "records.jsonl.zst"
    with path.open("rb") as raw:
        lines = zstandard.ZstdDecompressor().stream_reader(raw).read()
    path.write_bytes(zstandard.ZstdCompressor().compress(lines.replace(b"8080", b"8090")))
    with pytest.raises(BackupDamaged):
        snapshot(f"backup:{backup.id}")


def test_it_is_never_written(backup: Backup, tmp_path: Path) -> None:
    before = tree(backup.folder)
    with pytest.raises(UnsupportedFormat), open_store(f"backup:{backup.id}") as store:
        store.write(Changes(), progress=None)  # type: ignore[arg-type]
    plan = merge_plan(Address("backup", str(backup.folder)), pairs=1)
    with pytest.raises(MemdefragError) as told:
        apply(plan)
    assert isinstance(told.value, NotPermitted | UnsupportedFormat)
    assert tree(backup.folder) == before


def test_a_plan_takes_memories_out_of_it(tmp_path: Path) -> None:
    backup = backup_of("jsonl", tmp_path)
    target = parse(backup.address)
    gone = merge_plan(target)
    apply(gone)
    from memdefrag.engine.restore import restore_plan

    present = snapshot_of(target)
    missing = [key for key in snapshot(f"backup:{backup.id}").by_key if key not in present.by_key]
    plan = restore_plan(backup, present, keys=missing[:1])
    assert isinstance(plan, Plan)
    apply(plan)
    assert snapshot_of(target).by_key.keys() - present.by_key.keys() == set(missing[:1])
