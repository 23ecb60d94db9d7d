from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.errors import BackupDamaged, BackupNotFound
from tests.cli.conftest import Cli


@pytest.fixture
def backup(cli: Cli, demo: Path) -> dict[str, object]:
    """A backup of the demo store."""
    made: dict[str, object] = cli("backup", "create", demo, "--json").json["backup"]
    return made


def test_a_backup_names_its_store_its_size_and_its_place(demo: Path, backup: dict[str, object]) -> None:
    assert (backup["store"], backup["records"]) == (f"jsonl:{demo}", 61)
    assert Path(str(backup["folder"])).is_dir()


def test_a_backup_of_one_collection_is_one_of_the_whole_store(cli: Cli, demo: Path) -> None:
    assert cli("backup", "create", f"{demo}#demo", "--json").json["backup"]["store"] == f"jsonl:{demo}"


def test_list_shows_all_or_those_of_a_store(cli: Cli, demo: Path, backup: dict[str, object], jsonl_file: Path) -> None:
    other = cli("backup", "create", jsonl_file, "--json").json["backup"]["id"]
    assert [each["id"] for each in cli("backup", "list", "--json").json["backups"]] == [other, backup["id"]]
    assert [each["id"] for each in cli("backup", "list", demo, "--json").json["backups"]] == [backup["id"]]
    assert str(backup["id"]) in cli("backup", "list", demo).out


def test_backups_of_a_store_that_is_gone_are_still_found(cli: Cli, demo: Path, backup: dict[str, object]) -> None:
    demo.unlink()
    assert [each["id"] for each in cli("backup", "list", f"jsonl:{demo}", "--json").json["backups"]] == [backup["id"]]


@pytest.mark.parametrize("options", [[], ["--deep"]])
def test_verify_says_that_a_backup_is_whole(cli: Cli, backup: dict[str, object], options: list[str]) -> None:
    ended = cli("backup", "verify", str(backup["id"])[:20], *options)
    assert ended.code == 0
    assert "is whole" in ended.out


def test_verify_finds_a_changed_byte(cli: Cli, backup: dict[str, object]) -> None:
    [file] = (Path(str(backup["folder"])) / "files").iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert cli("backup", "verify", backup["id"]).code == BackupDamaged.exit_code


def test_restore_brings_back_every_byte_and_keeps_what_stood_there(
    cli: Cli, demo: Path, backup: dict[str, object]
) -> None:
    original = demo.read_bytes()
    demo.write_bytes(original.splitlines(keepends=True)[1])
    assert cli("backup", "restore", backup["id"]).code == 0
    assert demo.read_bytes() == original
    assert len(cli("backup", "list", "--json").json["backups"]) == 2


def test_restore_brings_back_a_store_that_is_gone(cli: Cli, demo: Path, backup: dict[str, object]) -> None:
    original = demo.read_bytes()
    demo.unlink()
    assert cli("backup", "restore", backup["id"]).code == 0
    assert demo.read_bytes() == original


@pytest.mark.parametrize("arguments", [["verify", "nope"], ["restore", "nope"]])
def test_an_unknown_backup_is_told_as_such(cli: Cli, arguments: list[str]) -> None:
    assert cli("backup", *arguments).code == BackupNotFound.exit_code
