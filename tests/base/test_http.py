"""One client for all servers: who is trusted, what is sent where, when it is tried again."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import NotPermitted, ServerRefused, ServerUnreachable, UsageError
from memdefrag.base.http import Client, Options, Retry, is_loopback, is_temporary
from memdefrag.base.secrets import Secret
from memdefrag.base.settings import CA_FILE_VARIABLE, PLAIN_KEY_VARIABLE
from tests.stores.hdev.server import Faults, MemoryServer, serving

KEY = "canary-key-5150"
HEALTH = "/api/health"
ENTRY = "/api/memory/entry/a"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MemoryServer]:
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def waits() -> list[float]:
    """The waits between attempts, which are noted instead of made."""
    return []


@pytest.fixture
def to(waits: list[float]) -> Iterator[Callable[..., Client]]:
    """Makes clients of a server (or URL) and closes them."""
    opened: list[Client] = []

    def make(server: MemoryServer | str, key: str | None = None, **options: object) -> Client:
        url = server if isinstance(server, str) else server.url
        client = Client(url, Secret(key) if key else None, Options(**options), waits.append)  # type: ignore[arg-type]
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.close()


@contextmanager
def over_tls(folder: Path, certificate: trustme.LeafCert) -> Iterator[MemoryServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with serving(folder, KEY, context) as running:
        yield running


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def test_a_get_brings_the_answer(server: MemoryServer, to: Callable[..., Client]) -> None:
    answer = to(server).request("GET", HEALTH)
    assert answer.status == 200
    assert answer.json()["healthy"] is True


@pytest.mark.case(39)
def test_a_named_authority_is_trusted(
    tmp_path: Path, authority: trustme.CA, ca_file: Path, to: Callable[..., Client]
) -> None:
    with over_tls(tmp_path, authority.issue_cert("127.0.0.1")) as server:
        assert to(server, KEY, ca_file=ca_file).request("GET", HEALTH).status == 200
        assert server.requests[0][2]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.case(39)
@pytest.mark.parametrize(
    "fault", ["self-signed", "wrong host", "expired", "not yet valid", "another authority"]
)
def test_a_certificate_that_is_not_trusted_is_refused(
    tmp_path: Path, authority: trustme.CA, ca_file: Path, to: Callable[..., Client], waits: list[float], fault: str
) -> None:
    now = datetime.now(UTC)
    match fault:
        case "wrong host":
            certificate = authority.issue_cert("memory.example")
        case "expired":
            certificate = authority.issue_cert(
                "127.0.0.1", not_before=now - timedelta(days=9), not_after=now - timedelta(days=1)
            )
        case "not yet valid":
            certificate = authority.issue_cert("127.0.0.1", not_before=now + timedelta(days=1))
        case _:
            certificate = trustme.CA().issue_cert("127.0.0.1")
    with over_tls(tmp_path, certificate) as server:
        client = to(server, KEY, ca_file=None if fault == "self-signed" else ca_file)
        with pytest.raises(ServerRefused, match="certificate") as refused:
            client.request("GET", ENTRY)
        assert "--ca-file" in refused.value.todo
        assert server.requests == []
        assert waits == []


@pytest.mark.case(39)
def test_there_is_no_way_to_switch_certificates_off(
    tmp_path: Path, authority: trustme.CA, to: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("PYTHONHTTPSVERIFY", "CURL_INSECURE", "SSL_VERIFY"):
        monkeypatch.setenv(variable, "0")
    with over_tls(tmp_path, authority.issue_cert("127.0.0.1")) as server, pytest.raises(ServerRefused):
        to(server).request("GET", HEALTH)


@pytest.mark.case(39)
def test_a_key_does_not_cross_the_network_in_the_clear(to: Callable[..., Client]) -> None:
    with pytest.raises(UsageError, match="plain http") as refused:
        to("http://memory.example:8080", KEY)
    assert KEY not in repr(refused.value.as_dict())
    to("http://memory.example:8080")
    to("http://memory.example:8080", KEY, plain_key=True)
    to("https://memory.example:8080", KEY)


@pytest.mark.case(39)
@pytest.mark.parametrize("target", ["http://127.0.0.2:{port}/x", "https://elsewhere.example/", "/api/health"])
def test_a_redirect_is_refused_and_the_key_stays_here(
    tmp_path: Path, to: Callable[..., Client], target: str, waits: list[float]
) -> None:
    with serving(tmp_path) as elsewhere, serving(tmp_path) as server:
        server.faults.answer = (307, {"Location": target.format(port=elsewhere.port)}, b"")
        with pytest.raises(ServerRefused, match="elsewhere"):
            to(server, KEY).request("GET", ENTRY)
        assert len(server.requests) == 1
        assert elsewhere.requests == []
        assert waits == []


def test_a_proxy_of_the_environment_is_not_used(
    server: MemoryServer, to: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert to(server, KEY).request("GET", HEALTH).status == 200


@pytest.mark.case(38)
def test_no_message_holds_the_key(tmp_path: Path, to: Callable[..., Client]) -> None:
    with serving(tmp_path, "another key") as server:
        with pytest.raises(ServerRefused, match="does not accept the key") as refused:
            to(server, KEY).request("GET", ENTRY)
        server.faults.answer = (500, {}, f"your key {KEY} is no good".encode())
        with pytest.raises(ServerUnreachable, match="is no good") as failed:
            to(server, KEY).request("GET", ENTRY)
    for error in (refused.value, failed.value):
        assert KEY not in repr(error.as_dict()) + repr(error)


@pytest.mark.parametrize("key", ["a\nb", "schlüssel", " x ", "a\0"])
@pytest.mark.case(38)
def test_a_key_that_cannot_be_sent_is_told_without_it(to: Callable[..., Client], key: str) -> None:
    with pytest.raises(UsageError) as refused:
        to("http://127.0.0.1:1", key)
    assert key not in refused.value.message + refused.value.todo


def test_a_server_without_the_wanted_key_says_so(tmp_path: Path, to: Callable[..., Client]) -> None:
    with serving(tmp_path, KEY) as server, pytest.raises(ServerRefused, match="wants a key"):
        to(server).request("GET", ENTRY)


@pytest.mark.parametrize("base", ["ftp://x", "http://", "127.0.0.1:80", "http://[::1", "http://h:x", "http://h/?q=1"])
def test_what_is_no_server_is_no_address(to: Callable[..., Client], base: str) -> None:
    with pytest.raises(UsageError):
        to(base)


def test_credentials_in_an_address_are_refused_unseen(to: Callable[..., Client]) -> None:
    with pytest.raises(UsageError) as refused:
        to(f"https://me:{KEY}@memory.example")
    assert KEY not in repr(refused.value.as_dict())


def test_a_ca_file_must_be_one(to: Callable[..., Client], tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(NotPermitted, match=name):
            to("https://127.0.0.1", ca_file=tmp_path / name)


def test_the_environment_says_whom_to_trust(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Options.of_environment() == Options()
    monkeypatch.setenv(CA_FILE_VARIABLE, str(tmp_path))
    monkeypatch.setenv(PLAIN_KEY_VARIABLE, "1")
    assert Options.of_environment() == Options(ca_file=tmp_path, plain_key=True)


@pytest.mark.case(40)
def test_nobody_there_is_told_after_some_attempts(to: Callable[..., Client], waits: list[float]) -> None:
    with pytest.raises(ServerUnreachable, match="refused"):
        to("http://127.0.0.1:9").request("GET", "/")
    assert waits == [0.5, 1.0, 2.0]


@pytest.mark.case(40)
@pytest.mark.parametrize("faults", [Faults(fails=2), Faults(busy=2), Faults(fails=3)])
def test_a_passing_failure_is_got_over(
    server: MemoryServer, to: Callable[..., Client], waits: list[float], faults: Faults
) -> None:
    server.faults = faults
    troubles = faults.fails + faults.busy
    answer = to(server).request("PUT", ENTRY, body={"content": "x"})
    assert answer.json()["success"] is True
    assert len(waits) == troubles
    assert len(server.written()) == troubles + 1


@pytest.mark.case(40)
def test_the_servers_own_wait_is_kept(server: MemoryServer, to: Callable[..., Client], waits: list[float]) -> None:
    server.faults = Faults(busy=1)
    to(server).request("PUT", ENTRY, body={"content": "x"})
    assert waits == [1.0]


@pytest.mark.case(40)
def test_what_must_not_be_repeated_is_sent_once(server: MemoryServer, to: Callable[..., Client]) -> None:
    server.faults = Faults(fails=1)
    with pytest.raises(ServerUnreachable, match="answers 500"):
        to(server).request("PUT", ENTRY, body={"content": "x"}, repeatable=False)
    assert len(server.requests) == 1


@pytest.mark.case(40)
@pytest.mark.parametrize("status", [400, 404, 405, 409, 422])
def test_a_refusal_is_an_answer_and_not_asked_again(
    server: MemoryServer, to: Callable[..., Client], status: int
) -> None:
    server.faults.answer = (status, {}, b"{}")
    assert to(server).request("GET", ENTRY).status == status
    assert len(server.requests) == 1


@pytest.mark.case(40)
def test_a_connection_cut_after_the_work_is_tried_again(server: MemoryServer, to: Callable[..., Client]) -> None:
    server.faults = Faults(dies_after=1)
    with pytest.raises(ServerUnreachable):
        to(server).request("PUT", ENTRY, body={"content": "x"})
    assert (server.root / "a.md").read_text() == "x"
    assert len(server.requests) == 4


@pytest.mark.case(40)
def test_silence_after_the_work_is_given_up_and_tried_again(
    server: MemoryServer, to: Callable[..., Client], waits: list[float]
) -> None:
    server.faults = Faults(silent=1)
    assert to(server, silence=0.3).request("PUT", ENTRY, body={"content": "x"}).status == 200
    assert len(waits) == 1


@pytest.mark.case(40)
def test_a_trickle_does_not_hold_us_for_ever(server: MemoryServer, to: Callable[..., Client]) -> None:
    server.faults = Faults(trickles=0.05)
    with pytest.raises(ServerUnreachable, match="too slowly"):
        to(server, answer=0.2, retry=Retry(attempts=1)).request("GET", HEALTH)


@pytest.mark.case(40)
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "gzip, gzip"])
def test_an_answer_packed_unasked_is_not_unpacked(
    server: MemoryServer, to: Callable[..., Client], encoding: str
) -> None:
    """A few bytes could become any number."""
    server.faults = Faults(("GET",), answer=(200, {"Content-Encoding": encoding}, gzip.compress(b" " * 10_000_000)))
    with pytest.raises(ServerRefused, match="compressed"):
        to(server).request("GET", HEALTH)
    assert server.requests[0][2]["Accept-Encoding"] == "identity"


def test_an_endless_answer_is_cut(server: MemoryServer, to: Callable[..., Client], waits: list[float]) -> None:
    server.faults.answer = (200, {}, b"[" + b"1," * 2_000_000)
    with pytest.raises(ServerRefused, match="more than 1 MB"):
        to(server, answer_bytes=1 << 20).request("GET", HEALTH)
    assert waits == []


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_json_is_told_plainly(
    server: MemoryServer, to: Callable[..., Client], body: bytes
) -> None:
    server.faults.answer = (200, {}, body)
    with pytest.raises(ServerRefused, match="not JSON"):
        to(server).request("GET", HEALTH).json()


@given(st.integers(1, 12), st.one_of(st.none(), st.floats(0, allow_nan=False)))
def test_waits_grow_and_end(failed: int, asked: float | None) -> None:
    policy = Retry(attempts=6, first_wait=0.5, longest_wait=8.0)
    wait = policy.wait(failed, asked)
    if failed >= policy.attempts:
        assert wait is None
    else:
        assert wait is not None
        assert policy.first_wait <= wait <= max(policy.longest_wait, min(asked or 0.0, policy.longest_asked))
        assert wait >= min(asked or 0.0, policy.longest_asked)
        assert failed == 1 or wait >= (policy.wait(failed - 1, asked) or 0.0)


@given(st.integers(100, 599))
def test_only_overload_and_faults_of_the_server_are_temporary(status: int) -> None:
    assert is_temporary(status) == (status == 429 or status // 100 == 5)


@pytest.mark.parametrize(
    ("host", "here"),
    [("localhost", True), ("127.9.9.9", True), ("::1", True), ("127.0.0.1.example", False), ("0.0.0.0", False),
     ("localhost.example", False), ("192.168.1.2", False), ("", False)],
)  # fmt: skip
def test_which_hosts_are_this_machine(host: str, here: bool) -> None:
    assert is_loopback(host) is here
