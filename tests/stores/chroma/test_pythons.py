"""Finding the Python that owns an older Chroma folder, in every place where it may stand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from memdefrag.stores.chroma import pythons
from memdefrag.stores.chroma.environment import environment_python
from memdefrag.stores.chroma.pythons import Candidate, find, fits, version_in
from tests.stores.chroma.folders import OLD_PYTHON, made, made_by_old_chroma

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="environments are made by hand, as POSIX has them")
Environment = Callable[..., Path]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with nothing in it; nothing outside it is looked at, but processes."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("UV_TOOL_DIR", "PIPX_HOME"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def environment() -> Environment:
    """Makes a Python environment that has, by its records, a chromadb."""

    def make(folder: Path, chromadb: str = "0.5.23") -> Path:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        [packages] = folder.glob("lib/python*/site-packages")
        (packages / "chromadb").mkdir()
        (packages / "chromadb.dist-info").mkdir()
        text = f"Metadata-Version: 2.1\nName: chromadb\nVersion: {chromadb}\n"
        (packages / "chromadb.dist-info/METADATA").write_text(text)
        return folder / "bin/python"

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is not there yet: 0.5.23 is said to be wanted."""
    return tmp_path / "chroma"


def found(folder: Path) -> list[Candidate]:
    """Candidates below the test's own folder; the machine may have others."""
    return [candidate for candidate in find("0.5.23", folder) if folder.parent in candidate.python.parents]


def test_versions_are_read_without_importing(tmp_path: Path, environment: Environment) -> None:
    assert version_in(None) == version("chromadb")
    assert version_in(Path(sys.executable)) == version("chromadb")
    assert version_in(environment(tmp_path / "env", "0.4.24")) == "0.4.24"
    assert version_in(tmp_path / "nowhere") is None
    assert version_in(Path(__file__)) is None


def test_a_python_without_chromadb_has_no_version(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    assert version_in(tmp_path / "env/bin/python") is None


def test_a_python_that_does_not_answer_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythons, "PROBE_SECONDS", 0.2)
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    assert version_in(script) is None


@pytest.mark.old_chroma
def test_a_python_fits_by_the_level_of_its_chromadb(tmp_path: Path, environment: Environment) -> None:
    old, new = made_by_old_chroma().folder, made().folder
    assert fits(OLD_PYTHON, old) and not fits(OLD_PYTHON, new)
    assert fits(Path(sys.executable), new) and not fits(Path(sys.executable), old)
    assert fits(environment(tmp_path / "env", "0.6.3"), old)


def test_environments_of_tools_are_found_the_services_first(home: Path, folder: Path, environment: Environment) -> None:
    other = environment(home / ".local/share/uv/tools/another", "0.6.3")
    service = environment(home / ".local/share/uv/tools/mcp-memory-service")
    pipx = environment(home / ".local/share/pipx/venvs/mcp-memory-service")
    environment(home / ".local/share/uv/tools/too-new", "1.5.9")
    (home / ".local/share/uv/tools/broken").mkdir()
    assert [(candidate.python, candidate.chromadb, candidate.where) for candidate in found(folder)] == [
        (service, "0.5.23", "the uv tool environment of mcp-memory-service"),
        (other, "0.6.3", "the uv tool environment of another"),
        (pipx, "0.5.23", "the pipx environment of mcp-memory-service"),
    ]


@pytest.mark.parametrize("how", ["python", "script", "directory"])
def test_settings_of_assistants_are_followed(home: Path, folder: Path, environment: Environment, how: str) -> None:
    python = environment(home / "work/.venv")
    server = {
        "python": {"command": str(python), "args": ["-m", "mcp_memory_service.server"]},
        "script": {"command": str(python.with_name("memory")), "args": []},
        "directory": {"command": "uv", "args": ["--directory", str(home / "work"), "run", "memory"]},
    }[how]
    settings = home / ".config/Claude/claude_desktop_config.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"mcpServers": {"memory": server, "odd": {"command": 5, "args": "x"}}}))
    (home / ".claude.json").write_text("{ not JSON")
    assert found(folder) == [Candidate(python, "0.5.23", "named in claude_desktop_config.json")]


def test_folders_named_after_the_service_are_found_not_too_deep(
    home: Path, folder: Path, environment: Environment
) -> None:
    near = environment(home / "code/mcp-memory-service/.venv")
    environment(home / "a/b/c/d/mcp-memory-service/venv")
    environment(home / ".hidden/mcp-memory-service/venv")
    assert [candidate.python for candidate in found(folder)] == [near]


def test_our_own_environment_is_found_once(home: Path, folder: Path, environment: Environment) -> None:
    own = environment_python("0.5.23")
    environment(own.parent.parent)
    assert found(folder) == [Candidate(own, "0.5.23", "memdefrag's own environment")]


@pytest.fixture
def running(home: Path, environment: Environment) -> Iterator[Callable[..., Path]]:
    """Starts a process in an environment of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, code: str, *arguments: str) -> Path:
        python = environment(home.parent / name)
        process = subprocess.Popen([str(python), "-c", code, *arguments], stdout=subprocess.PIPE)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        started.append(process)
        return python

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def test_processes_lead_to_their_python_the_folders_holder_first(
    tmp_path: Path, home: Path, running: Callable[..., Path]
) -> None:
    folder = made_by_old_chroma().copy(tmp_path / "chroma")
    wait = "import sys, time; held = open(sys.argv[1]); print('ready', flush=True); time.sleep(600)"
    server = running("serving", wait, "/dev/null", "mcp-memory-service")
    holder = running("holding", wait, str(folder / "chroma.sqlite3"))
    first, second = found(folder)
    assert (first.python, second.python) == (holder, server)
    assert first.where.startswith("holds the folder open (process ")
    assert second.where.startswith("runs mcp-memory-service (process ")
