"""Chroma servers keep the contract: real ones, of the newest release and of an old one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from memdefrag.model.address import Address, parse
from memdefrag.stores.base import Store
from tests.stores.chroma.running import ChromaServer
from tests.stores.contract import StoreContract


class TestChromaServer(StoreContract):
    kind = "chroma+http"
    file_name = "server"

    @pytest.fixture
    def running(self, chroma_server: ChromaServer) -> ChromaServer:
        return chroma_server

    @pytest.fixture(autouse=True)
    def server(self, running: ChromaServer) -> Iterator[None]:
        self.name, self.running = f"db-{time.monotonic_ns()}", running
        running.make_database(self.name)
        with ExitStack() as self.opened:
            yield

    def open(self, path: Path) -> Store:
        return self.opened.enter_context(super().open(path))

    def address(self, path: Path) -> Address:
        return parse(self.running.address(self.name))

    def test_a_bare_path_is_recognised(self, store: Store, path: Path) -> None:
        """A server has no path; its address is enough."""
        assert store.exists
        assert store.format == "Chroma server 1.x"


@pytest.mark.old_chroma
class TestOldChromaServer(TestChromaServer):
    @pytest.fixture
    def running(self, old_chroma_server: ChromaServer) -> ChromaServer:
        return old_chroma_server

    def test_a_bare_path_is_recognised(self, store: Store, path: Path) -> None:
        assert store.exists
        assert store.format == "Chroma server 0.5.23"
