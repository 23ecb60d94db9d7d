"""One flipped bit anywhere in a backup is found, and nothing is restored from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memdefrag.base.errors import BackupDamaged
from memdefrag.base.progress import Progress
from memdefrag.engine import catalogue
from memdefrag.engine.apply import apply
from memdefrag.engine.backups.beside import restore_to
from memdefrag.engine.backups.files import extract
from memdefrag.engine.backups.shelf import Backup, all_backups, damaged_backups, load
from memdefrag.engine.backups.verify import last_verified, verify
from memdefrag.model.plan import Plan, StoreStep
from tests.engine.backups.made import as_version_1, backup_of, sign

REGIONS = 24


def flips(path: Path) -> Iterator[int]:
    """Flip one bit after the other, from the first byte to the last, each time in the sound file."""
    sound = path.read_bytes()
    for region in range(REGIONS):
        place = region * (len(sound) - 1) // (REGIONS - 1)
        data = bytearray(sound)
        data[place] ^= 1 << region % 8
        path.write_bytes(data)
        yield place
    path.write_bytes(sound)


def files(backup: Backup) -> list[Path]:
    return sorted(path for path in backup.folder.rglob("*") if path.is_file())


@pytest.mark.case(14)
@pytest.mark.case(32)
@pytest.mark.parametrize("kind", ["jsonl", "memory-export"])
def test_every_flipped_bit_is_found_and_nothing_is_restored(tmp_path: Path, kind: str) -> None:
    backup = backup_of(kind, tmp_path / "store")
    assert len(files(backup)) == 7
    for file in files(backup):
        for place in flips(file):
            where = f"{file.name} at {place}"
            with pytest.raises(BackupDamaged):
                verify(load(backup.folder), Progress())
                pytest.fail(where)
            with pytest.raises(BackupDamaged):
                extract(load(backup.folder), tmp_path / "out", Progress())
                pytest.fail(where)
            assert not (tmp_path / "out").exists(), where
        verify(load(backup.folder), Progress(), deep=True)


@pytest.mark.case(14)
def test_every_flipped_bit_of_an_old_backup_is_found(tmp_path: Path) -> None:
    backup = as_version_1(backup_of("jsonl", tmp_path / "store"))
    assert len(files(backup)) == 3
    for file in files(backup):
        for place in flips(file):
            with pytest.raises(BackupDamaged):
                verify(load(backup.folder), Progress())
                pytest.fail(f"{file.name} at {place}")
        verify(load(backup.folder), Progress(), deep=True)


@pytest.mark.case(14)
@pytest.mark.parametrize("name", ["manifest.json", "SHA256SUMS", "RESTORE.txt", "records.jsonl.zst", "vectors.f32.zst"])
def test_a_store_is_not_replaced_from_a_damaged_backup(tmp_path: Path, name: str) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    store = tmp_path / "store/store.jsonl"
    before = store.read_bytes()
    path = backup.folder / name
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    plan = Plan(source=f"backup:{backup.id}", target=backup.address, store_steps=(StoreStep.REPLACE,))
    with pytest.raises(BackupDamaged):
        apply(plan)
    with pytest.raises(BackupDamaged):
        restore_to(load(backup.folder), tmp_path / "out", Progress())
    assert not (tmp_path / "out").exists()
    assert store.read_bytes() == before


@pytest.mark.case(32)
@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256", "SHA256SUMS", "RESTORE.txt", "vectors.f32.zst"])
def test_a_missing_file_is_damage(tmp_path: Path, name: str) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    (backup.folder / name).unlink()
    with pytest.raises(BackupDamaged):
        verify(backup, Progress())


@pytest.mark.case(32)
def test_other_memories_under_true_sums_are_found(tmp_path: Path) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    for changed in ({"records": 19}, {"content": "0" * 64}):
        with pytest.raises(BackupDamaged):
            verify(sign(backup, **changed), Progress())


def test_damage_is_listed_until_the_backup_is_whole_again(tmp_path: Path) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    assert (damaged_backups(), last_verified(backup) is None) == ([], False)
    path = backup.folder / "vectors.f32.zst"
    sound = path.read_bytes()
    path.write_bytes(sound[:-1])
    with pytest.raises(BackupDamaged):
        verify(backup, Progress())
    [damaged] = damaged_backups()
    assert (damaged.id, damaged.folder, "vectors" in damaged.reason) == (backup.id, backup.folder, True)
    assert last_verified(backup) is None
    path.write_bytes(sound)
    verify(backup, Progress())
    assert damaged_backups() == []
    assert [each.id for each in all_backups()] == [backup.id]


def test_a_backup_without_a_manifest_is_listed_as_damaged(tmp_path: Path) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    (backup.folder / "manifest.json").unlink()
    assert [each.id for each in damaged_backups()] == [backup.id]
    assert all_backups() == []
    assert [event["event"] for event in catalogue.events()] == ["verified", "backup"]
