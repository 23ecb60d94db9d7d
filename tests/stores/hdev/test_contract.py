"""Both kinds of hdev store keep the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from memdefrag.model.address import Address, parse
from memdefrag.stores.base import Store
from tests.stores.contract import StoreContract
from tests.stores.hdev.server import MemoryServer, serving


class TestHdevFiles(StoreContract):
    kind = "hdev"
    file_name = "memory"


class TestHdevHttp(StoreContract):
    kind = "hdev+http"
    file_name = "memory"

    @pytest.fixture(autouse=True)
    def server(self, path: Path) -> Iterator[MemoryServer]:
        path.mkdir()
        self.opened = ExitStack()
        with serving(path) as self.running, self.opened:
            yield self.running

    def open(self, path: Path) -> Store:
        return self.opened.enter_context(super().open(path))

    def address(self, path: Path) -> Address:
        return parse(self.running.address)

    def test_a_bare_path_is_recognised(self, store: Store, path: Path) -> None:
        """A server has no path; its address is enough."""
        assert store.exists
        assert store.format
