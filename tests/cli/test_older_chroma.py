"""A Chroma folder that an older chromadb made asks for a choice before it is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from memdefrag.base.errors import WriterNeeded
from memdefrag.base.settings import data_dir
from tests.cli.conftest import Cli, traces


@pytest.fixture
def folder(shared: Path, tmp_path: Path) -> Path:
    """Sixty memories written by chromadb 0.5.23."""
    copy = tmp_path / "store" / "chroma"
    shutil.copytree(shared / "fixtures" / "chroma_mcp_e1", copy)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


def test_without_a_choice_nothing_is_written(cli: Cli, folder: Path) -> None:
    before = traces(folder.parent)
    ended = cli("optimize", folder, "--auto", "sure", "--json")
    assert ended.code == WriterNeeded.exit_code
    for way in ("--chroma-python", "--make-environment", "--output", "--upgrade-format"):
        assert way in ended.json["error"]["todo"]
    assert traces(folder.parent) == before
    assert not (data_dir() / "backups").exists()


def test_a_dry_run_needs_no_choice_and_leaves_no_trace(cli: Cli, folder: Path) -> None:
    before = traces(folder.parent, data_dir())
    assert cli("optimize", folder, "--auto", "sure", "--dry-run", "--json").json["removed"] == 3
    assert traces(folder.parent, data_dir()) == before


def test_the_result_can_go_to_a_new_folder(cli: Cli, folder: Path, tmp_path: Path) -> None:
    before = traces(folder)
    told = cli("optimize", folder, "--auto", "sure", "--output", tmp_path / "new", "--json").json
    assert told["output"] == str(tmp_path / "new")
    assert cli("inspect", tmp_path / "new", "--json").json["collections"][0]["count"] == 57
    assert traces(folder) == before


@pytest.mark.old_chroma
def test_its_own_chromadb_writes_it_and_undo_brings_everything_back(
    cli: Cli, folder: Path, pytestconfig: pytest.Config
) -> None:
    python = pytestconfig.rootpath / ".venv-chroma-0.5.23" / "bin" / "python"
    if not python.exists():
        pytest.skip("needs the environment with chromadb 0.5.23 that scripts/test makes")
    memories = cli("export", folder, f"{folder}.jsonl", "--json").json["written"]
    told = cli("optimize", folder, "--auto", "sure", "--compact", "--chroma-python", python, "--json").json
    assert (told["records_after"], told["compacted"]) == (57, True)
    assert told["next_steps"]
    assert cli("undo", "last", folder, "--json").json["records_after"] == memories
    assert cli("inspect", folder, "--json").json["format"].startswith("Chroma 0.5")
