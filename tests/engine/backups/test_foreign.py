"""Backups that other programs made become backups of ours: whole, counted, and known by their content."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import sqlite3
import tarfile
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from memdefrag.base.errors import BackupDamaged, MemdefragError, NoSpace, NotAStore
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups.foreign import TakenIn, take_in
from memdefrag.engine.backups.retention import prune
from memdefrag.engine.backups.shelf import all_backups
from memdefrag.engine.backups.verify import verify
from memdefrag.model.hashing import content_hash
from memdefrag.model.plan import Plan, StoreStep
from memdefrag.model.records import MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.stores.enhanced_memory.files import make_enhanced
from tests.stores.memory_service.files import make_service
from tests.stores.test_service_json import EXPORTED, OLD, exported, put_aside


def take(path: Path) -> TakenIn:
    return take_in(path, Progress())


def content(address: str) -> str:
    """What all memories of a store say, as one hash."""
    with open_store(address) as store:
        return content_hash(read_snapshot(store).records)


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the other program keeps its backups."""
    made = tmp_path / "their backups"
    made.mkdir()
    return made


def the_same(done: TakenIn, original: Path) -> bool:
    """Whether the backup's both layers hold what the original does."""
    verify(done.backup, Progress(), deep=True)
    return content(f"backup:{done.backup.folder}") == content(str(original)) == str(done.backup.manifest["content"])


@pytest.mark.parametrize("pack", [raw_deflate, gzip.compress], ids=["as the app writes it", "as its name promises"])
@pytest.mark.parametrize("name", ["memory_backup_2025-01-01T00-00-00Z.db.gz", "misnamed"])
def test_memory_defragmenters_packed_databases(folder: Path, export_file: Path, pack: Any, name: str) -> None:
    packed = folder / name
    packed.write_bytes(pack(export_file.read_bytes()))
    done = take(packed)
    assert the_same(done, export_file)
    assert done.backup.address.startswith(f"memory-export:{folder}/")
    assert done.problems == ()


@pytest.mark.parametrize(
    ("said", "told"),
    [({}, 0), ({"memoryCount": 7}, 1), ({"checksum": "00"}, 1), ({"memoryCount": 7, "checksum": "00"}, 2)],
)
def test_memory_defragmenters_index_is_compared(
    folder: Path, export_file: Path, said: dict[str, Any], told: int
) -> None:
    packed = folder / "memory_backup.db.gz"
    packed.write_bytes(raw_deflate(export_file.read_bytes()))
    true = {"memoryCount": 6, "checksum": hashlib.sha256(packed.read_bytes()).hexdigest()}
    other = {"backupPath": "/Users/me/other.db.gz", "memoryCount": 99}
    index = [other, {"backupPath": f"/Users/me/{packed.name}", **true, **said}]
    (folder / "backups.json").write_text(json.dumps(index))
    assert len(take(packed).problems) == told


def test_memory_defragmenters_copies_of_chroma_folders(shared: Path, folder: Path) -> None:
    copy = Path(shutil.copytree(shared / "fixtures/chroma_mcp_e1", folder / "chroma_db_backup_1736000000",
                                copy_function=shutil.copyfile))  # fmt: skip
    copy.chmod(0o700)
    done = take(copy)
    assert the_same(done, copy)
    assert done.backup.records == 60


