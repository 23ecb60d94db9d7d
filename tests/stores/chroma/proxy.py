"""Stands before a real Chroma server: checks a token, as people's gateways do, and fails on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

WRITES = ("/upsert", "/delete")


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        header, token: what every request must carry; no token: anything goes.
        dies_at: this write gets no answer, nor does any request after it.
        dies_after: the same, but the server does what the write says.
        refuses: writes are forbidden.
        paths: method and path of all that came.
        sent: how many records each write held.
    """

    target: str
    token: str | None = None
    header: str = "Authorization"
    dies_at: int | None = None
    dies_after: int | None = None
    refuses: bool = False
    paths: list[str] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    port: int = 0
    dead: bool = False
    writes: int = 0

    def address(self, database: str) -> str:
        return f"chroma+http://127.0.0.1:{self.port}/?database={database}"

    def revive(self) -> None:
        self.dead, self.writes, self.dies_at, self.dies_after = False, 0, None, None


@contextmanager
def proxying(target: str, token: str | None = None, header: str = "Authorization") -> Iterator[Proxy]:
    """A proxy before the server at that URL, on a free port of this machine."""
    state = Proxy(target, token, header)
    with httpx.Client(timeout=60) as client:
        handler = type("Handler", (_Handler,), {"state": state, "client": client})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: Proxy
    client: httpx.Client

    def log_message(self, format: str, *args: object) -> None:
        return

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_PUT(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        state = self.state
        state.paths.append(f"{self.command} {self.path}")
        is_write = self.path.endswith(WRITES)
        state.writes += is_write
        state.dead |= is_write and state.writes == state.dies_at
        if state.dead:
            self.close_connection = True
            return
        sent = self.headers.get(state.header, "").removeprefix("Bearer ")
        if state.token is not None and sent != state.token:
            return self._answer(403, b'{"error":"AuthError","message":"Forbidden"}')
        if is_write:
            state.sent.append(len(json.loads(body)["ids"]))
        if state.refuses and is_write:
            return self._answer(403, b'{"error":"AuthError","message":"Forbidden"}')
        answer = self.client.request(
            self.command, state.target + self.path, content=body, headers={"Content-Type": "application/json"}
        )
        state.dead = is_write and state.writes == state.dies_after
        if state.dead:
            self.close_connection = True
            return
        self._answer(answer.status_code, answer.content)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
