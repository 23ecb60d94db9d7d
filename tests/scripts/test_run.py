"""The scripts under any Python: they start again in the checkout's environment, or say what is needed."""

from __future__ import annotations

import ast
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.scripts.conftest import ROOT, run

SCRIPTS = ROOT / "scripts"
NAMES = ("backup_memories.py", "export_chromadb.py", "import_to_chromadb.py", "mcp-migration.py")
WITHOUT_PACKAGES = [sys.executable, "-E", "-S"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which nothing was set up, at a path with a space."""
    root = tmp_path / "a checkout"
    shutil.copytree(SCRIPTS, root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return root


def set_up(checkout: Path) -> None:
    """Give it an environment: this Python."""
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)


@pytest.mark.parametrize("name", [*NAMES, "_run.py", "_system.py", "mcp_migration.py"])
def test_the_oldest_python_that_could_meet_them_can_read_them(name: str) -> None:
    ast.parse((SCRIPTS / name).read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("name", NAMES)
def test_without_an_environment_one_line_names_the_python(name: str, checkout: Path) -> None:
    said = run([*WITHOUT_PACKAGES, checkout / "scripts" / name, "--help"], checkout, code=41)
    [line] = said.splitlines()
    assert "needs Python 3.11, 3.12 or 3.13" in line and str(checkout / "scripts" / "start") in line


def test_too_old_a_python_is_told_so(checkout: Path) -> None:
    call = "import _run; _run.OLDEST = (99,); _run.call('memdefrag.cli.mcp_migration', 'main')"
    said = run([sys.executable, "-c", call], checkout / "scripts", code=41)
    [line] = said.splitlines()
    assert "this is Python {}.{}".format(*sys.version_info) in line


@pytest.mark.skipif(os.name == "nt", reason="uses a shell script as the environment's Python")
@pytest.mark.parametrize("name", NAMES)
def test_any_python_starts_the_environments_own(name: str, checkout: Path) -> None:
    set_up(checkout)
    said = run([*WITHOUT_PACKAGES, checkout / "scripts" / name, "--help"], checkout)
    assert name in said and "Usage" in said


@pytest.mark.skipif(os.name == "nt", reason="uses a shell script as the environment's Python")
def test_the_exit_code_and_the_arguments_go_through(checkout: Path) -> None:
    set_up(checkout)
    script = checkout / "scripts" / "import_to_chromadb.py"
    said = run([*WITHOUT_PACKAGES, script, "no such file.db"], checkout, code=10)
    assert "There is no file no such file.db." in said


@pytest.mark.skipif(os.name == "nt", reason="uses a shell script as the environment's Python")
def test_an_environment_without_memdefrag_is_no_endless_loop(checkout: Path) -> None:
    set_up(checkout)
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -E -S "$@"\n')
    said = run([*WITHOUT_PACKAGES, checkout / "scripts" / "export_chromadb.py"], checkout, code=41)
    assert len(said.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no run bit")
@pytest.mark.parametrize("name", [*NAMES, "chromadb_workflow.sh"])
def test_they_can_be_run(name: str) -> None:
    assert os.access(SCRIPTS / name, os.X_OK)


def test_the_program_itself_can_be_started_so(tmp_path: Path) -> None:
    assert run([sys.executable, SCRIPTS / "_run.py", "--version"], tmp_path).startswith("memdefrag ")
