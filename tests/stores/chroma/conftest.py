"""One Chroma server for all tests of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.chroma.folders import OLD_PYTHON
from tests.stores.chroma.running import ChromaServer, running


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    """A server of the installed chromadb. Each test makes a database of its own on it."""
    with running(tmp_path_factory.mktemp("chroma-server") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def old_chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    """A server of chromadb 0.5.23."""
    with running(tmp_path_factory.mktemp("old-chroma-server") / "data", OLD_PYTHON) as server:
        yield server


@pytest.fixture
def database(chroma_server: ChromaServer, tmp_path: Path) -> str:
    """An empty database on the server; its name."""
    name = f"db-{abs(hash(tmp_path)):x}"
    chroma_server.make_database(name)
    return name
