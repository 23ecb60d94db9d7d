"""Real Chroma servers for tests: of the installed chromadb or of an older one, on a free port of this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

READY_SECONDS = 90.0


@dataclass
class ChromaServer:
    """A server over a folder. It can be killed and started again at the same port."""

    folder: Path
    python: Path
    port: int = field(default_factory=lambda: free_port())
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def address(self, database: str = "", collection: str = "", tenant: str = "") -> str:
        query = "&".join(f"{name}={value}" for name, value in (("tenant", tenant), ("database", database)) if value)
        return f"chroma+{self.url}/{'?' * bool(query)}{query}{'#' * bool(collection)}{collection}"

    def start(self) -> None:
        program = self.python.with_name("chroma.exe" if sys.platform == "win32" else "chroma")
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "run", "--path", self.folder, "--host", "127.0.0.1", "--port", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Its own log goes where it was started.
                cwd=self.folder.parent,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers():
            assert self.process.poll() is None, "the server did not start"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/v2/heartbeat", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def make_database(self, name: str, tenant: str = "default_tenant") -> None:
        """Make a database, and its tenant if that is missing."""
        for path, body in (("tenants", {"name": tenant}), (f"tenants/{tenant}/databases", {"name": name})):
            assert httpx.post(f"{self.url}/api/v2/{path}", json=body, timeout=60).status_code in (200, 201, 409)


@contextmanager
def running(folder: Path, python: Path | None = None) -> Iterator[ChromaServer]:
    """A server over a folder, of the chromadb in that Python (None: this one)."""
    server = ChromaServer(folder, python or Path(sys.executable))
    try:
        server.start()
        yield server
    finally:
        server.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
