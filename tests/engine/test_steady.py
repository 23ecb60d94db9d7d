"""A store in use is read and backed up as it was at one moment, and its users notice nothing."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from memdefrag.base.errors import StoreChanged, StoreInUse
from memdefrag.base.progress import Progress, Tick
from memdefrag.engine import steady as module
from memdefrag.engine.backups.create import create
from memdefrag.engine.backups.shelf import Backup
from memdefrag.engine.backups.verify import verify
from memdefrag.engine.exchange import export_store
from memdefrag.engine.inspect import inspect
from memdefrag.engine.steady import State, read_steadily, steadily, steady
from memdefrag.model.address import Address
from memdefrag.model.records import MemoryRecord, Snapshot
from memdefrag.stores import sqlite_safe
from memdefrag.stores.base import Store
from memdefrag.stores.registry import open_store
from tests.conftest import fill
from tests.engine.busy import busy
from tests.engine.stores import make_store
from tests.stores.contract import tree


def back_up(address: Address) -> Backup:
    def work(store: Store, state: State) -> Backup:
        return create(store, None, "by hand", Progress(), state=state)

    return steadily(address, Progress(), work)


def is_of_one_moment(found: Snapshot, at_once: int) -> bool:
    """What is added in one go is there in full, and nothing between is missing."""
    new = sorted(record.key.id for record in found if record.key.id.startswith("new-"))
    return bool(new) and len(new) % at_once == 0 and new == [f"new-{number:06}" for number in range(len(new))]


def test_what_nobody_holds_is_read_itself(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    with steady(address, Progress()) as (store, state):
        assert (store.address, state.address, state.was_copied, state.holders) == (address, address, False, ())


@pytest.mark.case(17)
def test_an_idle_holder_is_named_and_a_copy_is_read(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    with busy("idle", address.path) as process:
        with steady(address, Progress()) as (store, state):
            assert store.address.path != address.path
            assert store.address.path.read_bytes() == address.path.read_bytes()
            copy = store.address.path
        assert not copy.exists()
        assert state.was_copied
        assert [holder.pid for holder in state.holders] == [process.pid]
        assert f"(process {process.pid})" in str(state)
        assert time.strftime("%H:%M", time.localtime(state.moment)) in str(state)
        found, _ = read_steadily(address, Progress())
        assert found.address == str(address)
        summary = steadily(address, Progress(), inspect)
        assert summary.address == str(address)
        assert [holder.pid for holder in summary.in_use] == [process.pid]


@pytest.mark.case(17)
def test_a_database_with_a_busy_log_is_backed_up(tmp_path: Path) -> None:
    address = make_store("memory-export", tmp_path)
    with busy("wal", address.path):
        names = {path.name for path in tmp_path.iterdir()}
        for _ in range(3):
            found, state = read_steadily(address, Progress())
            assert state.was_copied
            assert is_of_one_moment(found, 2)
        backup = back_up(address)
        assert {path.name for path in tmp_path.iterdir()} - {"memdefrag-data"} == names - {"memdefrag-data"}
    verify(backup, Progress(), deep=True)
    assert backup.manifest["consistent"] == "sqlite-backup-api"
    assert backup.address == str(address)
    assert backup.records >= len(found)
    assert [user["name"] for user in backup.manifest["in_use"]]
    with open_store(f"backup:{backup.id}") as store:
        held = [record.key.id for [record] in store.scan("memories", batch=1)]
    assert len(held) == backup.records
    with closing(sqlite3.connect(address.path)) as after:
        assert after.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.case(17)
def test_a_lock_that_is_never_given_back_ends_in_an_error_not_in_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = make_store("memory-export", tmp_path)
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.5)
    with busy("lock", address.path) as process, pytest.raises(StoreInUse) as told:
        read_steadily(address, Progress())
    assert str(process.pid) in told.value.message


def test_a_log_that_a_crash_left_is_read_without_a_trace(tmp_path: Path) -> None:
    address = make_store("memory-export", tmp_path)
    with busy("wal", address.path):
        pass
    before = tree(tmp_path)
    copy = tmp_path.parent / f"{tmp_path.name}-copy.db"
    sqlite_safe.copy_by_backup(address.path, copy, live=True)
    assert tree(tmp_path).keys() == before.keys()
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM memories WHERE id LIKE 'new-%'").fetchone()[0] >= 20


def test_a_change_while_reading_leads_to_a_copy(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    tried: list[State] = []

    def work(store: Store, state: State) -> int:
        tried.append(state)
        if len(tried) == 1:
            raise StoreChanged("Somebody wrote.")
        return sum(info.count for info in store.collections())

    assert steadily(address, Progress(), work) == 20
    assert [state.was_copied for state in tried] == [False, True]


def test_a_file_that_changes_while_it_is_copied_is_copied_again(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    times = 0

    def change(tick: Tick) -> None:
        nonlocal times
        times += 1

    original = module.shutil.copyfile

    def copy_and_change(source: Path, target: Path) -> object:
        made = original(source, target)
        if times < 3:
            with address.path.open("a") as file:
                file.write('{"text": "meanwhile"}\n')
        return made

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module.shutil, "copyfile", copy_and_change)
        patched.setattr(module, "PAUSE_SECONDS", 0.0)
        with steady(address, Progress(change), copy=True) as (store, state):
            assert state.was_copied
            assert store.address.path.read_bytes() == address.path.read_bytes()
    assert times == 3


def test_what_never_rests_is_told_with_its_users(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    original = module.shutil.copyfile

    def copy_and_change(source: Path, target: Path) -> object:
        made = original(source, target)
        with address.path.open("a") as file:
            file.write('{"text": "meanwhile"}\n')
        return made

    with pytest.MonkeyPatch.context() as patched, busy("idle", address.path) as process:
        patched.setattr(module.shutil, "copyfile", copy_and_change)
        patched.setattr(module, "PAUSE_SECONDS", 0.0)
        with pytest.raises(StoreInUse, match=f"process {process.pid}"), steady(address, Progress()):
            pass


@pytest.mark.case(17)
def test_a_chroma_folder_that_is_being_written_is_read_and_backed_up(
    tmp_path: Path, records: list[MemoryRecord]
) -> None:
    address = Address("chroma", str(fill(Address("chroma", str(tmp_path / "chroma")), records)))
    with busy("chroma", address.path):
        seen = []
        for _ in range(3):
            found, state = read_steadily(address, Progress())
            assert state.was_copied
            assert is_of_one_moment(found, 50)
            assert all(record.embedding is not None for record in found)
            seen.append(len(found))
        backup = back_up(address)
        report = export_store(str(address), Address("jsonl", str(tmp_path / "out.jsonl")))
    assert sorted(seen) == seen
    assert backup.records >= seen[-1]
    assert backup.manifest["consistent"] == "unlocked-copy"
    assert backup.manifest["layers"] == {"raw": "complete", "neutral": "complete"}
    restored = verify(backup, Progress(), deep=True)
    assert restored is not None and (restored.records, restored.lost) == (backup.records, 0)
    assert report.records_after >= backup.records
    assert any("state of" in warning for warning in report.warnings)
