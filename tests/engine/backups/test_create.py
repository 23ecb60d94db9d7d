"""Backups on disk: what is not as it was written is told, whatever is wrong with it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from memdefrag.base import fsops
from memdefrag.base.errors import BackupDamaged, BackupNotFound, Cancelled, StoreChanged, WriteError
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.engine import catalogue
from memdefrag.engine.apply import apply
from memdefrag.engine.backups.beside import restore_to
from memdefrag.engine.backups.create import create
from memdefrag.engine.backups.shelf import Backup, all_backups, damaged_backups, find, folder_of
from memdefrag.engine.steady import State, steadily
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import content_hash
from memdefrag.model.plan import Plan, StoreStep
from memdefrag.model.records import MemoryRecord
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store
from tests.conftest import fill
from tests.engine.backups.made import back_up, backup_of
from tests.engine.stores import fill_store, make_store, merge_plan, snapshot_of
from tests.stores.hdev.server import serving

NUMBERS = {"size": 1, "zsize": 1, "mode": 0o600}
MANIFESTS: list[Any] = [
    [],
    {},
    {"files": None},
    {"files": [{}]},
    {"files": [{"path": "../../outside", **NUMBERS}]},
    {"files": [{"path": "/outside", **NUMBERS}]},
    {"files": [{"path": "inside", **NUMBERS, "mode": "rw"}]},
    {"source": {}},
    {"records": None},
]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=str)
def test_a_forged_manifest_is_refused(tmp_path: Path, manifest: Any) -> None:
    address = make_store("jsonl", tmp_path)
    report = apply(merge_plan(address))
    file = Path(str(report.backup_folder)) / "manifest.json"
    if isinstance(manifest, dict) and manifest:
        manifest = {**json.loads(file.read_bytes()), **manifest}
    file.write_text(json.dumps(manifest))
    file.with_name("manifest.sha256").write_text(hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(BackupDamaged):
        apply(Plan(source=f"backup:{report.backup}", target=str(address), store_steps=(StoreStep.REPLACE,)))
    assert report.backup not in [found.id for found in all_backups()]
    assert len(snapshot_of(address)) == 17


def test_two_backups_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    made: list[Backup] = []

    def another(tick: Tick) -> None:
        if tick.phase == "Backing up" and tick.done and not made:
            made.append(made_now(address, Progress()))

    def made_now(of: Address, progress: Progress) -> Backup:
        with open_store(of) as store:
            return create(store, read_snapshot(store), "by hand", progress)

    made.append(made_now(address, Progress(another)))
    assert len({each.id for each in made}) == len(all_backups(address)) == 2


def test_a_stopped_backup_leaves_nothing_and_an_old_half_one_goes(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    cancel = Cancel()
    shelf = Path(str(apply(merge_plan(address)).backup_folder)).parent
    (shelf / "old.partial").mkdir()
    os.utime(shelf / "old.partial", (1.0, 1.0))

    def stop(tick: Tick) -> None:
        if tick.phase == "Backing up":
            cancel.set()

    with open_store(address) as store, pytest.raises(Cancelled):
        create(store, read_snapshot(store), "by hand", Progress(stop, cancel))
    assert list(shelf.glob("*.partial")) == []


def test_a_manifest_says_how_the_backup_was_made(tmp_path: Path) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    manifest = backup.manifest
    assert (manifest["format_version"], manifest["reason"], manifest["job"]) == (2, "by hand", None)
    assert manifest["counts"] == {
        "records": 20,
        "with_embedding": 20,
        "null_text": 0,
        "relations": 0,
        "per_collection": {"memories": 20},
    }
    assert manifest["layers"] == {"raw": "complete", "neutral": "complete"}
    assert manifest["consistent"] == "closed"
    assert manifest["in_use"] == []
    assert manifest["content"] == content_hash(snapshot_of(parse(backup.address)))
    [described] = manifest["source"]["collections"]
    assert (described["dimension"], described["metric"]) == (8, "cosine")
    assert all(manifest[name] for name in ("host", "tool", "python", "sqlite", "created"))
    assert "chromadb" not in manifest


def test_a_backup_of_chroma_names_its_library(tmp_path: Path, records: list[MemoryRecord]) -> None:
    path = fill(Address("chroma", str(tmp_path / "chroma")), records)
    backup = back_up(str(path))
    assert backup.manifest["chromadb"] == version("chromadb")
    assert {entry["path"] for entry in backup.files} >= {"chroma.sqlite3"}


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    modes = {path.stat().st_mode & 0o777 for path in backup.folder.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert backup.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_sha256sum_checks_the_list(tmp_path: Path) -> None:
    backup = backup_of("memory-export", tmp_path / "store")
    command = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    assert subprocess.run(command, cwd=backup.folder, capture_output=True, check=False).returncode == 0
    listed = {line.split("  ")[1] for line in (backup.folder / "SHA256SUMS").read_text().splitlines()}
    present = {p.relative_to(backup.folder).as_posix() for p in backup.folder.rglob("*") if p.is_file()}
    assert listed == present - {"SHA256SUMS"}


@pytest.mark.case(16)
def test_what_the_log_of_a_database_holds_is_backed_up(tmp_path: Path) -> None:
    address = make_store("memory-export", tmp_path)
    with closing(sqlite3.connect(address.path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("DELETE FROM memories WHERE id = 'id000'")
        writer.commit()
        main_alone = tmp_path / "alone.db"
        main_alone.write_bytes(address.path.read_bytes())
        backup = back_up(address)
        assert backup.records == 19
        assert backup.manifest["consistent"] == "sqlite-backup-api"
    restore_to(backup, tmp_path / "out.db", Progress())
    assert len(snapshot_of(address.at(tmp_path / "out.db"))) == 19
    assert len(snapshot_of(address.at(main_alone))) == 20


def test_one_selected_collection_still_means_the_whole_store(tmp_path: Path, jsonl_file: Path) -> None:
    with jsonl_file.open("a") as file:
        file.write('{"id": "x", "text": "elsewhere", "collection": "other"}\n')
    with open_store(f"{jsonl_file}#other") as store:
        backup = create(store, read_snapshot(store), "by hand", Progress())
    assert backup.manifest["collections"] == {"memories": 6, "other": 1}
    assert backup.records == 7


@pytest.mark.parametrize("given", [True, False], ids=["read before", "read by it"])
def test_a_store_that_is_written_meanwhile_is_not_backed_up(tmp_path: Path, given: bool) -> None:
    address = make_store("jsonl", tmp_path)

    def write(tick: Tick) -> None:
        if tick.phase == "Backing up":
            with address.path.open("a") as file:
                file.write('{"text": "meanwhile"}\n')

    with open_store(address) as store, pytest.raises(StoreChanged):
        create(store, read_snapshot(store) if given else None, "by hand", Progress(write))
    assert all_backups() == []
    assert list(folder_of(address).iterdir()) == []


def test_a_backup_of_something_else_than_was_read_is_refused(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    with open_store(address) as store:
        before = read_snapshot(store)
        address.path.write_bytes(address.path.read_bytes().replace(b"garden", b"kitchen"))
        with pytest.raises(StoreChanged):
            create(store, before, "by hand", Progress())
    assert all_backups() == []


@pytest.mark.case(14)
def test_a_backup_that_does_not_read_back_is_set_aside(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)

    def spoil(tick: Tick) -> None:
        """The disk keeps something else than was written, found when it is read back."""
        if tick.phase == "Checking the backup":
            for path in folder_of(address).glob("*/vectors.f32.zst"):
                path.write_bytes(path.read_bytes()[:-1] + b"?")

    with pytest.raises(BackupDamaged), open_store(address) as store:
        create(store, None, "by hand", Progress(spoil))
    assert all_backups() == []
    [damaged] = damaged_backups()
    assert damaged.folder.name.endswith(".damaged")
    assert "vectors" in damaged.reason
    with pytest.raises(BackupNotFound):
        find(damaged.id)
    assert "backup" not in [event["event"] for event in catalogue.events()]


def test_stopping_while_it_is_read_back_leaves_nothing(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    cancel = Cancel()

    def stop(tick: Tick) -> None:
        if tick.phase == "Verifying the backup":
            cancel.set()

    with open_store(address) as store, pytest.raises(Cancelled):
        create(store, None, "by hand", Progress(stop, cancel))
    assert list(folder_of(address).iterdir()) == []


def test_everything_is_on_the_disk_before_it_is_called_a_backup(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    points = tmp_path / "points"
    code = (
        "import sys\n"
        "from memdefrag.base.progress import Progress\n"
        "from memdefrag.engine.backups.create import create\n"
        "from memdefrag.stores.registry import open_store\n"
        "with open_store(sys.argv[1]) as store: create(store, None, 'by hand', Progress())"
    )
    environment = os.environ | {"MEMDEFRAG_FAULT": f"list:{points}"}
    subprocess.run([sys.executable, "-c", code, str(address.path)], env=environment, check=True)
    passed = points.read_text().splitlines()

    def first(start: str) -> int:
        return next(number for number, point in enumerate(passed) if point.startswith(start))

    renamed = next(n for n, point in enumerate(passed) if point.startswith("rename 2") and ".partial -> " in point)
    order = [first("compress store.jsonl"), first("fsync store.jsonl.zst"), first("fsync folder files")]
    order += [first("fsync records.jsonl.zst"), first("write manifest.json"), first("rename .manifest.sha256"), renamed]
    assert order == sorted(order)
    assert passed[renamed + 1] == f"fsync folder {folder_of(address).name}"
    assert passed[renamed - 1].startswith("fsync folder ")


@pytest.mark.case(6)
@pytest.mark.parametrize("kind", ["enospc", "eio"])
def test_a_disk_that_fails_at_any_step_leaves_no_backup_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    address = make_store("jsonl", tmp_path)
    failed = 0
    while True:
        monkeypatch.setattr(fsops, "_points_passed", 0)
        monkeypatch.setenv("MEMDEFRAG_FAULT", f"{kind}:{failed + 1}")
        try:
            made = back_up(address)
            break
        except WriteError:
            failed += 1
        assert all_backups() == damaged_backups() == []
        assert not folder_of(address).exists() or list(folder_of(address).iterdir()) == []
    assert failed > 20
    assert [each.id for each in all_backups()] == [made.id]


def test_a_server_is_backed_up_by_its_memories_alone(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with serving(tmp_path / "root") as server:
        live = fill_store(parse(server.address))
        before = snapshot_of(live)

        def work(store: Store, state: State) -> Backup:
            assert not state.was_copied
            return create(store, None, "by hand", Progress(), state=state, job="a job")

        backup = steadily(live, Progress(), work)
    assert (backup.files, backup.records) == ([], len(before))
    assert backup.manifest["consistent"] == "api-export"
    assert backup.manifest["layers"] == {"raw": "none", "neutral": "complete"}
    assert backup.manifest["job"] == "a job"
    assert content_hash(snapshot_of(parse(f"backup:{backup.id}"))) == content_hash(before)
    made = restore_to(backup, tmp_path / "out.jsonl", Progress())
    assert made.records == len(before)


def test_ids_of_the_same_moment_differ(tmp_path: Path) -> None:
    made = [backup_of("jsonl", tmp_path / name).id for name in ("a", "b")]
    assert len({*made, *(catalogue.new_id() for _ in range(200))}) == 202
