"""The one HTTP client, for servers that the person named.

Certificates are always checked; there is no way to switch that off, only a CA file to name. A key never goes
over plain http to another machine unless the person allows it, never to another place (redirects are refused),
never to a proxy, and never into a message. Every answer is bounded in size and time.
"""

from __future__ import annotations

import ipaddress
import json
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from memdefrag.base.errors import NotPermitted, ServerRefused, ServerUnreachable, UsageError
from memdefrag.base.progress import wait_for_server
from memdefrag.base.settings import CA_FILE_VARIABLE, PLAIN_KEY_VARIABLE, redact, server_timeout

if TYPE_CHECKING:
    import httpx

    from memdefrag.base.secrets import Secret

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
ANSWER_SECONDS = 300.0
ANSWER_BYTES = 256 << 20
CONNECTIONS = 8
TOO_LARGE = 413
_TOLD_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Retry:
    """When a request is sent again: never after an answer that another try would not change.

    Attributes:
        attempts: how often a request is sent at most.
        first_wait: seconds before the second attempt; doubled before each further one, up to `longest_wait`.
        longest_asked: seconds up to which a server's own wish is heeded.
    """

    attempts: int = 4
    first_wait: float = 0.5
    longest_wait: float = 8.0
    longest_asked: float = 120.0

    def wait(self, failed: int, asked: float | None = None) -> float | None:
        """Seconds to wait after that many failed attempts; None: give up. `asked` is the server's Retry-After."""
        if failed >= self.attempts:
            return None
        own = min(self.first_wait * 2.0 ** (failed - 1), self.longest_wait)
        return max(own, min(asked or 0.0, self.longest_asked))


