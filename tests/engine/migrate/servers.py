"""New places for stores of every kind, those on servers too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from memdefrag.model.address import Address, parse
from tests.engine.migrate.kinds import FILES
from tests.stores.chroma import running as chroma
from tests.stores.hdev import server as hdev
from tests.stores.postgres import schemas
from tests.stores.postgres import server as postgres

SERVERS = ("chroma+http", "hdev+http", "bigmemory", "federated")


@dataclass
class Places:
    """Makes an empty place for a store whenever one is asked for. Servers start when they are needed."""

    folder: Path
    open: ExitStack
    made: int = 0
    running: dict[str, object] = field(default_factory=dict)

    def __call__(self, kind: str) -> Address:
        self.made += 1
        if kind in FILES:
            (self.folder / str(self.made)).mkdir()
            return Address(kind, str(self.folder / str(self.made) / FILES[kind]))
        if kind == "hdev+http":
            (self.folder / str(self.made)).mkdir()
            return parse(self.open.enter_context(hdev.serving(self.folder / str(self.made))).address)
        return self._database(kind)

    def _database(self, kind: str) -> Address:
        if kind == "chroma+http":
            server = self.running.get(kind) or self.open.enter_context(chroma.running(self.folder / "chroma-server"))
            assert isinstance(server, chroma.ChromaServer)
            server.make_database(f"db{self.made}")
            self.running[kind] = server
            return parse(server.address(f"db{self.made}"))
        if sys.platform == "win32":
            pytest.skip("the server is reached by a socket in a folder")
        database = self.running.get("postgres") or self.open.enter_context(postgres.running())
        assert isinstance(database, postgres.Server)
        self.running["postgres"] = database
        schema = {"bigmemory": schemas.bigmemory, "federated": schemas.federated}[kind]
        return Address(kind, database.schema(schema(vectors=database.has_vectors)))


@contextmanager
def new_places(folder: Path) -> Iterator[Places]:
    """Places under a folder; all servers end with it."""
    with ExitStack() as opened:
        yield Places(folder, opened)