def zipped(file: Path, name: str, data: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", method) as packed:
        packed.write(data, name)
    return file


@pytest.mark.parametrize("name", ["backup_20250101_000000", "backup_20250101_000000.db", "deep/er/memory.db"])
def test_enhanced_memorys_archives_also_the_misnamed_ones(tmp_path: Path, folder: Path, name: str) -> None:
    original = make_enhanced(tmp_path / "memory.db")
    packed = zipped(folder / "backup_20250101_000000.zip", name, original)
    packed.with_suffix(".json").write_text(json.dumps({"database_info": {"memories_count": 3}}))
    done = take(packed)
    assert the_same(done, original)
    assert (done.backup.records, done.problems) == (3, ())


def test_a_count_enhanced_memory_noted_that_is_not_true_is_told(tmp_path: Path, folder: Path) -> None:
    packed = zipped(folder / "backup.zip", "backup", make_enhanced(tmp_path / "memory.db"))
    packed.with_suffix(".json").write_text(json.dumps({"database_info": {"memories_count": 5}}))
    assert take(packed).problems == ("The program that made the backup noted 5 memories; it holds 3.",)


@pytest.mark.parametrize("name", ["memory_backup_20250101_000000.db", "whatever"])
def test_memory_services_databases(folder: Path, name: str) -> None:
    original = make_service(folder / name)
    done = take(original)
    assert the_same(done, original)
    assert done.backup.records == 3


@pytest.mark.case(16)
def test_a_database_beside_its_log_is_taken_in_with_what_the_log_holds(tmp_path: Path, folder: Path) -> None:
    source = make_service(tmp_path / "sqlite_vec.db")
    with closing(sqlite3.connect(source)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("INSERT INTO memories (content_hash, content) VALUES ('late', 'Only in the log')")
        writer.commit()
        for name in ("sqlite_vec.db", "sqlite_vec.db-wal"):
            shutil.copyfile(tmp_path / name, folder / name)
    (folder / "backup_info.json").write_text("{}")
    done = take(folder)
    assert done.backup.records == 4
    assert "Only in the log" in [record.text for record in memories(done)]
    verify(done.backup, Progress(), deep=True)


def test_memory_services_json_files_keep_the_file_and_the_memories(folder: Path) -> None:
    for path in (exported(folder, EXPORTED), put_aside(folder, OLD)):
        done = take(path)
        assert the_same(done, path)
        [raw] = done.backup.raw
        assert raw.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_problems_of_what_is_taken_in_are_told(folder: Path) -> None:
    done = take(exported(folder, EXPORTED, 5, said=7))
    assert len(done.problems) == 2
    assert done.as_dict()["problems"] == list(done.problems)


@pytest.mark.parametrize("name", ["sqlite_vec_v7.db", "sqlite_vec_fresh12.db", "mcm_old.db", "md_export.db"])
def test_real_databases(shared: Path, folder: Path, name: str) -> None:
    original = Path(shutil.copyfile(shared / "fixtures" / name, folder / "backup"))
    assert the_same(take(original), original)


def test_a_store_in_a_tar_archive(folder: Path, jsonl_file: Path) -> None:
    with tarfile.open(folder / "x.tar", "w") as packed:
        packed.add(jsonl_file, jsonl_file.name)
    assert the_same(take(folder / "x.tar"), jsonl_file)


def test_what_is_taken_in_is_not_pruned_and_the_catalogue_tells_whence_it_came(folder: Path) -> None:
    made = [take(make_service(folder / f"{number}.db")).backup.id for number in range(2)]
    origins = [event["origin"] for event in catalogue.events() if event["event"] == "imported"]
    assert origins == [str(folder / "0.db"), str(folder / "1.db")]
    assert prune().kept.keys() == set(made)


def test_the_original_is_only_read(folder: Path, export_file: Path) -> None:
    (folder / "x.db.gz").write_bytes(raw_deflate(export_file.read_bytes()))
    make_service(folder / "y.db")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in list(before):
        take(folder / name)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_nothing_is_left_of_the_unpacking(folder: Path, export_file: Path) -> None:
    (folder / "x.db.gz").write_bytes(raw_deflate(export_file.read_bytes()))
    take(folder / "x.db.gz")
    assert not list((data_dir() / "backups").glob(".*"))


@pytest.mark.parametrize("cut", [20, 300, -10, -1])
def test_a_cut_deflate_stream_is_told_and_nothing_is_taken_in(folder: Path, export_file: Path, cut: int) -> None:
    (folder / "x.db.gz").write_bytes(raw_deflate(export_file.read_bytes())[:cut])
    with pytest.raises(MemdefragError):
        take(folder / "x.db.gz")
    assert not all_backups()


@pytest.mark.case(31)
def test_a_deflate_bomb_is_refused(folder: Path) -> None:
    (folder / "x.db.gz").write_bytes(raw_deflate(b"SQLite format 3\0" + bytes(64 << 20)))
    with pytest.raises(NoSpace):
        take(folder / "x.db.gz")
    assert not all_backups()
    assert not list((data_dir() / "backups").glob(".*"))


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_a_stream_of_any_length_is_unpacked_to_its_end(folder: Path, export_file: Path, size: int) -> None:
    """The rest of a file that a SQLite database does not use is not looked at, but must not stop the unpacking."""
    with closing(sqlite3.connect(export_file)) as database:
        database.execute("CREATE TABLE filler (data)")
        database.execute("INSERT INTO filler VALUES (zeroblob(?))", (size,))
        database.commit()
    (folder / "x").write_bytes(raw_deflate(export_file.read_bytes()))
    done = take(folder / "x")
    assert the_same(done, export_file)


def test_a_whole_stream_whose_end_zlib_holds_back_is_not_called_cut(folder: Path) -> None:
    """All of the input may be used up at the end of a block while a long match is still to be written."""
    (folder / "x").write_bytes(raw_deflate(b"SQLite format 3\0" + bytes((1 << 20) + 150 - 16)))
    with pytest.raises(MemdefragError) as told:
        take(folder / "x")
    assert "its end is missing" not in told.value.message


@pytest.mark.case(31)
@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_a_foreign_archive_that_leads_elsewhere_is_refused(tmp_path: Path, folder: Path, name: str) -> None:
    packed = zipped(folder / "x.zip", "backup", make_enhanced(tmp_path / "memory.db"))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(name, "x")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(BackupDamaged):
        take(packed)
    assert [path for path in set(tmp_path.rglob("*")) - before if path.is_file()] == []


def test_two_stores_at_once_are_too_many(tmp_path: Path, folder: Path) -> None:
    packed = zipped(folder / "x.zip", "one", make_enhanced(tmp_path / "memory.db"))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.write(make_service(tmp_path / "service.db"), "other")
    with pytest.raises(NotAStore, match="holds 2 memory stores"):
        take(packed)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x1f\x8b", b"PK\x03\x04", b"SQLite format 3\0", b"{}", b"\x00" * 600]
)
def test_anything_else_is_told_as_such(folder: Path, data: bytes) -> None:
    (folder / "x.db.gz").write_bytes(data)
    with pytest.raises(MemdefragError):
        take(folder / "x.db.gz")
    assert not all_backups()


def test_what_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(NotAStore, match="nothing at"):
        take(folder / "nope")


def memories(done: TakenIn) -> tuple[MemoryRecord, ...]:
    with open_store(f"backup:{done.backup.folder}") as store:
        return read_snapshot(store).records


@pytest.mark.parametrize("make", [make_service, make_enhanced])
def test_a_store_whose_memories_can_only_be_read_gets_its_files_back(tmp_path: Path, make: Any) -> None:
    original = make(tmp_path / "theirs.db")
    before = content(str(original))
    done = take(original)
    with closing(sqlite3.connect(original)) as connection:
        connection.execute("DELETE FROM memories WHERE id > 1")
        connection.commit()
    apply(Plan(source=f"backup:{done.backup.id}", target=done.backup.address, store_steps=(StoreStep.REPLACE,)),
          ApplyOptions(confirm_shrink=True))  # fmt: skip
    assert content(str(original)) == before
