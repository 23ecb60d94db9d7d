"""A store that is given out is as good as the store: hdev's server store keeps its contract over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from memdefrag.model.address import Address, parse
from memdefrag.model.records import MemoryRecord
from memdefrag.stores.base import Store
from tests.conftest import fill
from tests.engine.serve.running import given_out
from tests.stores.contract import StoreContract


class ServedContract(StoreContract):
    """The contract over a running server."""

    kind = "hdev+http"
    served: str

    @pytest.fixture(autouse=True)
    def server(self, path: Path) -> Iterator[None]:
        if self.served == "hdev":
            path.mkdir()
        else:
            fill(Address(self.served, str(path)), [])
        self.opened = ExitStack()
        with given_out(f"{self.served}:{path}") as self.url, self.opened:
            yield

    def open(self, path: Path) -> Store:
        return self.opened.enter_context(super().open(path))

    def address(self, path: Path) -> Address:
        return parse(f"hdev+{self.url}")

    def test_a_bare_path_is_recognised(self, store: Store, path: Path) -> None:
        """A server has no path; its address is enough."""
        assert store.exists
        assert store.format


class TestFolderGivenOut(ServedContract):
    served = "hdev"
    file_name = "memory"


class TestLinesGivenOut(ServedContract):
    served = "jsonl"
    file_name = "memories.jsonl"

    @pytest.fixture
    def store(self, path: Path, records: list[MemoryRecord]) -> Store:
        """Filled without the server: each of its writes is a whole one, with a backup."""
        with super().open(path) as server:
            fill(Address("jsonl", str(path)), [server.fit(record)[0] for record in records])
        return self.open(path)
