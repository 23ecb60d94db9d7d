"""Several at once at a store that is written as a whole; and a server that is stopped in the middle of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from memdefrag.model.address import Address
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.conftest import fill
from tests.engine.serve.running import ask, given_out, program, said

ENTRY, ENTRIES = "/api/memory/entry/", "/api/memory/entries"


@pytest.fixture
def place(tmp_path: Path) -> Address:
    address = Address("jsonl", str(tmp_path / "store" / "served.jsonl"))
    address.path.parent.mkdir()
    fill(address, [MemoryRecord(Key("memories", "a"), "0", {"version": 0})])
    return address


@pytest.fixture
def url(place: Address) -> Iterator[str]:
    with given_out(str(place)) as url:
        yield url


def test_two_who_write_one_entry_both_count(url: str) -> None:
    def write(number: int) -> bool:
        body = {"content": str(number), "metadata": {f"k{number}": 1}}
        return bool(said(url, "PUT", ENTRY + "a", body)["success"])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(write, range(1, 9)))
    found = said(url, "GET", ENTRY + "a")["metadata"]
    assert found["version"] == 8
    assert {f"k{number}" for number in range(1, 9)} <= found.keys()


def test_who_reads_while_another_writes_sees_the_old_or_the_new(url: str) -> None:
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            reply = ask(url, "GET", ENTRY + "a")
            assert reply.status_code == 200
            seen.append(int(reply.json()["content"]))

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for number in range(1, 6):
                assert said(url, "PUT", ENTRY + "a", {"content": str(number)})["success"]
        finally:
            done.set()
        for reader in readers:
            reader.result()
    assert set(seen) <= set(range(6))
    assert len(seen) > 5


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_server_that_is_stopped_while_it_writes_leaves_the_old_or_the_new(
    place: Address, tmp_path: Path, how: int
) -> None:
    """And who is told that it was written finds it."""
    wanted = {"write": [{"path": f"n/{each}", "content": f"text {each}"} for each in range(500)]}
    data = tmp_path / "data"
    answers: list[bool] = []

    def write(url: str) -> None:
        try:
            reply = httpx.post(url + ENTRIES, json=wanted, trust_env=False, timeout=60)
        except httpx.TransportError:
            return
        answers.append(all(each["success"] for each in reply.json()["results"]))

    with program("serve", place, data=data) as running:
        writer = threading.Thread(target=write, args=(running.url,))
        writer.start()
        writer.join(0.15)
        running.stop(how)
        writer.join()
    with program("serve", place, data=data) as again:
        entries = said(again.url, "GET", "/api/memory/tree")["items"].get("n", {})
        assert len(entries) in (0, 500)
        assert answers in ([], [True])
        assert not answers or len(entries) == 500
        assert said(again.url, "PUT", ENTRY + "more", {"content": "x"})["success"] is True
    assert [path.name for path in place.path.parent.iterdir()] == ["served.jsonl"]
    with open_store(place) as store:
        assert len(read_snapshot(store).records) == 2 + len(entries)
