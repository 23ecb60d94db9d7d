"""Asks the real mcp-memory-service, in its own environment, what it makes of a file."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).resolve().parents[3]
_FOLDER = _ROOT / ".venv-memory-service"
PYTHON = _FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
_ALWAYS = ("ONNX Runtime not available", "Tokenizers not available", "External embedding dimension")
"""What it complains of because it takes vectors from the test, whatever the file."""


def real_service(path: Path, dimension: int, **asked: Any) -> dict[str, Any]:
    """What the service tells after opening the database; what it may be asked says `service_child`."""
    if not PYTHON.exists():
        pytest.skip(f"needs the environment {_FOLDER.name} with mcp-memory-service; scripts/test makes it")
    child = Path(__file__).with_name("service_child.py")
    surroundings = {**os.environ, "MCP_MEMORY_BASE_DIR": str(path.parent / "base")}
    done = subprocess.run(
        [str(PYTHON), str(child), str(path)], input=json.dumps({"dimension": dimension, **asked}), capture_output=True,
        text=True, timeout=200, env=surroundings,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    told["complaints"] = [each for each in told["complaints"] if not each.startswith(_ALWAYS)]
    return told
