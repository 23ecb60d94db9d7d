"""A small memory server over a folder, faithful to hdev's in what it answers, its traps included.

It can misbehave on demand: see `Faults`.
"""

from __future__ import annotations

import json
import shutil
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

NOW = "1795177582.5007188"
"""The time that the original notes everywhere: the age of the home folder."""


@dataclass
class Faults:
    """How the server misbehaves. Requests are counted over those of `methods`.

    Attributes:
        dies_at: this request gets no answer, nor does any after it.
        dies_after: the same, but the work of this request is done first.
        fails: so many requests are answered 500 although their work was done.
        silent: so many requests get no answer although their work was done.
        trickles: seconds between two bytes of an answer.
        busy: so many requests are answered 429 and nothing is done.
        full: everything counted is answered with a failure of the backend, in the original's way: status 200.
        lies: everything counted is answered with success, and nothing is done.
        answer: sent instead of any other: status, headers, body.
    """

    methods: tuple[str, ...] = ("PUT", "DELETE")
    dies_at: int | None = None
    dies_after: int | None = None
    fails: int = 0
    silent: int = 0
    trickles: float = 0.0
    busy: int = 0
    full: bool = False
    lies: bool = False
    answer: tuple[int, dict[str, str], bytes] | None = None
    seen: int = 0
    dead: bool = False


@dataclass
class MemoryServer:
    """A running server.

    Attributes:
        requests: method, raw path and headers of all that came.
    """

    root: Path
    key: str | None = None
    faults: Faults = field(default_factory=Faults)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"hdev+{self.url}"

    def written(self) -> list[str]:
        """The requests that change something."""
        return [f"{method} {path}" for method, path, _ in self.requests if method in ("PUT", "DELETE", "POST")]


