"""The memory server: nothing it hides is lost without a word, nothing it says is believed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import NotAStore, ServerRefused, ServerUnreachable, UsageError
from memdefrag.base.http import Client, Options, Retry
from memdefrag.base.progress import Progress
from memdefrag.model.address import parse
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import StoreSettings, read_snapshot
from memdefrag.stores.hdev import http, names
from memdefrag.stores.hdev.files import HdevFiles
from memdefrag.stores.hdev.http import HdevHttp, HdevHttps, _path
from memdefrag.stores.hdev.listing import names_in
from memdefrag.stores.hdev.store import COLLECTION
from memdefrag.stores.registry import open_store
from tests.stores.hdev import server
from tests.stores.hdev.server import MemoryServer, serving

KEY = "canary-key-5150"
TIMES = {"updated": "1795177582.5007188", "version": 1, "created": "1700000000.5"}
NOT_OURS = ("search", "backup", "restore")
"""Routes that memdefrag does not ask."""


@pytest.fixture
def running(root: Path) -> Iterator[MemoryServer]:
    with serving(root) as state:
        yield state


@pytest.fixture
def store(running: MemoryServer) -> Iterator[HdevHttp]:
    with HdevHttp(parse(running.address), StoreSettings()) as opened:
        yield opened


def entry(root: Path, name: str, text: str = "text", **metadata: Any) -> None:
    server.put(root, name, {"content": text, "metadata": {**TIMES, **metadata}})


def texts(store: HdevHttp) -> dict[str, str | None]:
    return {record.key.id: record.text for record in read_snapshot(store)}


def written(store: HdevHttp, name: str, text: str, metadata: dict[str, Any], before: str | None = None) -> MemoryRecord:
    tags = tuple(metadata.get("tags", ()))
    record, _ = store.fit(MemoryRecord(Key(COLLECTION, name), text, metadata, tags=tags))
    store.write(Changes(put=(Put(record, before),)), Progress())
    [found] = store.fetch([record.key])
    assert record_hash(found) == record_hash(record)
    return found


def test_a_server_says_what_its_folder_says(store: HdevHttp, root: Path) -> None:
    entry(root, "first", "Made at another time.", created="1600000000.5")
    for name in ("global", "a/b", "a/c/d", "notes with spaces/list", "ünïcødé/日本", "q?uestion#100%", "a+b&c=d"):
        entry(root, name, f"text of {name}", called=name)
    with HdevFiles(parse(f"hdev:{root}"), StoreSettings()) as folder:
        assert read_snapshot(store).by_key == read_snapshot(folder).by_key
    assert store.problems() == []


def test_a_large_server_is_read_in_small_lists(
    store: HdevHttp, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HdevHttp, "most_at_once", 2)
    for name in "abcde":
        entry(root, name)
    assert [[record.key.id for record in batch] for batch in store.scan(COLLECTION)] == [["a", "b"], ["c", "d"], ["e"]]


def test_an_empty_folder_is_no_memory(store: HdevHttp, root: Path) -> None:
    entry(root, "a")
    (root / "empty").mkdir()
    (root / "below" / "empty").mkdir(parents=True)
    assert texts(store) == {"a": "text"}
    assert store.collections()[0].count == 1
    assert store.problems() == []


def test_a_memory_hidden_by_a_folder_is_told(store: HdevHttp, root: Path) -> None:
    entry(root, "topic/inner")
    entry(root, "topic")
    assert texts(store) == {"topic/inner": "text"}
    [problem] = store.problems()
    assert problem.startswith("'topic' is hidden by the folder")
    [(key, reason)] = store.unreadable()
    assert key.id == "topic"
    assert reason.startswith("is hidden by the folder")


@pytest.mark.parametrize("trap", ["missing metadata", "broken metadata", "not UTF-8", "dotted"])
def test_what_cannot_be_read_is_told(store: HdevHttp, root: Path, trap: str) -> None:
    entry(root, "good")
    entry(root, "bad" if trap != "dotted" else "bad.1")
    match trap:
        case "missing metadata":
            (root / "bad.metadata.json").unlink()
        case "broken metadata":
            (root / "bad.metadata.json").write_text("{")
        case "not UTF-8":
            (root / "bad.md").write_bytes(b"\xff")
    assert texts(store) == {"good": "text"}
    [problem] = store.problems()
    assert problem.startswith("'bad' cannot be read")
    record, _ = store.fit(MemoryRecord(Key(COLLECTION, "bad"), "new", {}))
    with pytest.raises(UsageError, match="leaves it alone"):
        store.write(Changes(put=(Put(record, None),)), Progress())


def test_metadata_are_replaced_not_merged(store: HdevHttp, root: Path) -> None:
    entry(root, "a", old=1, both=1)
    [old] = store.fetch([Key(COLLECTION, "a")])
    found = written(store, "a", "new", {"both": 2, "new": 3, **TIMES}, record_hash(old))
    assert found.metadata == {"both": 2, "new": 3, **TIMES}


def test_what_the_record_says_of_version_and_times_stays(store: HdevHttp, root: Path) -> None:
    metadata = {"version": 41, "created": "1700000000.5", "updated": "1.5", "k": None, "tags": ["a"]}
    assert written(store, "a", "x", metadata).metadata == metadata
    assert json.loads((root / "a.metadata.json").read_text()) == metadata


def test_line_breaks_are_the_servers_and_that_is_told(store: HdevHttp) -> None:
    fitted, losses = store.fit(MemoryRecord(Key(COLLECTION, "a"), "a\r\nb\rc", TIMES))
    assert fitted.text == "a\nb\nc"
    assert losses == ("the kind of line breaks",)
    written(store, "a", "a\r\nb\rc", TIMES)


@pytest.mark.parametrize("name", ["v1.2", "note.md", "a/v.1"])
def test_a_name_the_server_would_lose_is_refused(store: HdevHttp, running: MemoryServer, name: str) -> None:
    record, _ = store.fit(MemoryRecord(Key(COLLECTION, name), "x"))
    with pytest.raises(UsageError, match="dot in its last part"):
        store.write(Changes(put=(Put(record, None),)), Progress())
    assert running.written() == []


@pytest.mark.parametrize("name", ["a/b", "a/b/c", "folder"])
def test_an_entry_that_would_hide_or_be_hidden_is_refused(
    store: HdevHttp, running: MemoryServer, root: Path, name: str
) -> None:
    entry(root, "a")
    entry(root, "folder/x")
    record, _ = store.fit(MemoryRecord(Key(COLLECTION, name), "x"))
    with pytest.raises(UsageError):
        store.write(Changes(put=(Put(record, None),)), Progress())
    assert running.written() == []


def test_of_many_new_entries_the_tree_tells_that_they_are_not_there(
    store: HdevHttp, running: MemoryServer, root: Path
) -> None:
    entry(root, "present")
    keys = [Key(COLLECTION, f"new/{number}") for number in range(30)]
    [found] = store.fetch([*keys, Key(COLLECTION, "present")])
    assert found.key.id == "present"
    assert [path for _, path, _ in running.requests if path != "/api/health"] == [
        "/api/memory/tree?depth=-1", "/api/memory/entry/present"]  # fmt: skip
    store.write(Changes(put=tuple(Put(store.fit(MemoryRecord(key, "text"))[0], None) for key in keys)), Progress())
    assert len(store.fetch(keys)) == 30


def test_a_tree_that_leaves_something_out_does_not_tell_what_is_not_there(
    store: HdevHttp, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"deep/down/{number}" for number in range(30)]
    for name in names:
        entry(root, name)
    cut = {"type": "tree", "path": "", "items": {"deep": {"...": {}}}, "success": True, "error": None}
    monkeypatch.setattr(server, "tree", lambda *_: cut)
    assert len(store.fetch(Key(COLLECTION, name) for name in names)) == 30


def test_entries_that_would_hide_each_other_are_refused_one_by_one(store: HdevHttp) -> None:
    names = ["a", "a/b", "c/d", "c", "a/b/c", "e", "e"]
    refused = [name for name in names if store.refusal(MemoryRecord(Key(COLLECTION, name), "x"))]
    assert refused == ["a/b", "c", "a/b/c"]


@pytest.mark.parametrize("name", ["../escaped", "..", "", "/etc/passwd", "a/../../b", "a\\b", "C:x"])
def test_hostile_names_are_never_sent(store: HdevHttp, running: MemoryServer, name: str) -> None:
    key = Key(COLLECTION, name)
    assert store.fetch([key]) == []
    with pytest.raises(UsageError, match="The name"):
        store.write(Changes(put=(Put(MemoryRecord(key, "x"), None),)), Progress())
    with pytest.raises(UsageError, match="The name"):
        store.write(Changes(delete=(Ref(key, "0" * 64),)), Progress())
    assert running.requests == []


def test_a_tree_that_leads_out_is_told_and_not_followed(
    running: MemoryServer, store: HdevHttp, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry(root, "good")
    tree = server.tree(root, "", -1)
    tree["items"] |= {"..": {"etc": {}}, "a/../..": {}, "": {}, "...": {}, "odd": 5}
    monkeypatch.setattr(server, "tree", lambda *_: tree)
    honest = server.get
    items = [{"type": "leaf", "path": "../escaped"}, {"type": "node", "path": "other/place"}, 7]

    def get(folder: Path, name: str) -> dict[str, Any]:
        said = honest(folder, name)
        return {**said, "items": said["items"] + items} if name == "" else said

    monkeypatch.setattr(server, "get", get)
    assert texts(store) == {"good": "text"}
    told = " ".join(store.problems())
    for name in ("..", "a/../..", "odd", "../escaped", "other/place"):
        assert repr(name) in told
    assert {unquote(path).partition("?")[0] for _, path, _ in running.requests} == {
        "/api/memory/tree", "/api/memory/entry/", "/api/memory/entry/good"}  # fmt: skip


def test_a_folder_the_server_does_not_tell_is_told(
    store: HdevHttp, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry(root, "shy/a")
    honest = server.get
    silent = {"type": "error", "success": False, "error": "no", "items": None, "content": None, "metadata": None}
    monkeypatch.setattr(server, "get", lambda folder, name: silent if name == "shy" else honest(folder, name))
    assert texts(store) == {"shy/a": "text"}
    [problem] = store.problems()
    assert "'shy'" in problem


def test_a_memory_that_became_a_folder_is_not_deleted(store: HdevHttp, root: Path, running: MemoryServer) -> None:
    """Between the look and the request; a DELETE would take all that is in it."""
    entry(root, "a")
    entry(root, "a-b/kept")
    (root / "a.md").unlink()
    (root / "a-b").rename(root / "a")
    with pytest.raises(ServerRefused, match="become a folder"):
        store._delete("a")
    assert (root / "a/kept.md").exists()
    assert running.written() == []


@pytest.mark.case(39)
def test_the_key_is_asked_for_and_sent(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry(root, "a")
    with serving(root, KEY) as running:
        with open_store(running.address) as locked, pytest.raises(ServerRefused, match="wants a key"):
            locked.collections()
        monkeypatch.setenv("HDEV_MEMORY_HTTP_API_KEY", KEY)
        with open_store(running.address) as opened:
            assert opened.collections()[0].count == 1
            assert KEY not in repr(opened.__dict__)


def test_nobody_there_is_never_an_empty_store(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = Options(retry=Retry(attempts=1))
    monkeypatch.setattr(Options, "of_environment", lambda: quick)
    with open_store("hdev+http://127.0.0.1:9") as store:
        fetch = partial(store.fetch, [Key(COLLECTION, "a")])
        for ask in (lambda: store.exists, store.collections, store.problems, fetch):
            with pytest.raises(ServerUnreachable):
                ask()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, {}, b"not here"), NotAStore),
        ((200, {}, b"<html>"), ServerRefused),
        ((200, {}, b"[]"), ServerRefused),
        ((200, {}, b'{"success": false, "error": "broken"}'), ServerRefused),
        ((200, {}, b'{"success": true, "items": []}'), ServerRefused),
        ((422, {}, b"{}"), ServerRefused),
    ],
)
def test_another_server_is_no_store(
    running: MemoryServer, store: HdevHttp, answer: tuple[int, dict[str, str], bytes], error: type[Exception]
) -> None:
    running.faults.answer = answer
    with pytest.raises(error):
        store.collections()
    with pytest.raises((NotAStore, ServerRefused)):
        assert store.exists


def test_a_server_that_is_not_well_is_refused(running: MemoryServer, store: HdevHttp) -> None:
    assert store.exists
    running.faults.answer = (200, {}, b'{"healthy": false, "message": "no disk"}')
    with pytest.raises(ServerRefused, match="no disk"):
        assert store.exists


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {}, b'{"success": false, "error": "no"}'), (200, {}, b'{"type": "tree", "success": true, "items": {"a":'),
        (200, {}, b'{"type": "tree", "success": true, "items": ["a"]}'), (200, {}, b"[]"), (200, {}, b"null"),
        (200, {}, b"[" * 100_000), (200, {}, b'{"items": 1e999, "success": true}'), (200, {}, b"\xff"), (204, {}, b""),
        (307, {"Location": "http://127.0.0.1:9/"}, b""), (200, {"Content-Encoding": "gzip"}, b"{}"),
    ],
)  # fmt: skip
def test_an_odd_answer_is_a_refusal_and_never_an_empty_store(
    running: MemoryServer, store: HdevHttp, status: int, headers: dict[str, str], body: bytes
) -> None:
    running.faults.answer = (status, headers, body)
    with pytest.raises(ServerRefused):
        store.collections()
    with pytest.raises(ServerRefused):
        list(store.scan("memories"))
    assert running.written() == []


def test_folders_that_are_made_up_without_end_are_not_followed(
    store: HdevHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MOST_FOLDERS", 500)

    def answers(asked: Any) -> list[dict[str, Any]]:
        below = [[{"type": "node", "path": f"{one}/{part}".strip("/")} for part in "xyz"] for one in asked]
        return [{"type": "directory", "items": items} for items in below]

    monkeypatch.setattr(store, "_entries", answers)
    with pytest.raises(ServerRefused, match="ever more folders"):
        store.collections()


def test_both_schemes_are_known() -> None:
    with open_store("hdev+https://127.0.0.1:9") as store:
        assert isinstance(store, HdevHttps)
        assert store.address.url == "https://127.0.0.1:9"


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=4))
def test_every_name_survives_the_way_to_the_server(parts: list[str]) -> None:
    name = "/".join(parts)
    if names.fault_of(name) is None:
        path = _path(name)
        assert re.fullmatch(r"[A-Za-z0-9/._~%-]+", path)
        assert unquote(path) == "/api/memory/entry/" + name
        assert path.count("/") == 3 + len(name.split("/"))


parts = st.sampled_from(["a", "b", "..", "...", "a/b", "", "\\"])
trees = st.recursive(st.just({}), lambda below: st.dictionaries(parts, below, max_size=3))


@given(trees)
def test_every_name_of_a_tree_is_sound_or_told(items: dict[str, Any]) -> None:
    hostile: set[str] = set()
    found = dict(names_in(items, hostile))
    assert all(names.fault_of(name) is None for name in found)
    assert items.keys() - {"..."} <= found.keys() | hostile


def recorded(shared: Path) -> Iterator[tuple[str, str, str | None, str, str]]:
    """Method, path, body, status and answer of each request of the real transcript that carried the key."""
    text = (shared / "fixtures/hdev_transcript.txt").read_text("utf-8")
    form = re.compile(
        r"^\$ curl (?:-X (?P<method>\w+) )?-H Authorization: Bearer test-key-123 "
        r"(?:-H Content-Type: application/json -d (?P<body>[^\n]*) )?(?P<path>/\S*)$\n"
        r"HTTP/1.1 (?P<status>\d+).*?\n\n(?P<answer>.*?)\n\n",
        re.M | re.S,
    )
    for found in form.finditer(text):
        yield found["method"] or "GET", found["path"], found["body"], found["status"], found["answer"]


def test_our_small_server_answers_as_the_real_one(shared: Path, tmp_path: Path) -> None:
    root = shutil.copytree(shared / "fixtures/hdev_fs", tmp_path / "memory", copy_function=shutil.copy)
    compared = []
    with serving(root, "test-key-123") as running, Client(running.url, _key()) as client:
        for method, path, body, status, answer in recorded(shared):
            route, _, query = path.partition("?")
            if status != "200" or route.endswith("entry/") or any(word in route for word in NOT_OURS):
                continue
            given = dict(pair.split("=", 1) for pair in query.split("&")) if query else None
            said = client.request(method, route, query=given, body=json.loads(body) if body else None)
            real = json.loads(answer)
            assert without_times(said.json()) == without_times(real), path
            compared.append(path)
    assert len(compared) > 20


def _key() -> Any:
    from memdefrag.base.secrets import Secret

    return Secret("test-key-123")


def without_times(said: dict[str, Any]) -> dict[str, Any]:
    """Trees are in the order of the disk; dicts are compared without it."""
    return {name: value for name, value in said.items() if name != "timestamp"}
