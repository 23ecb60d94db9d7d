"""What a running memory server answers, to whom, and what it leaves alone."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from memdefrag.engine import history
from memdefrag.engine.apply import apply
from memdefrag.engine.backups.shelf import all_backups
from memdefrag.engine.serve import bodies
from memdefrag.model.address import Address
from memdefrag.model.records import MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.engine.serve.running import KEY, ask, given_out, said
from tests.stores.hdev import server
from tests.stores.hdev.test_http import recorded, without_times

ENTRY = "/api/memory/entry/"
DIFFERS = re.compile(r"PUT /api/memory/entry/(personal)?|.*/rel(/.*)?|.*[?]prefix=rel|.*(\.\.|//tmp).*")
"""Where we answer otherwise than the real server: it writes what it cannot read again, and beside the store."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    for name in ("a", "notes/door", "notes/deep/tea", "q?uestion#100%"):
        server.put(folder, name, {"content": f"text of {name}", "metadata": {"created": "1.5", "updated": "1.5"}})
    (tmp_path / "secret.md").write_text("not yours")
    (tmp_path / "secret.metadata.json").write_text("{}")
    return folder


@pytest.fixture
def url(root: Path) -> Iterator[str]:
    with given_out(f"hdev:{root}") as url:
        yield url


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_answers_are_those_of_the_real_server(shared: Path, tmp_path: Path) -> None:
    root = shutil.copytree(shared / "fixtures/hdev_fs", tmp_path / "memory", copy_function=shutil.copy)
    compared = []
    with given_out(f"hdev:{root}", "test-key-123") as url:
        for method, path, body, status, answer in recorded(shared):
            if DIFFERS.fullmatch(f"{method} {path}") or body == "xx":
                continue
            reply = ask(url, method, path, json.loads(body) if body else None, "test-key-123")
            assert (reply.status_code, _plain(reply.json())) == (int(status), _plain(json.loads(answer))), path
            compared.append(path)
    assert len(compared) > 30


def _plain(said: dict[str, Any]) -> dict[str, Any]:
    """An answer without the times, of which the real server notes the wrong ones, and without what it cannot do."""
    told = without_times(said)
    if "details" in told:
        assert told["details"].pop("bulk") is True
    metadata = told.get("metadata") or {}
    return {**told, "metadata": {name: metadata[name] for name in metadata.keys() - {"updated", "created"}}}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "answer"),
    [
        ("GET", "/api/memory/tree?depth=0", None, 200,
         '{"type":"tree","path":"","items":{},"success":true,"error":null}'),
        ("GET", "/api/memory/tree?depth=1", None, 200,
         '{"type":"tree","path":"","items":{"a":{},"notes":{"deep":{},"door":{}},"q?uestion#100%":{}},'
         '"success":true,"error":null}'),
        ("GET", "/api/memory/tree?prefix=nope", None, 200,
         '{"type":"tree","path":"nope","items":{},"success":false,"error":"Path nope does not exist"}'),
        ("GET", "/api/memory/tree?depth=abc", None, 422,
         '{"detail":[{"type":"int_parsing","loc":["query","depth"],"msg":"Input should be a valid integer, unable to '
         'parse string as an integer","input":"abc"}]}'),
        ("GET", ENTRY + "notes", None, 200,
         '{"type":"directory","path":"notes","content":null,"metadata":null,"items":[{"type":"node","path":"notes/deep"},'
         '{"type":"leaf","path":"notes/door"}],"success":true,"error":null}'),
        ("GET", ENTRY + "q%3Fuestion%23100%25", None, 200,
         '{"type":"file","path":"q?uestion#100%","content":"text of q?uestion#100%","metadata":{"updated":"1.5",'
         '"version":1,"created":"1.5"},"items":null,"success":true,"error":null}'),
        ("GET", ENTRY + "none", None, 200,
         '{"type":"file","path":"none","content":null,"metadata":null,"items":null,"success":false,'
         '"error":"Memory entry content at none.md does not exist"}'),
        ("PUT", ENTRY + "new", {"content": "x"}, 200,
         '{"path":"new","success":true,"message":"Memory entry written successfully to new","error":null}'),
        ("PUT", ENTRY + "new", {"metadata": {}}, 422,
         '{"detail":[{"type":"missing","loc":["body","content"],"msg":"Field required","input":{"metadata":{}}}]}'),
        ("DELETE", ENTRY + "none", None, 200,
         '{"path":"none","success":false,"message":null,"error":"Error: Memory entry at none does not exist"}'),
        ("DELETE", ENTRY + "notes", None, 200,
         '{"path":"notes","success":true,"message":"Successfully deleted directory notes and all its contents",'
         '"error":null}'),
        ("GET", "/api/memory/search?q=TEA", None, 200,
         '{"query":"TEA","results":[{"path":"notes/deep/tea","snippet":"text of notes/deep/tea",'
         '"score":0.045454545454545456}],"success":true,"error":null}'),
        ("GET", "/api/memory/search", None, 422,
         '{"detail":[{"type":"missing","loc":["query","q"],"msg":"Field required","input":null}]}'),
        ("POST", ENTRY + "a", {"content": "x"}, 405, '{"detail":"Method Not Allowed"}'),
        ("GET", "/api/nope", None, 404, '{"detail":"Not Found"}'),
        ("GET", "/api/memory/backups", None, 200,
         '{"success":false,"message":"S3 backup is not configured or enabled","backups":[],'
         '"error":"S3 backup not available"}'),
    ],
)  # fmt: skip
def test_an_answer_to_the_letter(url: str, method: str, path: str, body: Any, status: int, answer: str) -> None:
    reply = ask(url, method, path, body)
    assert (reply.status_code, reply.text) == (status, answer)