def is_temporary(status: int) -> bool:
    """Whether another try may be answered differently: too many requests, or a fault of the server."""
    return status == 429 or 500 <= status <= 599


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Options:
    """How servers are talked to.

    Attributes:
        ca_file: PEM certificates that are trusted instead of the system's.
        plain_key: the person allows the key to be sent over plain http to another machine.
        connect: seconds until a connection must stand.
        silence: seconds without a byte after which a server is given up.
        answer: seconds and bytes that one answer may take in all.
    """

    ca_file: Path | None = None
    plain_key: bool = False
    retry: Retry = field(default_factory=Retry)
    connect: float = CONNECT_SECONDS
    silence: float = SILENCE_SECONDS
    answer: float = ANSWER_SECONDS
    answer_bytes: int = ANSWER_BYTES

    @classmethod
    def of_environment(cls) -> Options:
        """As the person's environment says (the command line's options are put there)."""
        ca_file = os.environ.get(CA_FILE_VARIABLE)
        return cls(
            ca_file=Path(ca_file).expanduser() if ca_file else None,
            plain_key=os.environ.get(PLAIN_KEY_VARIABLE, "") not in ("", "0"),
            silence=server_timeout() or SILENCE_SECONDS,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer with a status below 500."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body's JSON value.

        Raises:
            ServerRefused: it is none; something else listens at this address.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise ServerRefused(
                "The server's answer is not JSON.", todo="Check the address: another program may listen there."
            ) from error


class Client:
    """Talks to one server. May be used by several threads at once.

    Args:
        base: ``http://HOST:PORT`` or ``https://HOST:PORT``, with a path where the server lies below one.
        key: sent as a bearer token.
        key_headers: further headers that carry the key, as it is.
        sleep: how the waits between attempts are made.

    Raises:
        UsageError: not such a URL, credentials in it, or a key that must not go over plain http.
        NotPermitted: the CA file cannot be used.
    """

    def __init__(
        self,
        base: str,
        key: Secret | None = None,
        options: Options | None = None,
        sleep: Callable[[float], None] = wait_for_server,
        key_headers: tuple[str, ...] = (),
    ) -> None:
        self._options = options or Options.of_environment()
        self._key = key.reveal() if key else None
        self._key_headers = key_headers
        self.base = _checked_base(base).rstrip("/")
        self._check_key()
        self._sleep = sleep
        self._opened: httpx.Client | None = None
        self._client = self._connected()

    def request(
        self, method: str, path: str, *, body: Any = None, query: dict[str, str] | None = None, repeatable: bool = True
    ) -> Answer:
        """Send a request and read the whole answer; application errors below 500 are answers too.

        Args:
            path: below `base`, percent-encoded by the caller, beginning with a slash.
            body: a JSON value to send, or its bytes.
            repeatable: sending it twice does no more than sending it once, so that it may be tried again.

        Raises:
            ServerUnreachable: no connection, no answer in time, or nothing but failures.
            ServerRefused: the certificate is not trusted, the key is wrong, the answer is a redirect; or it is larger
                than the options allow, then with the status `TOO_LARGE`.
        """
        failed = 0
        while True:
            asked = None
            try:
                answer, asked = self._once(method, path, body, query)
                if not is_temporary(answer.status):
                    return answer
                trouble = f"answers {answer.status}: {self._clean(answer.body.decode('utf-8', 'replace'))}"
            except _Failed as error:
                trouble = str(error)
            failed += 1
            wait = self._options.retry.wait(failed, asked) if repeatable else None
            if wait is None:
                raise ServerUnreachable(f"{self.base} {trouble.rstrip('.')}.")
            self._sleep(wait)

    def close(self) -> None:
        """Close the connections. Calling it twice is fine."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_key(self) -> None:
        if self._key is None:
            return
        if not (self._key.isascii() and self._key.isprintable() and self._key.strip() == self._key != ""):
            raise UsageError("The key holds characters that cannot be sent.", todo="Check how the key was pasted.")
        parts = urlsplit(self.base)
        if parts.scheme == "http" and not is_loopback(parts.hostname or "") and not self._options.plain_key:
            raise UsageError(
                f"The key for {self.base} would cross the network readable for everybody: that is plain http.",
                todo="Use https, or allow it with --allow-plain-key if the network is yours.",
            )

    def _connected(self) -> httpx.Client:
        import httpx

        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "memdefrag"}
        if self._key:
            headers |= {"Authorization": f"Bearer {self._key}", **dict.fromkeys(self._key_headers, self._key)}
        options = self._options
        return httpx.Client(
            headers=headers,
            verify=_trust(options.ca_file) if self.base.startswith("https:") else _TRUSTS_NOBODY,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(options.silence, connect=options.connect),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        )

    def _once(self, method: str, path: str, body: Any, query: dict[str, str] | None) -> tuple[Answer, float | None]:
        """One attempt: the answer, and the seconds that the server asks us to wait.

        Raises:
            _Failed: another attempt may succeed.
        """
        import httpx

        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode("ascii")
        headers = {} if body is None else {"Content-Type": "application/json"}
        deadline = time.monotonic() + self._options.answer
        try:
            url = httpx.URL(self.base + path)
            request = self._client.build_request(method, url, content=content, params=query, headers=headers)
            response = self._client.send(request, stream=True)
            try:
                self._check_answer(response)
                return Answer(response.status_code, self._body(response, deadline)), _seconds_asked(response)
            finally:
                response.close()
        except httpx.TimeoutException as error:
            raise _Failed("does not answer in time") from error
        except httpx.TransportError as error:
            if _is_certificate_fault(error):
                raise ServerRefused(
                    f"The certificate of {self.base} is not trusted: {self._clean(str(error))}.",
                    todo="If it is yours, name the file of the authority that signed it: --ca-file FILE.",
                ) from error
            raise _Failed(f"cannot be reached: {self._clean(str(error)) or type(error).__name__}") from error
        except httpx.InvalidURL as error:
            raise UsageError(f"{self.base} is not an address: {self._clean(str(error))}.") from error

    def _check_answer(self, response: httpx.Response) -> None:
        if 300 <= response.status_code <= 399:
            elsewhere = self._clean(response.headers.get("location", "an address it does not name"))
            raise ServerRefused(
                f"{self.base} sends us elsewhere, to {elsewhere}; nothing was sent there.",
                todo="If that is the server you mean, name its address yourself.",
            )
        if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            # It was asked for plain answers; a few compressed bytes can become any number.
            raise ServerRefused(f"{self.base} answers compressed, which it was not asked for.")
        if response.status_code in (401, 403):
            said = "wants a key" if self._key is None else "does not accept the key"
            raise ServerRefused(
                f"{self.base} {said}.", todo="Set it in the environment (MEMDEFRAG_API_KEY) or the system's keyring."
            )

    def _body(self, response: httpx.Response, deadline: float) -> bytes:
        """All of the answer, given up at the deadline or when it outgrows the limit."""
        limit, parts, size = self._options.answer_bytes, [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > limit:
                told = f"{self.base} answers with more than {limit >> 20} MB at once."
                raise ServerRefused(told, status=TOO_LARGE)
            if time.monotonic() > deadline:
                raise _Failed("answers too slowly")
        return b"".join(parts)

    def _clean(self, text: str) -> str:
        """Words of a server or a library, short and without the key (`redact` knows every secret of the process)."""
        return redact(" ".join(text.split()))[:_TOLD_CHARACTERS]


class _Failed(Exception):
    """An attempt failed in a way that another may not."""


def _checked_base(base: str) -> str:
    """The URL, if it names a server and nothing else.

    Raises:
        UsageError: it does not.
    """
    try:
        parts = urlsplit(base)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{redact(base)} is not the address of a server: {error}.") from error
    if "@" in parts.netloc:
        raise UsageError(
            "A key or password must not stand in an address.",
            todo="Set it in the environment (MEMDEFRAG_API_KEY) or in the system's keyring.",
        )
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise UsageError(f"{redact(base)} is not the address of a server.", todo="It looks like http://HOST:PORT.")
    return base


_TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For plain http; it costs nothing to make."""


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Whom to believe: the authorities of `ca_file` alone, or those of the system and of the certifi package."""
    if ca_file is None:
        import certifi

        trusted = ssl.create_default_context()
        trusted.load_verify_locations(certifi.where())
        return trusted
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        reason = error.strerror or "it holds no certificate"
        raise NotPermitted(f"The CA file {ca_file} cannot be used: {reason}.", todo="Name a PEM file.") from error


def _is_certificate_fault(error: BaseException) -> bool:
    """Whether a failed connection goes back to a certificate."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _seconds_asked(response: httpx.Response) -> float | None:
    """Retry-After in seconds; its other form, a date, is not worth a clock's trouble."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else None
