"""Backups on disk: what is not as it was written is told, whatever is wrong with it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from memdefrag.base.errors import BackupDamaged, Cancelled
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.engine.apply import apply
from memdefrag.engine.backups.create import create
from memdefrag.engine.backups.shelf import Backup, all_backups
from memdefrag.model.address import Address
from memdefrag.model.plan import Plan, StoreStep
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.engine.stores import make_store, merge_plan, snapshot_of

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
