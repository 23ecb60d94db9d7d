"""A server that takes many entries at once is asked so, and believed no more than any other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.base.errors import ServerRefused
from memdefrag.base.http import Answer, Client
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.hdev import bulk
from memdefrag.stores.hdev.store import COLLECTION
from memdefrag.stores.registry import open_store
from tests.engine.serve.running import given_out
from tests.stores.hdev import server
from tests.stores.hdev.server import serving

Requests = list[tuple[str, str]]


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Requests:
    """What the client asks, in its order."""
    seen: Requests = []
    ask = Client.request

    def request(self: Client, method: str, path: str, **more: Any) -> Answer:
        seen.append((method, path))
        return ask(self, method, path, **more)

    monkeypatch.setattr(Client, "request", request)
    return seen


@pytest.fixture
def url(root: Path) -> Iterator[str]:
    with given_out(f"hdev:{root}") as url:
        yield f"hdev+{url}"


def records(url: str, count: int, text: str = "text") -> list[MemoryRecord]:
    with open_store(url) as store:
        some = (
            MemoryRecord(Key(COLLECTION, f"topic-{number % 3}/{number}"), f"{text} {number}", {"n": number})
            for number in range(count)
        )
        return [store.fit(record)[0] for record in some]


def write(url: str, wanted: list[MemoryRecord], before: dict[Key, MemoryRecord] | None = None) -> None:
    old = before or {}
    with open_store(url) as store:
        puts = [Put(each, record_hash(old[each.key]) if each.key in old else None) for each in wanted]
        store.write(Changes(put=tuple(puts)), Progress())


def found(url: str) -> dict[Key, MemoryRecord]:
    with open_store(url) as store:
        return dict(read_snapshot(store).by_key)


def hashes(some: Any) -> list[str]:
    return sorted(record_hash(record) for record in some)


def test_many_entries_take_few_requests(url: str, requests: Requests) -> None:
    wanted = records(url, 40)
    write(url, wanted)
    assert requests.count(("POST", bulk.ENTRIES)) == 2
    assert len(requests) < 10
    assert hashes(found(url).values()) == hashes(wanted)


def test_few_entries_are_asked_for_as_ever(url: str, requests: Requests) -> None:
    write(url, records(url, 3))
    found(url)
    assert ("POST", bulk.ENTRIES) not in requests
    assert ("GET", "/api/health") not in requests


def test_what_is_there_is_replaced_whole(url: str) -> None:
    """Also metadata that are to be gone, which a server only merges."""
    write(url, records(url, 20))
    changed = [
        MemoryRecord(key, f"new {each.text}", {name: value for name, value in each.metadata.items() if name != "n"},
                     created=each.created, updated=each.updated)
        for key, each in found(url).items()
    ]  # fmt: skip
    write(url, [*changed[:15]], found(url))
    now = found(url)
    assert hashes(now[each.key] for each in changed[:15]) == hashes(changed[:15])


def test_a_server_that_only_says_so_is_asked_one_by_one(
    root: Path, monkeypatch: pytest.MonkeyPatch, requests: Requests
) -> None:
    promise(monkeypatch)
    with serving(root) as running:
        wanted = records(running.address, 20)
        write(running.address, wanted)
        assert hashes(found(running.address).values()) == hashes(wanted)
    assert ("POST", bulk.ENTRIES) in requests
    assert sum(method == "PUT" for method, _ in requests) == 20


def promise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every server seem to take many."""
    monkeypatch.setattr(bulk, "is_offered", lambda _: True)


def test_what_was_not_written_together_goes_by_itself(
    url: str, monkeypatch: pytest.MonkeyPatch, requests: Requests
) -> None:
    wanted = records(url, 20)
    real = bulk.answers

    def doubtful(said: Any, asked: Any) -> list[dict[str, Any]]:
        answers = real(said, asked)
        return [{**each, "success": each["success"] and "content" in each} for each in answers]

    monkeypatch.setattr(bulk, "answers", doubtful)
    write(url, wanted)
    assert sum(method == "PUT" for method, _ in requests) == 20
    assert hashes(found(url).values()) == hashes(wanted)


def test_why_one_of_many_was_not_written_is_told(url: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It came in between the look and the request."""
    wanted = records(url, 20)
    real = bulk.writes

    def meanwhile(some: Any) -> Any:
        server.put(root, "topic-1/4/inside", {"content": "somebody else's"})
        return real(some)

    monkeypatch.setattr(bulk, "writes", meanwhile)
    with pytest.raises(ServerRefused, match="'topic-1/4' is a folder"):
        write(url, wanted)
    assert (root / "topic-1/4/inside.md").read_text() == "somebody else's"


def test_a_long_answer_is_asked_for_in_parts(url: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from memdefrag.engine.serve import bodies

    monkeypatch.setattr(bodies, "BULK_BYTES", 300)
    monkeypatch.setattr(bulk, "READ_AT_ONCE", 7)
    for number in range(20):
        server.put(root, f"n{number}", {"content": "x" * number * 20})
    with open_store(f"hdev:{root}") as folder:
        assert hashes(found(url).values()) == hashes(read_snapshot(folder).records)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 300)))
def test_every_entry_that_fits_is_in_one_request(sizes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bulk, "BYTES", 500)
        patched.setattr(bulk, "WRITTEN_AT_ONCE", 3)
        some = [MemoryRecord(Key(COLLECTION, f"n{n}"), "é" * size, {}) for n, size in enumerate(sizes)]
        parts = list(bulk.writes(some))
    for part, body in parts:
        assert 0 < len(part) <= 3
        assert len(body) <= 500
        assert [each["path"] for each in json.loads(body)["write"]] == [record.key.id for record in part]
    sent = [record for part, _ in parts for record in part]
    large = {record.key for record in some if len(json.dumps(_item(record))) > 400}
    assert sent == [record for record in some if record.key not in large]


def _item(record: MemoryRecord) -> dict[str, Any]:
    return {"path": record.key.id, "content": record.text, "metadata": record.metadata}


@pytest.mark.parametrize(
    "said",
    [None, {}, [], [{"path": "b"}], ["a"], [{"path": "a"}, {"path": "c"}],
     [{"path": "a"}, {"path": "b"}, {"path": "c"}]],
)  # fmt: skip
def test_answers_to_something_else_are_refused(said: Any) -> None:
    with pytest.raises(ServerRefused):
        bulk.answers(said, ["a", "b"])


@pytest.mark.parametrize("health", [{}, {"details": None}, {"details": {"bulk": "yes"}}, {"details": {}}])
def test_only_a_server_that_says_so_takes_many(health: dict[str, Any]) -> None:
    assert not bulk.is_offered(health)