@contextmanager
def serving(root: Path, key: str | None = None, context: ssl.SSLContext | None = None) -> Iterator[MemoryServer]:
    """Serve a folder on a free port of this machine."""
    state = MemoryServer(root, key)
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        state.scheme = "https"
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    state: MemoryServer

    def log_message(self, format: str, *args: Any) -> None:
        return

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True

    def do_GET(self) -> None:
        self._answer("GET")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        state, faults = self.state, self.state.faults
        with state.lock:
            state.requests.append((method, self.path, dict(self.headers)))
            counted = method in faults.methods
            faults.seen += counted
            number = faults.seen
            faults.dead |= counted and number == faults.dies_at
            if faults.dead:
                self.close_connection = True
                return
            if counted and faults.busy:
                faults.busy -= 1
                return self._send(429, {"detail": "Too Many Requests"}, {"Retry-After": "1"})
            if faults.answer:
                status, headers, raw = faults.answer
                return self._send_raw(status, raw, headers)
            if counted and (faults.full or faults.lies):
                error = None if faults.lies else "the disk is full"
                return self._send(200, {"path": "", "success": faults.lies, "message": None, "error": error})
            status, said, headers = self._work(method, body)
            faults.dead = counted and number == faults.dies_after
            if faults.dead:
                self.close_connection = True
                return
            if counted and faults.fails:
                faults.fails -= 1
                return self._send(500, {"detail": "Internal Server Error"})
            silent = counted and faults.silent > 0
            faults.silent -= silent
        if silent:
            state.closing.wait(20)
            self.close_connection = True
            return
        self._send(status, said, headers)

    def _send(self, status: int, said: Any, headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        self._send_raw(status, raw, {"Content-Type": "application/json", **(headers or {})})

    def _send_raw(self, status: int, raw: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if not self.state.faults.trickles:
            self.wfile.write(raw)
            self.wfile.flush()
            return
        for byte in raw:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.state.closing.wait(self.state.faults.trickles):
                return

    def _work(self, method: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        url = urlsplit(self.path)
        path, query = unquote(url.path), parse_qs(url.query)
        if path == "/api/health":
            details = {"backend_type": "FilesystemMemoryBackend"}
            return 200, {"healthy": True, "message": "Backend is healthy", "details": details, "timestamp": "x"}, {}
        refused = self._refused()
        if refused:
            return 401, {"detail": refused}, {"WWW-Authenticate": "Bearer"}
        if path == "/api/memory/tree":
            return 200, tree(self.state.root, query.get("prefix", [""])[0], int(query.get("depth", ["-1"])[0])), {}
        if not path.startswith("/api/memory/entry/"):
            return 404, {"detail": "Not Found"}, {}
        entry = path.removeprefix("/api/memory/entry/")
        if method == "GET":
            return 200, get(self.state.root, entry), {}
        if method == "PUT":
            return 200, put(self.state.root, entry, json.loads(body)), {}
        if method == "DELETE":
            return 200, delete(self.state.root, entry), {}
        return 405, {"detail": "Method Not Allowed"}, {}

    def _refused(self) -> str | None:
        if self.state.key is None:
            return None
        scheme, _, key = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return "API key required"
        return None if key == self.state.key else "Invalid API key"


def tree(root: Path, prefix: str, depth: int) -> dict[str, Any]:
    start = root / prefix
    if not start.is_dir():
        error = f"Path {prefix} does not exist"
        return {"type": "tree", "path": prefix, "items": {}, "success": False, "error": error}
    items = {} if not prefix and depth == 0 else _below(start, depth)
    return {"type": "tree", "path": prefix, "items": items, "success": True, "error": None}


def _below(folder: Path, depth: int) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for path in folder.iterdir():
        if path.is_dir():
            items[path.name] = {} if depth == 0 else _below(path, depth - 1)
        elif path.suffix == ".md":
            items[path.stem] = {}
    return items


def get(root: Path, entry: str) -> dict[str, Any]:
    folder = root / entry
    if folder.is_dir():
        items = [
            {"type": "node" if path.is_dir() else "leaf", "path": f"{entry}/{name}" if entry else name}
            for path in folder.iterdir()
            if (name := path.name if path.is_dir() else path.stem) and (path.is_dir() or path.suffix == ".md")
        ]
        items.sort(key=lambda item: item["path"])
        return _got("directory", entry, items=items)
    content, metadata = _files(root, entry)
    for what, path in (("content", content), ("metadata", metadata)):
        if not path.exists():
            where = path.relative_to(root).as_posix() if path.is_relative_to(root) else path
            return _got("file", entry, error=f"Memory entry {what} at {where} does not exist")
    try:
        said = {"content": content.read_text("utf-8"), "metadata": json.loads(metadata.read_text("utf-8"))}
    except (OSError, ValueError) as error:
        return _got("error", entry, error=f"Error reading memory entry: {error}")
    return _got("file", entry, **said)


def _got(kind: str, entry: str, error: str | None = None, **said: Any) -> dict[str, Any]:
    empty = {"content": None, "metadata": None, "items": None}
    return {"type": kind, "path": entry, **empty, **said, "success": error is None, "error": error}


def put(root: Path, entry: str, said: dict[str, Any]) -> dict[str, Any]:
    content, metadata = _files(root, entry)
    old = json.loads(metadata.read_text("utf-8")) if metadata.exists() else {}
    made = {"updated": NOW, "version": old.get("version", 0) + 1}
    if not content.exists():
        made["created"] = NOW
    content.parent.mkdir(parents=True, exist_ok=True)
    content.write_text(said["content"], "utf-8")
    metadata.write_text(json.dumps({**old, **made, **(said.get("metadata") or {})}, indent=2), "utf-8")
    message = f"Memory entry written successfully to {entry}"
    return {"path": entry, "success": True, "message": message, "error": None}


def delete(root: Path, entry: str) -> dict[str, Any]:
    if (root / entry).is_dir():
        shutil.rmtree(root / entry)
        message = f"Successfully deleted directory {entry} and all its contents"
        return {"path": entry, "success": True, "message": message, "error": None}
    files = [path for path in _files(root, entry) if path.exists()]
    if not files:
        error = f"Error: Memory entry at {entry} does not exist"
        return {"path": entry, "success": False, "message": None, "error": error}
    for path in files:
        path.unlink()
    message = f"Successfully deleted memory entry {entry}"
    return {"path": entry, "success": True, "message": message, "error": None}


def _files(root: Path, entry: str) -> tuple[Path, Path]:
    """As the original finds them: the suffix is replaced, nothing is checked."""
    return (root / entry).with_suffix(".md"), root / f"{entry}.metadata.json"
