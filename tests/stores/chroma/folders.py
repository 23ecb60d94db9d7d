"""Small Chroma folders made by the real library in a process of its own, with what must be read from them."""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
OLD_PYTHON = ROOT / ".venv-chroma-0.5.23" / "bin" / "python"
MAKER = Path(__file__).with_name("make_folder.py")
BIG, SMALL, PLAIN, ELSEWHERE = "big", "small", "plain", "team/archive/notes"
"""Many records with changes after the index was last written; odd ones, all in the queue; many without any
text or change; another tenant's."""

SYNC = 100
"""Changes after which the index files of `big` and `plain` are brought up to date."""


@dataclass(frozen=True)
class Made:
    """A folder and, by collection name and id, the text, metadata, uri and embedding of its records."""

    folder: Path
    truth: dict[str, dict[str, dict[str, Any]]]

    def copy(self, target: Path) -> Path:
        """A copy that a test may damage."""
        return Path(shutil.copytree(self.folder, target))


@cache
def made(python: Path = Path(sys.executable)) -> Made:
    """The folder, as that Python's chromadb makes it."""
    root = Path(tempfile.mkdtemp(prefix="memdefrag-chroma-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    truth = root / "truth.json"
    command = [str(python), str(MAKER), str(root / "store"), str(SYNC), str(truth)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Made(root / "store", json.loads(truth.read_text(encoding="utf-8")))


def made_by_old_chroma() -> Made:
    """The same by chromadb 0.5.23, where its environment is."""
    if not OLD_PYTHON.exists():
        pytest.skip(f"{OLD_PYTHON} is not there; scripts/test makes it")
    return made(OLD_PYTHON)


def traces(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Everything a reader could have disturbed: names, bytes and times."""
    paths = [folder, *folder.rglob("*")]
    return {str(path): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns) for path in paths}


def assert_same(found: Any, expected: dict[str, Any], tolerance: float = 1e-6) -> None:
    """A `MemoryRecord` says what the library says; types count, and vectors agree within the tolerance."""
    types = {key: type(value) for key, value in expected["metadata"].items()}
    assert (found.text, found.uri, found.metadata) == (expected["text"], expected["uri"], expected["metadata"])
    assert {key: type(value) for key, value in found.metadata.items()} == types
    wanted = np.array(expected["embedding"], np.float32)
    assert found.embedding is not None and found.embedding.dtype == np.float32
    np.testing.assert_allclose(found.embedding, wanted, rtol=tolerance, atol=tolerance)
