"""A backup goes into one file and comes out of it as it was; nothing else comes onto the shelf."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from memdefrag.base.errors import BackupDamaged, Cancelled, MemdefragError, UsageError
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue
from memdefrag.engine.backups.archive import export
from memdefrag.engine.backups.create import create
from memdefrag.engine.backups.foreign import take_in
from memdefrag.engine.backups.shelf import Backup, all_backups
from memdefrag.engine.backups.verify import verify
from memdefrag.model.address import Address
from memdefrag.stores.backup_folder import MANIFEST, MANIFEST_SUM, RESTORE, SUMS, sums
from memdefrag.stores.registry import open_store
from tests.engine.stores import make_store

SUFFIXES = [".tar.zst", ".zip"]
Another = Callable[[], None]


def back_up(address: Address) -> Backup:
    with open_store(address) as store:
        return create(store, None, "by hand", Progress())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    return back_up(make_store("memory-export", tmp_path))


@pytest.fixture
def another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Another:
    """From then on the data folder is another, empty one."""
    return lambda: monkeypatch.setenv("MEMDEFRAG_DATA_DIR", str(tmp_path / "another"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_exported_backup_comes_back_as_it_was(
    tmp_path: Path, backup: Backup, another_machine: Another, suffix: str
) -> None:
    written = export(backup, tmp_path / f"taken along{suffix}", Progress())
    before = contents(backup.folder)
    another_machine()
    done = take_in(written, Progress())
    assert contents(done.backup.folder) == before
    assert (done.backup.id, done.backup.address, done.problems) == (backup.id, backup.address, ())
    assert done.backup.folder.is_relative_to(data_dir())
    verify(done.backup, Progress(), deep=True)
    assert [each.id for each in all_backups()] == [backup.id]


def test_the_catalogue_tells_that_and_whence_a_backup_was_taken_in(
    tmp_path: Path, backup: Backup, another_machine: Another
) -> None:
    written = export(backup, tmp_path / "x.zip", Progress())
    another_machine()
    take_in(written, Progress())
    [event] = [event for event in catalogue.events() if event["event"] == "imported"]
    assert (event["id"], event["origin"]) == (backup.id, str(written))


def test_the_folder_of_a_backup_is_taken_in_and_stays_where_it_is(backup: Backup, another_machine: Another) -> None:
    before = contents(backup.folder)
    another_machine()
    assert contents(take_in(backup.folder, Progress()).backup.folder) == before
    assert contents(backup.folder) == before


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_file_holds_the_guide_and_is_for_its_owner_only(tmp_path: Path, backup: Backup, suffix: str) -> None:
    written = export(backup, tmp_path / f"x{suffix}", Progress())
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert f"{backup.id}/{RESTORE}" in members(written)


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path, backup: Backup) -> None:
    (tmp_path / "x.zip").write_text("mine")
    with pytest.raises(UsageError):
        export(backup, tmp_path / "x.zip", Progress())
    assert (tmp_path / "x.zip").read_text() == "mine"


@pytest.mark.parametrize("name", ["x.tar", "x", "x.zst", "nowhere/x.zip"])
def test_a_name_that_tells_nothing_is_refused(tmp_path: Path, backup: Backup, name: str) -> None:
    with pytest.raises(UsageError):
        export(backup, tmp_path / name, Progress())


def test_a_damaged_backup_is_not_given_away(tmp_path: Path, backup: Backup) -> None:
    file = next((backup.folder / "files").iterdir())
    file.write_bytes(flipped(file.read_bytes()))
    with pytest.raises(BackupDamaged):
        export(backup, tmp_path / "x.zip", Progress())
    assert not list(tmp_path.glob("*x.zip*"))


@pytest.mark.parametrize("phase", ["Exporting", "Reading the file back"])
def test_a_stopped_export_leaves_nothing(tmp_path: Path, backup: Backup, phase: str) -> None:
    cancel = Cancel()

    def stop(tick: Tick) -> None:
        if tick.phase == phase:
            cancel.set()

    with pytest.raises(Cancelled):
        export(backup, tmp_path / "x.tar.zst", Progress(stop, cancel))
    assert not list(tmp_path.glob("*x.tar.zst*"))
    assert not list((data_dir() / "backups").glob(".*"))


@pytest.mark.case(6, 8)
@pytest.mark.parametrize("fault", ["enospc", "eio"])
def test_an_export_that_the_disk_fails_leaves_nothing(
    tmp_path: Path, backup: Backup, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    from memdefrag.base import fsops

    listing = tmp_path / "points"
    monkeypatch.setenv("MEMDEFRAG_FAULT", f"list:{listing}")
    export(backup, tmp_path / "first.zip", Progress())
    points = len(listing.read_text().splitlines())
    assert points > 3
    for number in range(1, points + 1):
        monkeypatch.setattr(fsops, "_points_passed", 0)
        monkeypatch.setenv("MEMDEFRAG_FAULT", f"{fault}:{number}")
        with pytest.raises((OSError, MemdefragError)):
            export(backup, tmp_path / f"{number}.zip", Progress())
        monkeypatch.delenv("MEMDEFRAG_FAULT")
        left = tmp_path / f"{number}.zip"
        # Only the last fsync, of the folder, comes after the rename: then the file is whole.
        assert not left.exists() or members(left) == members(tmp_path / "first.zip")
        assert not list(tmp_path.glob(f".{number}.zip*"))


@pytest.mark.case(6, 8)
@pytest.mark.parametrize("fault", ["enospc", "eio"])
def test_an_import_that_the_disk_fails_can_be_repeated(
    tmp_path: Path, backup: Backup, another_machine: Another, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    from memdefrag.base import fsops

    written = export(backup, tmp_path / "x.zip", Progress())
    before = contents(backup.folder)
    another_machine()
    listing = tmp_path / "points"
    monkeypatch.setenv("MEMDEFRAG_FAULT", f"list:{listing}")
    take_in(written, Progress())
    points = len(listing.read_text().splitlines())
    assert points > 10
    for number in range(1, points + 1):
        clear()
        monkeypatch.setattr(fsops, "_points_passed", 0)
        monkeypatch.setenv("MEMDEFRAG_FAULT", f"{fault}:{number}")
        with pytest.raises((OSError, MemdefragError)):
            take_in(written, Progress())
        monkeypatch.delenv("MEMDEFRAG_FAULT")
        there = all_backups()
        assert [contents(each.folder) for each in there] in ([], [before])
        # What stands on the shelf is known as taken in, and so not pruned; what does not comes with the next try.
        if there:
            assert backup.id in {event["id"] for event in catalogue.events() if event["event"] == "imported"}
        else:
            take_in(written, Progress())


@pytest.mark.case(38)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_key_gets_into_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another_machine: Another, suffix: str
) -> None:
    monkeypatch.setenv("MEMDEFRAG_API_KEY", "CANARY")
    address = make_store("jsonl", tmp_path)
    written = export(back_up(address), tmp_path / f"x{suffix}", Progress())
    another_machine()
    found = take_in(written, Progress()).backup
    plain = [path.read_bytes() for path in found.folder.iterdir() if path.suffix in (".json", ".txt", "")
             and path.is_file()]  # fmt: skip
    with zstandard.open(found.folder / "records.jsonl.zst", "rb") as records:
        plain.append(records.read())
    assert len(plain) > 3
    assert not any(b"CANARY" in data for data in plain)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.case(14)
def test_a_flipped_byte_of_an_export_is_found(
    tmp_path: Path, backup: Backup, another_machine: Another, suffix: str
) -> None:
    written = export(backup, tmp_path / f"x{suffix}", Progress())
    before = contents(backup.folder)
    another_machine()
    data = written.read_bytes()
    for at in range(0, len(data), max(1, len(data) // 30)):
        written.write_bytes(data[:at] + flipped(data[at : at + 1]) + data[at + 1 :])
        try:
            found = take_in(written, Progress()).backup
        except MemdefragError:
            assert not all_backups()
        else:
            # Some bytes of an archive say nothing of its content: dates, modes, the archive's own padding.
            assert contents(found.folder) == before
            clear()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cut_export_is_refused(tmp_path: Path, backup: Backup, another_machine: Another, suffix: str) -> None:
    written = export(backup, tmp_path / f"x{suffix}", Progress())
    another_machine()
    data = written.read_bytes()
    for keep in (0, 1, 100, len(data) // 2, len(data) - 700):
        written.write_bytes(data[:keep])
        with pytest.raises(MemdefragError):
            take_in(written, Progress())
    assert not all_backups()


@pytest.mark.parametrize("name", [MANIFEST, MANIFEST_SUM, SUMS, RESTORE, "records.jsonl.zst", "files/store.db.zst"])
def test_an_export_that_lacks_a_file_is_taken_for_a_damaged_one(
    tmp_path: Path, backup: Backup, another_machine: Another, name: str
) -> None:
    (backup.folder / name).unlink()
    written = packed(backup.folder, tmp_path / "x.zip")
    another_machine()
    with pytest.raises(BackupDamaged):
        take_in(written, Progress())
    assert not all_backups()


def test_a_backup_that_is_on_the_shelf_is_not_replaced(tmp_path: Path, backup: Backup) -> None:
    before = contents(backup.folder)
    with pytest.raises(UsageError, match="already"):
        take_in(export(backup, tmp_path / "x.zip", Progress()), Progress())
    assert contents(backup.folder) == before
    assert [each.id for each in all_backups()] == [backup.id]


FORGED: list[Any] = [
    {"id": "../../outside"},
    {"id": "/outside"},
    {"id": ""},
    {"id": 5.5},
    {"created": "yesterday"},
    {"created": None},
    {"source": {"address": "a\0b", "is_folder": False}},
    {"source": {"address": "", "is_folder": False}},
    {"files": [{"path": "../../outside", "size": 1, "zsize": 1, "mode": 384, "sha256": "", "zsha256": ""}]},
    {"files": [{"path": "/outside", "size": 1, "zsize": 1, "mode": 384, "sha256": "", "zsha256": ""}]},
    {"files": []},
    {"neutral": []},
]


@pytest.mark.case(31, 32)
@pytest.mark.parametrize("lie", FORGED, ids=str)
def test_a_forged_manifest_does_not_come_onto_the_shelf(
    tmp_path: Path, backup: Backup, another_machine: Another, lie: dict[str, Any]
) -> None:
    forge(backup.folder, lie)
    written = packed(backup.folder, tmp_path / "x.zip")
    before = set(tmp_path.rglob("*"))
    another_machine()
    with pytest.raises(MemdefragError):
        take_in(written, Progress())
    assert not all_backups()
    assert not [event for event in catalogue.events() if event["event"] == "imported"]
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(path.name == "catalogue.jsonl" for path in new)


@pytest.mark.case(32)
def test_a_true_manifest_that_was_made_anew_passes(tmp_path: Path, backup: Backup, another_machine: Another) -> None:
    forge(backup.folder, {"reason": "before lunch"})
    written = packed(backup.folder, tmp_path / "x.zip")
    another_machine()
    assert take_in(written, Progress()).backup.manifest["reason"] == "before lunch"


@pytest.mark.case(32)
@pytest.mark.parametrize("place", ["files/extra.zst", "extra", "files/deep/er/x"])
def test_a_file_the_manifest_does_not_name_is_refused(
    tmp_path: Path, backup: Backup, another_machine: Another, place: str
) -> None:
    path = backup.folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a guest")
    written = packed(backup.folder, tmp_path / "x.zip")
    another_machine()
    with pytest.raises(BackupDamaged, match="does not name"):
        take_in(written, Progress())
    assert not all_backups()


@pytest.mark.case(31)
@pytest.mark.parametrize("kind", ["parent", "absolute", "symlink", "hard link", "device", "bomb", "many"])
def test_a_hostile_archive_is_refused_before_anything_is_written(
    tmp_path: Path, backup: Backup, another_machine: Another, kind: str
) -> None:
    written = hostile(backup.folder, tmp_path / "x.tar.zst", kind)
    another_machine()
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(BackupDamaged):
        take_in(written, Progress())
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not all_backups()


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 0x10]) + data[1:]


def clear() -> None:
    from shutil import rmtree

    rmtree(data_dir())


def members(file: Path) -> set[str]:
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as packed:
            return set(packed.namelist())
    with zstandard.open(file, "rb") as raw, tarfile.open(fileobj=io.BytesIO(raw.read())) as tar:
        return set(tar.getnames())


def forge(folder: Path, lie: dict[str, Any]) -> None:
    """Change the manifest and make all sums true again."""
    manifest = {**json.loads((folder / MANIFEST).read_bytes()), **lie}
    data = json.dumps(manifest).encode()
    (folder / MANIFEST).write_bytes(data)
    (folder / MANIFEST_SUM).write_text(hashlib.sha256(data).hexdigest())
    (folder / SUMS).write_bytes(sums(manifest, data))


def packed(folder: Path, file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"{folder.name}/{path.relative_to(folder)}")
    return file


def hostile(folder: Path, file: Path, kind: str) -> Path:
    """An export with one member too many."""
    with zstandard.open(file, "wb") as raw, tarfile.open(fileobj=raw, mode="w|") as tar:
        tar.add(folder, folder.name)
        info = tarfile.TarInfo({"parent": "../outside", "absolute": "/outside"}.get(kind, f"{folder.name}/guest"))
        info.type, info.linkname = {
            "symlink": (tarfile.SYMTYPE, "/etc/passwd"),
            "hard link": (tarfile.LNKTYPE, f"{folder.name}/{MANIFEST}"),
            "device": (tarfile.CHRTYPE, ""),
        }.get(kind, (tarfile.REGTYPE, ""))
        if kind == "bomb":
            info.size = 64 << 20
        tar.addfile(info, io.BytesIO(bytes(info.size)))
        for number in range(11_000 if kind == "many" else 0):
            tar.addfile(tarfile.TarInfo(f"{folder.name}/{number}"))
    return file


