from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.errors import BackupDamaged, BackupNotFound, UsageError
from tests.cli.conftest import Cli
from tests.engine.busy import busy


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


def test_list_tells_damaged_ones_the_total_and_the_folder(cli: Cli, demo: Path, backup: dict[str, object]) -> None:
    other = cli("backup", "create", demo, "--json").json["backup"]
    (Path(str(other["folder"])) / "manifest.sha256").write_text("0" * 64)
    listed = cli("backup", "list", "--json").json
    assert [each["id"] for each in listed["backups"]] == [backup["id"]]
    assert [each["id"] for each in listed["damaged"]] == [other["id"]]
    assert "manifest" in listed["damaged"][0]["damage"]
    assert listed["total_bytes"] == backup["bytes"]
    assert listed["folder"] == str(Path(str(backup["folder"])).parents[1])
    told = cli("backup", "list").out
    assert f"DAMAGED {other['id']}" in told
    assert listed["folder"] in told


def test_show_prints_what_a_backup_says_of_itself(cli: Cli, demo: Path, backup: dict[str, object]) -> None:
    shown = cli("backup", "show", str(backup["id"])[:25], "--json").json["backup"]
    assert (shown["id"], shown["manifest"]["records"], bool(shown["verified"])) == (backup["id"], 61, True)
    told = cli("backup", "show", backup["id"]).out
    for fact in (backup["id"], f"jsonl:{demo}", "61 memories", "closed", shown["manifest"]["content"]):
        assert str(fact) in told


def test_a_deep_verification_tells_what_came_back(cli: Cli, backup: dict[str, object]) -> None:
    answer = cli("backup", "verify", backup["id"], "--deep", "--json").json
    assert (answer["whole"], answer["restored"]["records"]) == (True, 61)


def test_drill_reports_and_fails_on_damage(cli: Cli, backup: dict[str, object]) -> None:
    good = cli("backup", "drill", "--json")
    assert (good.code, good.json["drilled"][0]["restored"]["records"]) == (0, 61)
    vectors = Path(str(backup["folder"])) / "vectors.f32.zst"
    vectors.write_bytes(vectors.read_bytes() + b"x")
    bad = cli("backup", "drill", backup["id"])
    assert bad.code == 1
    assert f"FAILED {backup['id']}" in bad.out


def test_restore_to_leaves_the_store_alone(cli: Cli, demo: Path, backup: dict[str, object], tmp_path: Path) -> None:
    original = demo.read_bytes()
    demo.write_bytes(b"")
    out = tmp_path / "out.jsonl"
    ended = cli("backup", "restore", backup["id"], "--to", out, "--json")
    assert (ended.code, ended.json["unpacked"]["records"]) == (0, 61)
    assert (out.read_bytes(), demo.read_bytes()) == (original, b"")
    assert cli("backup", "restore", backup["id"], "--to", out).code == UsageError.exit_code
    assert cli("backup", "restore", backup["id"], "--to", tmp_path / "new", "--tag", "x").code == UsageError.exit_code
    assert not (tmp_path / "new").exists()


def test_a_backup_is_read_like_a_store(cli: Cli, demo: Path, backup: dict[str, object], tmp_path: Path) -> None:
    address = f"backup:{backup['id']}"
    inspected = cli("inspect", address, "--json").json
    assert (inspected["kind"], inspected["collections"][0]["count"], inspected["writable"]) == ("backup", 61, False)
    live = cli("analyze", demo, "--no-model", "--json").json
    held = cli("analyze", address, "--no-model", "--json").json
    assert [each["members"] for each in held["groups"]] == [each["members"] for each in live["groups"]] != []
    both = cli("analyze", address, demo, "--no-model", "--json").json
    assert both["count"] == 122
    assert cli("search", address, "garden", "--no-model", "--json").json["hits"]
    assert cli("export", address, tmp_path / "out.jsonl").code == 0
    assert len((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()) >= 61


@pytest.mark.case(17)
def test_a_store_in_use_is_read_and_the_answer_says_so(cli: Cli, demo: Path, tmp_path: Path) -> None:
    with busy("idle", demo) as process:
        for command in (
            ["inspect", demo],
            ["analyze", demo, "--no-model"],
            ["search", demo, "garden", "--no-model"],
            ["backup", "create", demo],
        ):
            ended = cli(*command)
            assert ended.code == 0
            assert f"(process {process.pid})" in ended.err
            assert "state of " in ended.err
        exported = cli("export", demo, tmp_path / "out.jsonl")
        assert f"(process {process.pid})" in exported.out + exported.err
        inspected = cli("inspect", demo, "--json").json
    assert inspected["store"] == f"jsonl:{demo}"
    assert inspected["state"]["copied"]
    assert [user["pid"] for user in inspected["in_use"]] == [process.pid]
    [made] = cli("backup", "list", demo, "--json").json["backups"]
    assert made["store"] == f"jsonl:{demo}"