def test_metadata_are_laid_over_and_versions_counted(url: str) -> None:
    said(url, "PUT", ENTRY + "t/new", {"content": "1"})
    first = said(url, "GET", ENTRY + "t/new")["metadata"]
    assert first["version"] == 1
    assert first["created"] == first["updated"]
    given = {"version": 41, "created": "1.5", "tags": ["a"], "k": None}
    said(url, "PUT", ENTRY + "t/new", {"content": "2", "metadata": given})
    said(url, "PUT", ENTRY + "t/new", {"content": "3"})
    found = said(url, "GET", ENTRY + "t/new")
    assert found["content"] == "3"
    assert found["metadata"] == {"updated": found["metadata"]["updated"], **given, "version": 42}


OUTSIDE = [
    "../secret", "..%2fsecret", "..%2Fsecret", "%2e%2e/secret", "%2e%2e%2fsecret", "notes/../../secret", "..%5csecret",
    "notes/..%2f..%2fsecret", "/secret", "%2fetc%2fpasswd", "//etc/passwd", "C:/secret", "a%00b", "", "%2e",
    "notes//door", ".%2e/secret", "x" * 300,
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
def test_no_path_leads_out_of_the_store(served_once: tuple[str, Path], method: str, path: str) -> None:
    url, root = served_once
    before = files(root.parent)
    reply = ask(url, method, ENTRY + path, {"content": "escaped"} if method == "PUT" else None)
    assert files(root.parent) == before
    if (method, path) != ("GET", ""):
        assert reply.status_code == 404 or reply.json()["success"] is False
    assert "not yours" not in reply.text


@pytest.fixture(scope="module")
def served_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("served")
    root = folder / "memory"
    server.put(root, "notes/door", {"content": "text"})
    (folder / "secret.md").write_text("not yours")
    (folder / "secret.metadata.json").write_text("{}")
    with given_out(f"hdev:{root}") as url:
        yield url, root


def test_links_are_not_followed(url: str, root: Path) -> None:
    (root / "way").symlink_to(root.parent)
    (root / "one.md").symlink_to(root.parent / "secret.md")
    for path in ("way/secret", "way", "one"):
        assert "not yours" not in ask(url, "GET", ENTRY + path).text
        assert said(url, "PUT", ENTRY + path, {"content": "mine"})["success"] is False or path == "way"
    assert (root.parent / "secret.md").read_text() == "not yours"


@pytest.mark.parametrize(
    ("authorization", "status", "detail"),
    [(None, 401, "API key required"), (f"Basic {KEY}", 401, "API key required"), ("Bearer", 401, "API key required"),
     ("Bearer nope", 401, "Invalid API key"), ("Bearer \xfc", 401, "Invalid API key"), (f"bearer {KEY}", 200, None)],
)  # fmt: skip
def test_the_key_is_asked_for(root: Path, authorization: str | None, status: int, detail: str | None) -> None:
    import httpx

    headers = {"Authorization": authorization.encode("latin-1")} if authorization else {}
    with given_out(f"hdev:{root}", KEY) as url, httpx.Client(trust_env=False) as client:
        for path in ("/api/memory/tree", ENTRY + "a", "/api/memory/search?q=a", "/api/memory/backups"):
            reply = client.get(url + path, headers=headers)  # type: ignore[arg-type]
            assert reply.status_code == status
            assert detail is None or reply.json() == {"detail": detail}
        assert client.get(url + "/api/health").json()["healthy"] is True
        assert (status == 200) or reply.headers["www-authenticate"] == "Bearer"


def test_a_web_page_cannot_ask_an_open_server(url: str) -> None:
    """Not even one whose name was made to lead here."""
    import httpx

    with httpx.Client(trust_env=False) as client:
        refused = client.get(url + "/api/memory/tree", headers={"Host": "evil.example"})
        answered = client.get(url + "/api/memory/tree", headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in answered.headers


def test_a_body_without_end_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_BYTES", 1000)
    assert ask(url, "PUT", ENTRY + "big", {"content": "x" * 2000}).status_code == 413
    assert said(url, "GET", ENTRY + "big")["success"] is False


@pytest.mark.parametrize(
    "body", [b"xx", b"", b"[" * 100_000, b"\xff", b"5", b'{"content": 5}', b'{"content": "", "metadata": 5}']
)
def test_a_body_that_makes_no_sense_is_told(url: str, body: bytes) -> None:
    import httpx

    with httpx.Client(trust_env=False) as client:
        reply = client.put(url + ENTRY + "odd", content=body)
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"][0] == "body"
    assert said(url, "GET", ENTRY + "odd")["success"] is False


def test_an_entry_that_could_not_be_read_again_is_refused(url: str, root: Path) -> None:
    before = files(root)
    for path in ("notes", "a/below", "notes/door/x"):
        assert said(url, "PUT", ENTRY + path, {"content": "x"})["success"] is False
    assert files(root) == before


def test_removing_a_folder_removes_what_lies_in_it(url: str, root: Path) -> None:
    (root / "notes/picture.png").write_bytes(b"kept")
    assert said(url, "DELETE", ENTRY + "notes")["success"] is True
    assert sorted(files(root)) == ["a.md", "a.metadata.json", "notes/picture.png", "q?uestion#100%.md",
                                   "q?uestion#100%.metadata.json"]  # fmt: skip


def test_many_at_once_lose_nothing(url: str, root: Path) -> None:
    def write(number: int) -> bool:
        path = f"{ENTRY}many/{number % 25}"
        return bool(said(url, "PUT", path, {"content": str(number), "metadata": {f"k{number}": 1}})["success"])

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(write, range(100)))
    for number in range(25):
        found = said(url, "GET", f"{ENTRY}many/{number}")
        assert found["metadata"]["version"] == 4
        assert {name for name in found["metadata"] if name[0] == "k"} == {f"k{n}" for n in range(number, 100, 25)}


def test_a_folder_is_backed_up_before_its_first_write(url: str, root: Path) -> None:
    assert all_backups() == []
    for name in ("x", "y", "z"):
        said(url, "PUT", ENTRY + name, {"content": "x"})
    [backup] = all_backups()
    assert backup.address == f"hdev:{root}"


def test_a_folder_of_the_older_form_is_read_and_not_written(tmp_path: Path) -> None:
    root = tmp_path / "memory"
    root.mkdir()
    (root / "old.json").write_text(json.dumps({"content": "from before", "metadata": {"version": 1}}))
    with given_out(f"hdev:{root}") as url:
        assert said(url, "GET", ENTRY + "old")["content"] == "from before"
        assert said(url, "PUT", ENTRY + "old", {"content": "x"})["success"] is False
    assert list(files(root)) == ["old.json"]


def test_lines_given_out_are_written_by_steps_that_can_be_undone(jsonl_file: Path, records: list[MemoryRecord]) -> None:
    address = Address("jsonl", str(jsonl_file))
    first = records[0].key.id
    with given_out(str(address)) as url:
        assert said(url, "GET", "/api/memory/tree")["items"].keys() == {record.key.id for record in records}
        before = read_snapshot(open_store(address)).by_key
        for text in ("new", "newer"):
            assert said(url, "PUT", ENTRY + quote(first), {"content": text})["success"] is True
        assert said(url, "PUT", ENTRY + "v1.2", {"content": "dotted"})["success"] is True
        assert said(url, "GET", ENTRY + "v1.2")["content"] == "dotted"
        assert "v1%2e2" in said(url, "GET", "/api/memory/tree")["items"]
        assert said(url, "DELETE", ENTRY + "v1.2")["success"] is True
    after = read_snapshot(open_store(address)).by_key
    assert after[records[0].key].text == "newer"
    assert after.keys() == before.keys()
    assert [after[key] for key in after if key.id != first] == [before[key] for key in before if key.id != first]
    assert len(history.steps(address)) == 4
    assert len(all_backups()) == 1
    for step in history.steps(address):
        apply(history.undo_plan(step))
    assert read_snapshot(open_store(address)).by_key == before


def test_what_others_write_meanwhile_is_seen(jsonl_file: Path) -> None:
    with given_out(f"jsonl:{jsonl_file}") as url:
        said(url, "GET", "/api/memory/tree")
        with jsonl_file.open("a") as file:
            file.write('{"id": "late", "text": "came later"}\n')
        seen = threading.Event()
        for _ in range(40):
            if said(url, "GET", ENTRY + "late")["success"]:
                break
            seen.wait(0.1)
        assert said(url, "GET", ENTRY + "late")["content"] == "came later"
