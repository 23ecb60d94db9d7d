"""Trial restores and the monthly drill."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from memdefrag.base.errors import BackupDamaged
from memdefrag.base.progress import Progress
from memdefrag.engine import catalogue
from memdefrag.engine.backups.drill import INTERVAL_SECONDS, drill, drill_due
from memdefrag.engine.backups.shelf import Backup
from memdefrag.engine.backups.verify import QUERIES, last_verified, verify
from memdefrag.model.address import Address, parse
from memdefrag.model.records import MemoryRecord
from tests.conftest import fill
from tests.engine.backups.made import as_of_a_server, back_up, backup_of, sign

NEVER_DRILLED = "Stores of this kind have no search of their own to ask."


def spoil(backup: Backup) -> None:
    path = backup.folder / "vectors.f32.zst"
    path.write_bytes(path.read_bytes()[:-1])


def test_a_trial_restore_opens_the_store_and_asks_its_search(tmp_path: Path, records: list[MemoryRecord]) -> None:
    backup = back_up(str(fill(Address("chroma", str(tmp_path / "chroma")), records)))
    assert verify(backup, Progress()) is None
    restored = verify(backup, Progress(), deep=True)
    assert restored is not None
    assert (restored.records, restored.asked, restored.lost, restored.note) == (6, min(QUERIES, 6), 0, "")


def test_a_store_without_a_search_of_its_own_is_not_said_to_have_answered(tmp_path: Path) -> None:
    restored = verify(backup_of("jsonl", tmp_path / "store"), Progress(), deep=True)
    assert restored is not None
    assert (restored.records, restored.asked, restored.note) == (20, 0, NEVER_DRILLED)


def test_a_backup_of_a_server_has_nothing_to_try(tmp_path: Path) -> None:
    restored = verify(as_of_a_server(backup_of("jsonl", tmp_path / "store")), Progress(), deep=True)
    assert restored is not None and restored.note


def test_a_store_that_no_longer_opens_is_damage(tmp_path: Path) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    other = backup_of("memory-export", tmp_path / "other")
    source = {**backup.manifest["source"], "address": other.address}
    with pytest.raises(BackupDamaged, match="does not open"):
        verify(sign(backup, source=source), Progress(), deep=True)


def test_a_drill_tries_the_newest_backup_of_each_store(tmp_path: Path) -> None:
    old, other = backup_of("jsonl", tmp_path / "a"), backup_of("memory-export", tmp_path / "b")
    new = back_up(parse(old.address))
    done = {each.id: each for each in drill(Progress())}
    assert done.keys() == {new.id, other.id}
    assert all(each.restored and each.restored.records == 20 and not each.damage for each in done.values())
    [one] = drill(Progress(), old)
    assert one.id == old.id


def test_a_drill_reports_damage_and_goes_on(tmp_path: Path) -> None:
    spoil(backup_of("jsonl", tmp_path / "a"))
    backup_of("memory-export", tmp_path / "b")
    assert sorted(bool(each.damage) for each in drill(Progress())) == [False, True]


def test_a_drill_is_due_a_month_after_the_last_one(tmp_path: Path) -> None:
    month, now = INTERVAL_SECONDS, time.time()
    assert not drill_due(now + 2 * month)
    backup = backup_of("jsonl", tmp_path / "store")
    assert not drill_due(now + month / 2)
    assert drill_due(now + 2 * month)
    verify(backup, Progress())
    assert drill_due(now + 2 * month)
    spoil(backup)
    drill(Progress())
    assert drill_due(now + 2 * month)
    verify(back_up(parse(backup.address)), Progress(), deep=True)
    assert not drill_due(time.time() + month / 2)
    assert drill_due(time.time() + 2 * month)


def test_the_last_verification_is_known(tmp_path: Path) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    verify(backup, Progress())
    times = [event["time"] for event in catalogue.events() if event["event"] == "verified"]
    assert len(times) == 2
    assert last_verified(backup) == times[-1]
    spoil(backup)
    with pytest.raises(BackupDamaged):
        verify(backup, Progress())
    assert last_verified(backup) is None
