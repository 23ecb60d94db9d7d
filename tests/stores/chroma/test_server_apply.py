"""Plans carried out on a real Chroma server: whole, or taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdefrag.base import http
from memdefrag.base.errors import ServerUnreachable, WriterFailed
from memdefrag.base.http import Options, Retry
from memdefrag.base.progress import Progress
from memdefrag.engine import history, recover
from memdefrag.engine.apply import apply
from memdefrag.engine.backups import shelf
from memdefrag.engine.exchange import ImportChoices, export_store, import_store
from memdefrag.engine.journal import Job
from memdefrag.engine.restore import restore_plan
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import content_hash, record_hash
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.stores.registry import open_store, resolve
from tests.engine.stores import fill_store, merge_plan, snapshot_of
from tests.stores.chroma.proxy import Proxy, proxying
from tests.stores.chroma.running import ChromaServer, running

OLD, NEW = 20, 17
INFO = CollectionInfo("memories", 0, 0, 0, settings={"metadata": {"hnsw:space": "l2"}})


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a server of this machine to come back."""
    options = Options(retry=Retry(attempts=2, first_wait=0.01))
    monkeypatch.setattr(http.Options, "of_environment", lambda: options)


@pytest.fixture
def address(chroma_server: ChromaServer, database: str) -> Address:
    return filled(chroma_server.address(database))


def filled(text: str) -> Address:
    """Twenty memories on a server."""
    address = resolve(text)
    with open_store(address) as store:
        store.write(Changes(collections=(INFO,)), Progress())
    return fill_store(address, OLD)


def content_of(address: Address) -> str:
    return content_hash(snapshot_of(address))


def assert_tidy(address: Address) -> None:
    assert not Job.of_live(address.whole()).folder.exists()


def test_a_merge_is_written_and_undone(address: Address) -> None:
    before = content_of(address)
    ids = [info.settings["id"] for info in snapshot_of(address).collections]
    report = apply(merge_plan(address))
    assert (report.merged, len(snapshot_of(address))) == (3, NEW)
    step = history.steps(address)[0]
    apply(history.undo_plan(step))
    assert content_of(address) == before
    assert [info.settings["id"] for info in snapshot_of(address).collections] == ids


def test_a_backup_of_a_server_is_restored(address: Address) -> None:
    before = content_of(address)
    backup = apply(merge_plan(address)).backup
    assert backup
    apply(restore_plan(shelf.find(backup), snapshot_of(address)))
    assert content_of(address) == before


def test_what_another_client_changed_meanwhile_stays(address: Address) -> None:
    plan = merge_plan(address)
    with open_store(address) as other:
        one = next(record for record in snapshot_of(address) if record.key.id == "id001")
        other.write(Changes(put=(Put(replace(one, text="mine now"), record_hash(one)),)), Progress())
    report = apply(plan)
    assert (report.merged, len(report.skipped)) == (2, 1)
    assert next(r for r in snapshot_of(address) if r.key.id == "id001").text == "mine now"


@pytest.mark.case(40)
@pytest.mark.parametrize("dies", ["dies_at", "dies_after"])
def test_a_connection_that_dies_mid_batch_is_mended(chroma_server: ChromaServer, database: str, dies: str) -> None:
    with proxying(chroma_server.url) as proxy:
        address = filled(proxy.address(database))
        before, plan = content_of(address), merge_plan(address)
        for request in (1, 2):
            interrupt(proxy, dies, request)
            with pytest.raises(ServerUnreachable) as failed:
                apply(plan)
            assert "taken back" in failed.value.safe
            with pytest.raises(ServerUnreachable):
                recover.recover_all()
            proxy.revive()
            recover.recover_all()
            assert content_of(address) == before
            assert_tidy(address)
        apply(plan)
        assert len(snapshot_of(address)) == NEW


def interrupt(proxy: Proxy, dies: str, request: int) -> None:
    proxy.writes = 0
    setattr(proxy, dies, request)


