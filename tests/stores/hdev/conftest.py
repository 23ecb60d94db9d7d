"""What hdev's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder of hdev."""
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder
