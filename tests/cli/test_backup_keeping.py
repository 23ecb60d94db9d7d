from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.errors import BackupDamaged, BackupNotFound, NotAStore, UsageError
from memdefrag.base.settings import data_dir
from tests.cli.conftest import Cli
from tests.stores.memory_service.files import make_service


@pytest.fixture
def backups(cli: Cli, demo: Path) -> list[str]:
    """The ids of three backups of the demo store, oldest first."""
    return [str(cli("backup", "create", demo, "--json").json["backup"]["id"]) for _ in range(3)]


def listed(cli: Cli) -> set[str]:
    return {each["id"] for each in cli("backup", "list", "--json").json["backups"]}


def test_prune_says_why_each_stays(cli: Cli, backups: list[str]) -> None:
    told = cli("backup", "prune", "--json").json
    assert told["prune"]["removed"] == []
    assert told["prune"]["kept"] == {
        backups[0]: "the first of its store", backups[1]: "made by hand", backups[2]: "the newest verified one"
    }  # fmt: skip
    assert "made by hand" in cli("backup", "prune").out


def test_prune_removes_what_is_named_and_tells_what_it_did_not(cli: Cli, backups: list[str]) -> None:
    dry = cli("backup", "prune", backups[1], "--dry-run")
    assert (dry.code, listed(cli)) == (0, set(backups))
    assert "would go" in dry.out
    ended = cli("backup", "prune", backups[0], backups[1])
    assert ended.code == 1
    assert listed(cli) == {backups[0], backups[2]}
    assert "the first of its store" in ended.out


def test_a_dry_run_writes_nothing(cli: Cli, backups: list[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in data_dir().rglob("*")}
    cli("backup", "prune", backups[1], "--dry-run")
    assert {path: path.stat().st_mtime_ns for path in data_dir().rglob("*")} == before


def test_an_unknown_backup_is_told(cli: Cli, backups: list[str]) -> None:
    assert cli("backup", "prune", "nope").code == BackupNotFound.exit_code


@pytest.mark.parametrize("command", [["backup", "create"], ["optimize", "--auto", "sure"]])
def test_who_makes_a_backup_is_told_the_room_they_take(
    cli: Cli, demo: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    within = cli(*command, demo)
    assert f"in {data_dir() / 'backups'}" in within.out
    assert "prune" not in within.out
    monkeypatch.setenv("MEMDEFRAG_BACKUP_LIMIT", "1 kB")
    if command[0] == "optimize":
        assert cli("undo", "last", demo).code == 0
    assert "memdefrag backup prune --dry-run" in cli(*command, demo).out


def test_a_misspelt_limit_does_not_undo_what_was_done(
    cli: Cli, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDEFRAG_BACKUP_LIMIT", "much")
    ended = cli("backup", "create", demo)
    assert ended.code == 0
    assert "no size" in ended.out


@pytest.mark.parametrize("name", ["x.tar.zst", "x.zip"])
def test_a_backup_is_taken_to_another_machine(
    cli: Cli, demo: Path, backups: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    original = demo.read_bytes()
    written = cli("backup", "export", backups[1], tmp_path / name, "--json")
    assert (written.code, Path(written.json["file"])) == (0, tmp_path / name)
    monkeypatch.setenv("MEMDEFRAG_DATA_DIR", str(tmp_path / "another"))
    demo.unlink()
    taken = cli("backup", "import", tmp_path / name, "--json")
    assert taken.json["imported"]["backup"]["id"] == backups[1]
    assert listed(cli) == {backups[1]}
    assert cli("backup", "restore", backups[1]).code == 0
    assert demo.read_bytes() == original


def test_another_programs_backup_can_be_looked_at_and_unpacked(cli: Cli, tmp_path: Path) -> None:
    ended = cli("backup", "import", make_service(tmp_path / "memory_backup.db"), "--json")
    [id] = listed(cli)
    assert ended.json["imported"]["backup"]["records"] == 3
    assert cli("inspect", f"backup:{id}", "--json").json["collections"][0]["count"] == 3
    assert cli("backup", "restore", id, "--to", tmp_path / "again").code == 0
    assert cli("inspect", tmp_path / "again", "--json").json["kind"] == "memory-service"


def test_problems_of_what_is_taken_in_are_told(cli: Cli, tmp_path: Path) -> None:
    service = make_service(tmp_path / "memory_backup.db")
    (tmp_path / "memory_backup.json").write_text('{"database_info": {"memories_count": 9}}')
    ended = cli("backup", "import", service)
    assert ended.code == 0
    assert "Problem: The program that made the backup noted 9 memories; it holds 3." in ended.out


def test_what_cannot_be_taken_in_is_told(cli: Cli, tmp_path: Path, backups: list[str]) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 and no more")
    assert cli("backup", "import", tmp_path / "x.zip").code == BackupDamaged.exit_code
    assert cli("backup", "import", tmp_path / "nope").code == NotAStore.exit_code
    assert cli("backup", "export", backups[0], tmp_path / "x.zip").code == UsageError.exit_code
    assert listed(cli) == set(backups)
