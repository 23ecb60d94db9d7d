"""A server for all tests of a run, and empty databases of both systems on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from memdefrag.base import secrets
from tests.stores.postgres.schemas import bigmemory, federated
from tests.stores.postgres.server import Server, running


@pytest.fixture(autouse=True)
def _no_kept_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """All databases of the tests are one place to the memory for passwords."""
    monkeypatch.setattr(secrets, "_kept", {})


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    if sys.platform == "win32":
        pytest.skip("the server is reached by a socket in a folder")
    with running() as started:
        yield started


@pytest.fixture
def bigmemory_url(server: Server) -> str:
    """An empty BigMemory with one user."""
    return server.schema(bigmemory(vectors=server.has_vectors))


@pytest.fixture
def federated_url(server: Server) -> str:
    """An empty Federated Memory with one user and two modules."""
    return server.schema(federated(vectors=server.has_vectors))
