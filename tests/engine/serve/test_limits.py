"""What a hostile or a broken client comes to: bounds, and never more than its own request."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.engine.serve import bodies, connections, protocol
from memdefrag.model.address import Address
from tests.conftest import fill
from tests.engine.serve.running import KEY, ask, given_out, said
from tests.stores.hdev import server

ENTRY, ENTRIES = "/api/memory/entry/", "/api/memory/entries"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served") / "memory"
    server.put(root, "a", {"content": "text of a"})
    server.put(root, "large", {"content": "x" * (30 << 20)})
    return root


@pytest.fixture(scope="module")
def url(root: Path) -> Iterator[str]:
    with given_out(f"hdev:{root}") as url:
        yield url


def sent(url: str, data: bytes) -> bytes:
    """All that the server answers to these bytes, until it closes the connection."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as client:
        client.sendall(data)
        answer = b""
        while part := client.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize(
    "data", [b"", b"GET / HTTP/1.1\r\nHost: localh", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nX"]
)
def test_who_never_ends_the_head_of_a_request_is_cut_off(
    url: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    try:
        assert sent(url, data).count(b"200 OK") == data.count(b"\r\n\r\n")
    except ConnectionResetError:
        assert b"\r\n\r\n" not in data


@pytest.mark.parametrize(
    "head",
    [b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 20_000,
     b"GET /?" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: localhost\r\n"],
)  # fmt: skip
def test_a_head_is_bounded(url: str, head: bytes) -> None:
    try:
        answer = sent(url, head + b"Connection: close\r\n\r\n")
    except ConnectionError:
        answer = b""  # Cut off while it was still sending.
    assert b"200 OK" not in answer


def test_several_requests_at_once_are_all_answered(url: str) -> None:
    one = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n"
    put = f"PUT {ENTRY}p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20015\r\n\r\n".encode()
    put += b'{"content": "' + b"x" * 20_000 + b'"}'
    answer = sent(url, one + b"\r\n" + put + one + b"Connection: close\r\n\r\n")
    assert answer.count(b"200 OK") == 3
    assert said(url, "GET", ENTRY + "p")["content"] == "x" * 20_000


def test_a_body_that_does_not_come_is_not_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    head = f"PUT {ENTRY}a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n".encode()
    assert sent(url, head + b'{"content":').startswith(b"HTTP/1.1 408")
    assert said(url, "GET", ENTRY + "a")["content"] == "text of a"


def test_who_does_not_take_an_answer_is_cut_off(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STALLED_SECONDS", 0.3)
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as client:
        client.sendall(f"GET {ENTRY}large HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert client.recv(10)
        assert said(url, "GET", "/api/health")["healthy"]
        asyncio.run(asyncio.sleep(1))
        received = 0
        try:
            while part := client.recv(1 << 20):
                received += len(part)
        except ConnectionResetError:
            pass
    assert received < 30 << 20


def test_a_client_that_goes_away_half_way_leaves_the_entry_as_it_was(url: str, root: Path) -> None:
    parts = urlsplit(url)
    for _ in range(5):
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            head = f"PUT {ENTRY}a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n"
            client.sendall(head.encode() + b'{"content":"n')
    assert said(url, "GET", ENTRY + "a")["content"] == "text of a"
    assert (root / "a.md").read_text() == "text of a"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:3000"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403), ({"Host": "evil.example"}, 403), ({"Host": "["}, 403),
        ({"Host": ""}, 403), ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded; charset=x"}, 415),
        ({"Content-Type": "Multipart/Form-Data; boundary=x"}, 415), ({"Content-Type": "application/json"}, 200),
        ({"Origin": "own"}, 200),
    ],
)  # fmt: skip
def test_no_page_of_another_site_writes(url: str, root: Path, headers: dict[str, str], status: int) -> None:
    """A form or a script may send these without being asked."""
    if "Origin" in headers and headers["Origin"] == "own":
        headers = {"Origin": url}
    body = b'{"write": [{"path": "mine", "content": "x"}]}'
    with httpx.Client(trust_env=False) as client:
        reply = client.post(url + ENTRIES, content=body, headers=headers)
    assert reply.status_code == status
    assert (root / "mine.md").exists() is (status == 200)
    ask(url, "DELETE", ENTRY + "mine")
    assert not any(name.startswith("access-control") for name in reply.headers)


def test_a_page_may_not_ask_for_leave(url: str) -> None:
    with httpx.Client(trust_env=False) as client:
        headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
        reply = client.options(url + ENTRY + "a", headers=headers)
    assert reply.status_code == 405
    assert not any(name.startswith("access-control") for name in reply.headers)


@pytest.mark.parametrize("name", ["X-API-Key", "Api-Key", "Cookie", "Proxy-Authorization"])
def test_the_key_counts_in_its_own_header_alone(root: Path, name: str) -> None:
    with given_out(f"hdev:{root}", KEY) as url, httpx.Client(trust_env=False) as client:
        assert client.get(url + ENTRY + "a", headers={name: f"Bearer {KEY}"}).status_code == 401
        assert client.get(f"{url}{ENTRY}a?key={KEY}&authorization=Bearer%20{KEY}").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b'{"content": "x", "metadata": {"a": NaN}}', b'{"content": "x", "metadata": {"a": 1e999}}',
        b'{"content": "x", "metadata": {"a": -Infinity}}', b'{"content": "x", "content": "y"}',
        b'{"content": "x", "metadata": {"a": {"b": 1, "b": 2}}}', b'{"content": "\\ud800"}',
        b'{"content": "\xed\xa0\x80"}',
        b'{"content": "x", "metadata": {"\\udc00": 1}}', b'\xef\xbb\xbf{"content": "x"}',
        '{"content": "x"}'.encode("utf-16"), b'{"content": "x", "metadata": {"a": ' + b"9" * 5000 + b"}}",
        b'{"content": "x", "metadata": {"a": ' + b"[" * 200 + b"]" * 200 + b"}}", b"[" * 1_000_000,
    ],
)  # fmt: skip
def test_json_that_means_several_things_is_refused(url: str, body: bytes) -> None:
    with httpx.Client(trust_env=False) as client:
        reply = client.put(url + ENTRY + "odd", content=body)
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"][0] == "body"
    assert said(url, "GET", ENTRY + "odd")["success"] is False


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)  # fmt: skip


@given(json_values, st.booleans())
def test_sound_json_is_read_as_it_is(wanted: object, escaped: bool) -> None:
    assert bodies.value(json.dumps(wanted, ensure_ascii=escaped).encode()) == wanted


@pytest.mark.parametrize("name", ["a%0Ab", "%0A", "a%0D%0AX-Evil%3A%201", "%EF%BC%8E%EF%BC%8E/secret", "..%252fsecret"])
def test_odd_names_are_names_of_the_store(url: str, root: Path, name: str) -> None:
    assert said(url, "PUT", ENTRY + name, {"content": "x"})["success"] is True
    reply = ask(url, "GET", ENTRY + name)
    assert reply.json()["content"] == "x"
    assert "x-evil" not in reply.headers
    assert [path.name for path in root.parent.iterdir()] == ["memory"]


def test_a_name_that_is_not_utf_8_is_refused(url: str, root: Path) -> None:
    before = sorted(root.rglob("*"))
    assert ask(url, "PUT", ENTRY + "%ff", {"content": "x"}).status_code == 400
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("name", ["a/" * 900 + "b", "b/" * 100 + "c", "x/" * 99 + "y" * 3000])
def test_no_name_makes_the_tree_too_deep(url: str, root: Path, name: str) -> None:
    before = sorted(root.rglob("*"))
    assert said(url, "PUT", ENTRY + name, {"content": "x"})["success"] is False
    assert said(url, "GET", ENTRY + name)["success"] is False
    assert sorted(root.rglob("*")) == before
    assert said(url, "GET", "/api/memory/tree")["success"] is True


def test_a_long_write_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks before the JSON value; the clients' limit is on silence."""
    monkeypatch.setattr("memdefrag.engine.serve.app.SIGN_SECONDS", 0.001)
    place = Address("jsonl", str(tmp_path / "served.jsonl"))
    fill(place, [])
    with given_out(str(place)) as url:
        reply = ask(url, "POST", ENTRIES, {"write": [{"path": str(each), "content": "x"} for each in range(20)]})
    assert reply.text.startswith(" ")
    assert all(result["success"] for result in reply.json()["results"])


def test_clients_are_not_told_where_a_store_lies(tmp_path: Path) -> None:
    place = tmp_path / "served.jsonl"
    fill(Address("jsonl", str(place)), [])
    with given_out(f"jsonl:{place}") as url:
        place.write_text("{broken")
        asyncio.run(asyncio.sleep(0.4))
        reply = ask(url, "GET", "/api/memory/tree")
        written = ask(url, "PUT", ENTRY + "x", {"content": "x"})
    assert reply.status_code == 500
    for answer in (reply, written):
        assert str(tmp_path) not in answer.text
        assert "Traceback" not in answer.text
    assert protocol.discreet(f"{place} is in use.", str(place)) == "… is in use."
