"""The command that makes a collection on a real Chroma server anew, under its own name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memdefrag.analysis.embedding import embed as models
from memdefrag.base.errors import UsageError
from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, MemoryRecord
from memdefrag.stores.chroma.server_staged import MARK
from memdefrag.stores.registry import open_store, resolve
from tests.cli.conftest import Cli, cli  # noqa: F401 - a fixture
from tests.engine.stores import fill_store
from tests.stores.chroma.running import ChromaServer

needs_model = pytest.mark.skipif(not models.is_available(), reason="needs the models extra")
COUNT = 8


@pytest.fixture
def address(chroma_server: ChromaServer, database: str) -> Address:
    """Eight memories under l2."""
    address = resolve(chroma_server.address(database))
    with open_store(address) as store:
        store.write(Changes(collections=(CollectionInfo("memories", 0, 0, 0, metric="l2"),)), Progress())
    return fill_store(address, COUNT).select("memories")


def infos(address: Address) -> dict[str, CollectionInfo]:
    with open_store(address.select(None)) as store:
        return {info.name: info for info in store.collections()}


def records(address: Address) -> dict[str, MemoryRecord]:
    with open_store(address) as store:
        return {record.key.id: record for batch in store.scan("memories") for record in batch}


def test_another_metric_and_the_old_collection_until_it_is_dropped(cli: Cli, address: Address) -> None:  # noqa: F811
    before = records(address)
    rehearsed = cli("migrate", address, address, "--metric", "ip", "--dry-run", "--json").json
    assert (rehearsed["dry_run"], rehearsed["written"]) == (True, COUNT)
    assert list(infos(address)) == ["memories"]
    ended = cli("migrate", address, address, "--metric", "ip")
    assert ended.code == 0
    assert "Restart the programs" in ended.out
    assert infos(address)["memories"].metric == "ip"
    [old] = [name for name in infos(address) if MARK in name]
    assert old in ended.out
    after = records(address)
    assert {id: record.text for id, record in after.items()} == {id: record.text for id, record in before.items()}
    assert cli("migrate", address, address, "--drop-old", "--dry-run").code == 0
    assert old in infos(address)
    assert cli("migrate", address, address, "--drop-old").code == 0
    assert list(infos(address)) == ["memories"]
    assert "No old collection" in cli("migrate", address, address, "--drop-old").out


def test_the_old_collection_goes_at_once_where_that_is_asked(cli: Cli, address: Address) -> None:  # noqa: F811
    ended = cli("migrate", address, address, "--metric", "ip", "--drop-old")
    assert (ended.code, list(infos(address)), len(records(address))) == (0, ["memories"], COUNT)
    assert "is gone" in ended.out


@needs_model
def test_other_vectors(cli: Cli, address: Address) -> None:  # noqa: F811
    ended = cli("migrate", address, address, "--re-embed", models.DEFAULT_MODEL)
    assert ended.code == 0
    new = infos(address)["memories"]
    assert (new.dimension, new.settings["embedding_function"]["name"]) == (384, "default")
    found = records(address)
    [wanted] = models.load().embed([found["id000"].text or ""])
    assert found["id000"].embedding is not None
    assert np.allclose(found["id000"].embedding, wanted, atol=1e-5)


@pytest.mark.parametrize("more", [["--prefix", "id00"], ["--catch-up"], ["--target-collection", "x"]])
def test_it_stays_whole(cli: Cli, address: Address, more: list[str]) -> None:  # noqa: F811
    assert cli("migrate", address, address, "--metric", "ip", *more).code == UsageError.exit_code
    assert list(infos(address)) == ["memories"]


def test_a_local_folder_is_not_made_anew_in_its_place(cli: Cli, tmp_path: Path) -> None:  # noqa: F811
    store = fill_store(Address("jsonl", str(tmp_path / "store.jsonl")), COUNT)
    before = store.path.read_bytes()
    ended = cli("migrate", store, store, "--re-embed", models.DEFAULT_MODEL)
    assert ended.code == UsageError.exit_code
    assert "memdefrag migrate STORE NEW --re-embed MODEL" in ended.err
    assert cli("migrate", store, tmp_path / "other.jsonl", "--metric", "ip").code == UsageError.exit_code
    assert store.path.read_bytes() == before
