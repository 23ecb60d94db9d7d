"""RESTORE.txt says the truth: what it prints brings a store back without this program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memdefrag.base.fsops import remove
from memdefrag.engine.backups.restore_text import COMMAND
from memdefrag.engine.backups.shelf import Backup
from memdefrag.model.address import Address, parse
from memdefrag.model.records import MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.conftest import fill
from tests.engine.backups.made import as_of_a_server, back_up, backup_of, bytes_below

PROGRAMS = ("zstd", "sha256sum", "cp")
BASH = shutil.which("bash")

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or not BASH or not all(map(shutil.which, PROGRAMS)),
    reason=f"needs bash, {', '.join(PROGRAMS)} (Debian: apt-get install zstd)",
)


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    """A folder with nothing but the programs that the guide may use."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in PROGRAMS:
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def commands(backup: Backup) -> list[str]:
    lines = (backup.folder / "RESTORE.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith(COMMAND)]


def follow(backup: Backup, programs: Path) -> str:
    """Run exactly the commands of the guide; any failing one fails the test."""
    script = "set -e\n" + "\n".join(commands(backup))
    assert BASH is not None
    ended = subprocess.run(
        [BASH, "--noprofile", "--norc"], input=script, env={"PATH": str(programs)}, cwd="/",
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0, script + ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("kind", ["jsonl", "memory-export"])
def test_its_commands_bring_a_file_back(tmp_path: Path, by_hand: Path, kind: str) -> None:
    backup = backup_of(kind, tmp_path / "it's a folder, $HOME & Zoë")
    live = parse(backup.address).path
    with open_store(backup.address) as store:
        before = read_snapshot(store)
    live.unlink()
    told = follow(backup, by_hand)
    assert told.count(": OK\n") == len(told.splitlines()) == 6
    with open_store(backup.address) as store:
        after = read_snapshot(store)
    assert after.fingerprint and before.fingerprint and after.fingerprint.content == before.fingerprint.content
    lines = (backup.folder.parent / f"{backup.id}.records.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines[1:]] == [record.key.id for record in before]


def test_its_commands_bring_a_folder_back(tmp_path: Path, by_hand: Path, records: list[MemoryRecord]) -> None:
    live = fill(Address("chroma", str(tmp_path / "a folder")), records)
    before = bytes_below(live)
    backup = back_up(str(live))
    remove(live)
    follow(backup, by_hand)
    assert bytes_below(live) == before


def test_a_changed_byte_stops_whoever_follows_it(tmp_path: Path, by_hand: Path) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    path = backup.folder / "vectors.f32.zst"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(AssertionError, match=r"vectors\.f32\.zst: FAILED"):
        follow(backup, by_hand)


def test_without_files_it_speaks_of_the_memories_alone(tmp_path: Path) -> None:
    from memdefrag.engine.backups.restore_text import restore_text

    backup = as_of_a_server(backup_of("jsonl", tmp_path / "store"))
    text = restore_text(backup.folder, backup.manifest)
    assert "records.jsonl.zst" in text
    assert "files/" not in text
    assert os.fspath(tmp_path / "store/store.jsonl.from") not in text


def test_only_the_promised_programs_are_used(tmp_path: Path) -> None:
    backup = backup_of("jsonl", tmp_path / "store")
    used = {line.split()[0] for line in commands(backup)}
    assert used == {"cd", *PROGRAMS}
