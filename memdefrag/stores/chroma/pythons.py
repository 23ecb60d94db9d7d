"""Finding a Python on this machine whose chromadb writes an older folder as it is.

Nothing here decides: `find` lists what there is, for a person to confirm. Where there is none, `environment`
makes one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from memdefrag.base.scratch import scratch_folder
from memdefrag.stores.chroma import staged, versions
from memdefrag.stores.chroma.environment import environment_python
from memdefrag.stores.chroma.runner import environment
from memdefrag.stores.chroma.tables import FILE

PROBE_SECONDS = 10.0
_PROBE = "import sys; del sys.path[0]; from importlib import metadata; print(metadata.version('chromadb'))"
_SERVICE = ("mcp-memory-service", "mcp_memory_service")
_VENV_NAMES = (".venv", "venv", "env")
_SEARCH_DEPTH = 4
_SEARCH_FOLDERS = 5_000
_SKIPPED = {"node_modules", "site-packages", "Library", "AppData", "__pycache__"}
_CONFIGS = (
    ".config/Claude/claude_desktop_config.json",
    "Library/Application Support/Claude/claude_desktop_config.json",
    "AppData/Roaming/Claude/claude_desktop_config.json",
    ".claude.json",
    ".cursor/mcp.json",
    ".codeium/windsurf/mcp_config.json",
    ".config/Code/User/mcp.json",
)
_TOOLS = (
    (".local/share/uv/tools", "uv tool"),
    ("AppData/Roaming/uv/tools", "uv tool"),
    (".local/share/pipx/venvs", "pipx"),
    (".local/pipx/venvs", "pipx"),
    ("pipx/venvs", "pipx"),
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A Python on this machine whose chromadb fits a folder.

    Attributes:
        where: how it was found, in words.
    """

    python: Path
    chromadb: str
    where: str


def find(version: str, store_path: Path) -> list[Candidate]:
    """All Pythons found here whose chromadb writes the folder without upgrading it, the likeliest first.

    Args:
        version: a chromadb release that fits, for a folder that is not there (yet).
        store_path: the Chroma folder.
    """
    wanted = _migrations(version, store_path)
    found: dict[str, Candidate] = {}
    for python, where in _places(store_path):
        key = str(python.absolute())
        if key in found or not python.is_file() or not _may_have_chromadb(python):
            continue
        installed = version_in(python)
        if installed and versions.fits(installed, wanted):
            found[key] = Candidate(Path(key), installed, where)
    return list(found.values())


def fits(python: Path, store_path: Path) -> bool:
    """Whether the chromadb of a Python writes the folder without upgrading it."""
    installed = version_in(python)
    return installed is not None and versions.fits(installed, staged.migrations(store_path))


