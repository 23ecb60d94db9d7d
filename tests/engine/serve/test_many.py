"""Requests for many entries say and do what as many single ones would."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.engine import history
from memdefrag.engine.serve import bodies, writing
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.engine.serve.running import KEY, ask, given_out, said
from tests.engine.serve.test_server import files
from tests.stores.hdev import server

ENTRY, ENTRIES = "/api/memory/entry/", "/api/memory/entries"
NAMES = ["a", "a/b", "a.1", "a.2", "b/c", "b/c/d", "ünï/日本", "q?#100%", "broken", "shy", "old", "b"]
TROUBLE = "Error writing memory entry"
HOSTILE = ["..", "../secret", "/etc/passwd", "a//b", "a\\b", "C:x", "b/../../secret", "x" * 300]


@dataclass
class Served:
    """A folder that is given out, and a client that stays connected."""

    root: Path
    url: str
    client: httpx.Client

    def clear(self) -> None:
        shutil.rmtree(self.root)
        self.root.mkdir()

    def one(self, method: str, path: str, body: Any = None) -> Any:
        # Nothing on the way may take a part of it for another.
        raw = (ENTRY + quote(path, safe="").replace(".", "%2E")).encode()
        request = httpx.Request(method, httpx.URL(self.url, raw_path=raw), json=body)
        return self.client.send(request).json()

    def many(self, body: Any) -> Any:
        return self.client.post(self.url + ENTRIES, json=body).json()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Served]]:
    with ExitStack() as stack:

        def served() -> Served:
            root = tmp_path_factory.mktemp("served") / "memory"
            root.mkdir()
            (root.parent / "secret.md").write_text("not yours")
            (root.parent / "secret.metadata.json").write_text("{}")
            url = stack.enter_context(given_out(f"hdev:{root}"))
            return Served(root, url, stack.enter_context(httpx.Client(trust_env=False)))

        yield served(), served()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    server.put(tmp_path / "memory", "a", {"content": "text of a"})
    with given_out(f"hdev:{tmp_path / 'memory'}") as url:
        yield url


def fill(root: Path, present: list[str]) -> None:
    for name in present:
        server.put(root, name, {"content": f"text of {name}", "metadata": {"created": "1.5", "updated": "1.5"}})
    if "broken" in present:
        (root / "broken.metadata.json").write_text("{")
    if "shy" in present:
        (root / "shy.metadata.json").unlink()
    if "old" in present:
        (root / "old.md").write_bytes(b"\xff")


@settings(max_examples=40)
@given(st.lists(st.sampled_from(NAMES), unique=True), st.lists(st.sampled_from([*NAMES, *HOSTILE, ""]), min_size=1))
def test_many_are_read_as_each_by_itself(
    pair: tuple[Served, Served], present: list[str], asked: list[str]
) -> None:
    served = pair[0]
    served.clear()
    fill(served.root, present)
    answers = served.many({"read": asked})["entries"]
    assert answers == [served.one("GET", name) for name in asked]
    assert "not yours" not in json.dumps(answers)


wishes = st.lists(
    st.fixed_dictionaries(
        {"path": st.sampled_from([*NAMES, *HOSTILE]), "content": st.sampled_from(["", "one", "zwei\n"])},
        optional={"metadata": st.sampled_from([None, {}, {"k": 1}, {"version": 41, "tags": ["a"]}])},
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(NAMES), unique=True), wishes)
def test_many_are_written_as_one_after_the_other(
    pair: tuple[Served, Served], present: list[str], wanted: list[dict[str, Any]]
) -> None:
    for served in pair:
        served.clear()
        fill(served.root, present)
    together, apart = pair
    results = together.many({"write": wanted})["results"]
    assert results == [
        apart.one("PUT", each["path"], {name: each[name] for name in each.keys() - {"path"}}) for each in wanted
    ]
    assert all(result["error"].startswith(f"{TROUBLE}: the path ") for result in results if result["path"] in HOSTILE)
    assert without_times(together.root) == without_times(apart.root)
    assert (together.root.parent / "secret.md").read_text() == "not yours"


def without_times(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, data in files(root.parent).items():
        found[name] = data
        if name.endswith(".metadata.json") and data != b"{":
            told = json.loads(data)
            found[name] = {each: told[each] for each in told.keys() - {"updated", "created"}}
    return found


def test_one_that_fails_does_not_spoil_the_others(url: str, tmp_path: Path) -> None:
    wanted = [{"path": name, "content": "new"} for name in ("b", "a/inside", "../out", "c/d")]
    results = said(url, "POST", ENTRIES, {"write": wanted})["results"]
    assert [result["success"] for result in results] == [True, False, False, True]
    assert "would hide" in results[1]["error"]
    assert {"b.md", "c/d.md"} <= files(tmp_path / "memory").keys()
    assert not (tmp_path / "memory/a").exists()


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"read": ["a"], "write": []}, {"read": "a"}, {"read": [1]}, {"read": ["a"] * (writing.AT_ONCE + 1)},
     {"write": ["a"]}, {"write": [{"path": "a"}]}, {"write": [{"path": "a", "content": 1}]},
     {"write": [{"path": "b", "content": "x"}, {"content": "x"}]},
     {"write": [{"path": "b", "content": "x", "metadata": []}]},
     {"write": [{"path": f"n{number}", "content": "x"} for number in range(writing.AT_ONCE + 1)]}],
)  # fmt: skip
def test_what_is_no_such_request_changes_nothing(url: str, tmp_path: Path, body: Any) -> None:
    before = files(tmp_path)
    assert ask(url, "POST", ENTRIES, body).status_code == 422
    assert files(tmp_path) == before


def test_a_body_that_is_too_large_is_refused(url: str, tmp_path: Path) -> None:
    before = files(tmp_path)
    reply = ask(url, "POST", ENTRIES, {"write": [{"path": "b", "content": "x" * bodies.BULK_BYTES}]})
    assert (reply.status_code, reply.json()) == (413, {"detail": "The body is larger than 8 MB"})
    assert files(tmp_path) == before


@pytest.mark.parametrize("key", [None, "nope"])
def test_the_key_is_asked_for(tmp_path: Path, key: str | None) -> None:
    server.put(tmp_path, "a", {"content": "text of a"})
    before = files(tmp_path)
    with given_out(f"hdev:{tmp_path}", KEY) as url:
        for body in ({"read": ["a"]}, {"write": [{"path": "b", "content": "x"}]}):
            reply = ask(url, "POST", ENTRIES, body, key)
            assert reply.status_code == 401
            assert "text of a" not in reply.text
        assert said(url, "POST", ENTRIES, {"read": ["a"]}, KEY)["entries"][0]["content"] == "text of a"
    assert files(tmp_path) == before


def test_an_answer_ends_when_it_is_full(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BULK_BYTES", 100)
    for name in "bcd":
        server.put(tmp_path / "memory", name, {"content": "x" * 60})
    answers = said(url, "POST", ENTRIES, {"read": ["b", "c", "d"]})["entries"]
    assert answers == [said(url, "GET", ENTRY + "b")]


def test_many_at_once_are_one_step_of_another_store(tmp_path: Path) -> None:
    lines = tmp_path / "memories.jsonl"
    lines.write_text('{"id": "a", "collection": "c", "text": "text of a"}\n')
    wanted = [{"path": f"new/{number}", "content": f"text {number}"} for number in range(20)]
    with given_out(f"jsonl:{lines}") as url:
        steps = len(history.steps())
        results = said(url, "POST", ENTRIES, {"write": wanted})["results"]
        assert all(result["success"] for result in results)
        assert len(history.steps()) == steps + 1
        read = said(url, "POST", ENTRIES, {"read": [each["path"] for each in wanted]})["entries"]
        assert [each["content"] for each in read] == [each["content"] for each in wanted]
    with open_store(f"jsonl:{lines}") as store:
        assert len(read_snapshot(store).records) == 21


def test_a_store_that_can_only_be_read_says_so_of_each(tmp_path: Path) -> None:
    tmp_path.joinpath("a.json").write_text(json.dumps({"content": "x", "metadata": {"created": "1.5"}}))
    with given_out(f"hdev:{tmp_path}") as url:
        results = said(url, "POST", ENTRIES, {"write": [{"path": name, "content": "x"} for name in "bc"]})["results"]
    assert [(each["path"], each["success"]) for each in results] == [("b", False), ("c", False)]
    assert "can only be read" in results[0]["error"]