@pytest.mark.case(40)
def test_a_server_that_is_killed_mid_write_is_mended_when_it_is_back(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server, proxying(server.url) as proxy:
        address = filled(f"chroma+http://127.0.0.1:{proxy.port}")
        before, plan = content_of(address), merge_plan(address)
        interrupt(proxy, "dies_after", 1)
        with pytest.raises(ServerUnreachable):
            apply(plan)
        server.kill()
        proxy.revive()
        with pytest.raises(ServerUnreachable):
            recover.recover_all()
        server.start()
        recover.recover_all()
        assert content_of(address) == before
        assert_tidy(address)


def test_a_database_is_a_store_of_its_own(chroma_server: ChromaServer, address: Address) -> None:
    """Backups, histories and jobs of one database are not those of another."""
    other = parse(chroma_server.address("default_database"))
    apply(merge_plan(address))
    assert history.steps(address)
    assert not history.steps(other)
    assert Job.of_live(address.whole()).folder != Job.of_live(other.whole()).folder


@pytest.mark.case(40)
def test_a_record_that_the_server_would_round_is_brought_back_as_near_as_it_can_hold(tmp_path: Path) -> None:
    """Times in a folder of an older Chroma have more digits than a newer server takes."""
    exact = 1750303248.8206499
    vectors = np.eye(8, dtype=np.float32)
    records = [MemoryRecord(Key("memories", f"id{n:03}"), f"text {n}", {"t": exact}, vectors[n]) for n in range(8)]
    with open_store(Address("chroma", str(tmp_path / "data")), must_exist=False) as folder:
        folder.write(Changes(put=tuple(Put(record, None) for record in records), collections=(INFO,)), Progress())
    with running(tmp_path / "data") as server, proxying(server.url) as proxy:
        address = resolve(f"chroma+http://127.0.0.1:{proxy.port}")
        assert {record.metadata["t"] for record in snapshot_of(address)} == {exact}
        interrupt(proxy, "dies_after", 2)
        with pytest.raises(ServerUnreachable):
            apply(merge_plan(address, pairs=1))
        proxy.revive()
        recover.recover_all()
        times = {record.key.id: record.metadata["t"] for record in snapshot_of(address)}
        assert times.keys() == {record.key.id for record in records}
        assert all(time == pytest.approx(exact, rel=1e-15) for time in times.values())
        assert "id001" in {id for id, time in times.items() if time != exact}
        assert_tidy(address)


def test_one_memory_tells_whether_a_server_takes_any(chroma_server: ChromaServer, database: str) -> None:
    with proxying(chroma_server.url) as proxy:
        address = filled(proxy.address(database))
        before, plan = content_of(address), merge_plan(address, 5)
        proxy.sent.clear()
        proxy.refuses = True
        with pytest.raises(WriterFailed) as refused:
            apply(plan)
        assert proxy.sent == [1]
        assert refused.value.safe == "Your store was not changed."
        assert content_of(address) == before
        assert_tidy(address)
        proxy.refuses = False
        proxy.sent.clear()
        assert apply(plan).merged == 5
        assert proxy.sent == [1, 1, 4, 4]


def test_a_file_goes_into_a_collection_that_the_server_lacks(address: Address, tmp_path: Path) -> None:
    file = Address("jsonl", str(tmp_path / "memories.jsonl"))
    export_store(str(address), file)
    for target, name in ((address.select("taken-over"), "taken-over"), (address, "named")):
        report = import_store(str(file), target, choices=ImportChoices(None if target.collection else name))
        assert (report.written, report.skipped) == (OLD, ())
        assert [warning for warning in report.warnings if "it is new" in warning]
        with open_store(address) as store:
            assert {info.name: info.count for info in store.collections()}[name] == OLD
        with open_store(file) as one, open_store(address) as other:
            wanted = {r.key.id: r.text for batch in one.scan("memories") for r in batch}
            assert {r.key.id: r.text for batch in other.scan(name) for r in batch} == wanted
    again = import_store(str(file), address.select("taken-over"))
    assert (again.written, again.warnings) == (0, ())


def test_a_file_goes_into_a_server_that_holds_nothing(
    chroma_server: ChromaServer, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text('{"id": "a", "text": "One.", "embedding": [1, 0]}\n', encoding="utf-8")
    address = resolve(chroma_server.address(database))
    import_store(str(file), address)
    assert [record.key for record in snapshot_of(address)] == [Key("memory_collection", "a")]