def version_in(python: Path | None) -> str | None:
    """The chromadb release in a Python (None: this one), without importing it; None where there is none."""
    if python is None:
        try:
            return metadata.version("chromadb")
        except metadata.PackageNotFoundError:
            return None
    with scratch_folder() as folder:
        try:
            told = subprocess.run(
                [str(python), "-c", _PROBE],
                capture_output=True,
                cwd=folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=PROBE_SECONDS,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
            return None
    return told.stdout.strip() or None if told.returncode == 0 else None


def _migrations(version: str, store_path: Path) -> Mapping[str, int]:
    found = staged.migrations(store_path)
    level = versions.level_made_by(version)
    if found or level is None:
        return found
    return dict(zip(("embeddings_queue", "metadb", "sysdb"), level.migrations, strict=True))


def _places(store_path: Path) -> Iterator[tuple[Path, str]]:
    """Interpreters that may do, with the words for how they were found; the likeliest first."""
    home = Path.home()
    yield from _of_processes(store_path)
    yield from _of_configs(home)
    yield from _of_tools(home)
    for folder in _service_folders(home):
        yield from ((python, f"the environment in {folder}") for python in _venvs_in(folder))
    for level in versions.LEVELS:
        yield environment_python(level.writer), "memdefrag's own environment"


def _of_processes(store_path: Path) -> Iterator[tuple[Path, str]]:
    """Pythons that hold the folder open, then those that run the memory service."""
    database = os.path.realpath(store_path / FILE)
    holding, serving = [], []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            python = _interpreter(command, process)
            if python is None:
                continue
            if any(file.path == database for file in process.open_files()):
                holding.append((python, f"holds the folder open (process {process.pid})"))
            elif any(name in word for word in command for name in _SERVICE):
                serving.append((python, f"runs mcp-memory-service (process {process.pid})"))
        except (psutil.Error, OSError):
            continue
    yield from holding
    yield from serving


def _interpreter(command: list[str], process: psutil.Process) -> Path | None:
    """The Python of a command line. `exe` would be the one behind a virtual environment."""
    if not command or not Path(command[0]).stem.lower().startswith("python"):
        return None
    named = Path(command[0])
    if named.is_absolute():
        return named
    return Path(process.cwd(), named) if len(named.parts) > 1 else Path(process.exe())


def _of_configs(home: Path) -> Iterator[tuple[Path, str]]:
    """Pythons that assistants' settings name for a memory server, directly or by its project folder."""
    for name in _CONFIGS:
        try:
            settings = json.loads((home / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for words in _commands(settings):
            yield from ((python, f"named in {Path(name).name}") for python in _pythons_named(words))


def _commands(settings: Any) -> Iterator[list[str]]:
    """The command lines of all servers anywhere in the settings."""
    if isinstance(settings, dict):
        command, arguments = settings.get("command"), settings.get("args", [])
        if isinstance(command, str) and isinstance(arguments, list):
            yield [command, *(word for word in arguments if isinstance(word, str))]
        for value in settings.values():
            yield from _commands(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from _commands(value)


def _pythons_named(words: list[str]) -> Iterator[Path]:
    for number, word in enumerate(words):
        path = Path(word).expanduser()
        if path.is_absolute() and path.stem.lower().startswith("python"):
            yield path
        elif path.is_absolute() and path.suffix in ("", ".exe") and path.parent.name in ("bin", "Scripts"):
            yield from _pythons_in(path.parent.parent)
        elif word in ("--directory", "--project") and number + 1 < len(words):
            yield from _venvs_in(Path(words[number + 1]).expanduser())


def _of_tools(home: Path) -> Iterator[tuple[Path, str]]:
    """Environments of uv tool and pipx, the memory service's first."""
    named = [(os.environ.get("UV_TOOL_DIR"), "uv tool"), (os.environ.get("PIPX_HOME"), "pipx")]
    folders = [(home / place, tool) for place, tool in _TOOLS]
    folders += [(Path(place, "venvs") if tool == "pipx" else Path(place), tool) for place, tool in named if place]
    for folder, tool in folders:
        for venv in sorted(_subfolders(folder), key=lambda venv: (venv.name not in _SERVICE, venv.name)):
            yield from ((python, f"the {tool} environment of {venv.name}") for python in _pythons_in(venv))


def _service_folders(home: Path) -> Iterator[Path]:
    """Folders below home, not deeper than a few levels, that are named after the memory service."""
    level, seen = [home], 0
    for _ in range(_SEARCH_DEPTH):
        below: list[Path] = []
        for folder in level:
            for child in _subfolders(folder):
                seen += 1
                if seen > _SEARCH_FOLDERS:
                    return
                if any(name in child.name for name in _SERVICE):
                    yield child
                elif not child.name.startswith(".") and child.name not in _SKIPPED:
                    below.append(child)
        level = below


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(child for child in folder.iterdir() if child.is_dir() and not child.is_symlink())
    except OSError:
        return []


def _venvs_in(folder: Path) -> Iterator[Path]:
    for name in _VENV_NAMES:
        yield from _pythons_in(folder / name)


def _pythons_in(venv: Path) -> Iterable[Path]:
    return [python for python in (venv / "bin/python", venv / "Scripts/python.exe") if python.is_file()]


def _may_have_chromadb(python: Path) -> bool:
    """Whether to start it at all: a virtual environment shows its packages; other Pythons must be asked."""
    venv = python.parent.parent
    if not (venv / "pyvenv.cfg").is_file() or sys.prefix == str(venv):
        return True
    return any(venv.glob("lib*/python*/site-packages/chromadb")) or (venv / "Lib/site-packages/chromadb").is_dir()
