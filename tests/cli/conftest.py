"""Running the command line: inside the test, where it can be debugged, and as the program people start."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from memdefrag.base.settings import resource
from memdefrag.cli.main import main


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout; anything else there fails the test."""
        return json.loads(self.out)


Cli = Callable[..., Ended]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line in this process."""

    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        code = main([str(each) for each in arguments])
        return Ended(code, *capfd.readouterr())

    return run


@pytest.fixture
def program() -> Cli:
    """Runs a command line as a program of its own."""

    def run(*arguments: object, **environment: str) -> Ended:
        ended = subprocess.run(
            command_line(*arguments), env=os.environ | environment, capture_output=True, text=True, check=False
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A copy of the demo store in a folder of its own."""
    folder = tmp_path / "store"
    folder.mkdir()
    return Path(shutil.copy(resource("demo.jsonl"), folder))


def command_line(*arguments: object) -> list[str]:
    """What starts the program."""
    return [sys.executable, "-m", "memdefrag", *map(str, arguments)]


def traces(*folders: Path) -> dict[str, str]:
    """Every entry below the folders with the hash of its bytes; folders that are not there say so, too."""
    found = {}
    for folder in folders:
        found[str(folder)] = "folder" if folder.exists() else "absent"
        for path in sorted(folder.rglob("*")):
            found[str(path)] = "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
    return found
