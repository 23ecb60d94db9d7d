"""Unpacking beside the live store."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.errors import BackupDamaged, UsageError
from memdefrag.base.progress import Progress
from memdefrag.engine.backups.beside import restore_to
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import content_hash
from memdefrag.model.records import MemoryRecord
from tests.conftest import fill
from tests.engine.backups.made import as_of_a_server, as_version_1, back_up, backup_of, bytes_below, sign
from tests.engine.stores import snapshot_of
from tests.stores.contract import tree


@pytest.mark.parametrize("kind", ["jsonl", "memory-export"])
def test_a_file_comes_out_as_it_was_and_the_store_is_left_alone(tmp_path: Path, kind: str) -> None:
    backup = backup_of(kind, tmp_path / "store")
    live = tree(tmp_path / "store")
    made = restore_to(backup, tmp_path / "new folder/out", Progress())
    assert (made.address, made.records, made.losses) == (Address(kind, str(tmp_path / "new folder/out")), 20, {})
    assert content_hash(snapshot_of(made.address)) == backup.manifest["content"]
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["out"]
    assert tree(tmp_path / "store") == live


def test_a_folder_comes_out_byte_for_byte(tmp_path: Path, records: list[MemoryRecord]) -> None:
    path = fill(Address("chroma", str(tmp_path / "chroma")), records)
    made = restore_to(back_up(str(path)), tmp_path / "out", Progress())
    assert made.records == len(records)
    assert bytes_below(tmp_path / "out") == bytes_below(path)


def test_an_old_backup_comes_out(tmp_path: Path) -> None:
    backup = as_version_1(backup_of("jsonl", tmp_path / "store"))
    restore_to(backup, tmp_path / "out.jsonl", Progress())
    assert (tmp_path / "out.jsonl").read_bytes() == parse(backup.address).path.read_bytes()


def test_a_backup_of_a_server_becomes_lines(tmp_path: Path) -> None:
    backup = as_of_a_server(backup_of("memory-export", tmp_path / "store"))
    live = snapshot_of(parse(backup.address))
    made = restore_to(backup, tmp_path / "out.jsonl", Progress())
    assert (made.address.kind, made.records, made.losses) == ("jsonl", 20, {})
    found = snapshot_of(made.address)
    for one, other in zip(found, live, strict=True):
        assert one == other
        assert one.embedding is not None and other.embedding is not None
        assert one.embedding.tobytes() == other.embedding.tobytes()


def test_what_stands_there_is_never_written_over(tmp_path: Path) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    (tmp_path / "file").write_text("precious")
    (tmp_path / "link").symlink_to("file")
    for taken in ("file", "link", "store"):
        before = tree(tmp_path)
        with pytest.raises(UsageError):
            restore_to(backup, tmp_path / taken, Progress())
        assert tree(tmp_path) == before


@pytest.mark.case(14)
def test_nothing_is_left_when_something_else_came_out(tmp_path: Path) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    with pytest.raises(BackupDamaged):
        restore_to(sign(backup, content="0" * 64), tmp_path / "new/out.jsonl", Progress())
    assert list((tmp_path / "new").iterdir()) == []
