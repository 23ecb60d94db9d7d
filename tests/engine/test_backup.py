"""Backups on disk: what is not as it was written is told, whatever is wrong with it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from memdefrag.base.errors import BackupDamaged
from memdefrag.engine import backup
from memdefrag.engine.apply import apply
from memdefrag.model.plan import Plan, StoreStep
from tests.engine.stores import make_store, merge_plan, snapshot_of

MANIFESTS: list[Any] = [
    [],
    {},
    {"files": None},
    {"files": [{}]},
    {"files": [{"path": "../../outside"}]},
    {"files": [{"path": "/outside"}]},
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
    assert report.backup not in [found.id for found in backup.all_backups()]
    assert len(snapshot_of(address)) == 17
