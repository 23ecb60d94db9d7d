"""Stands between a client and the server, and loses the answer to COMMIT."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_PORT_FILE = ".s.PGSQL.5432"


@dataclass
class Proxy:
    """Passes everything on until somebody commits.

    Attributes:
        deliver: whether the server gets the COMMIT whose answer is lost.
        die: whether nobody can connect afterwards.
    """

    folder: Path
    server: Path
    deliver: bool
    die: bool
    listener: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX))
    struck: bool = False

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.server / _PORT_FILE))
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._down, args=(client, server), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if b"COMMIT\0" in data and not self.struck:
                    self._strike(client, server, data)
                    return
                server.sendall(data)
        _close(server)

    def _strike(self, client: socket.socket, server: socket.socket, data: bytes) -> None:
        self.struck = True
        if self.die:
            (self.folder / _PORT_FILE).unlink()
            _close(self.listener)
        if self.deliver:
            server.sendall(data)
            # The other direction waits for the server's answer, swallows it and hangs up.
            return
        _close(server)
        _close(client)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if self.struck and self.deliver and b"COMMIT\0" in data:
                    _close(server)
                    break
                client.sendall(data)
        _close(client)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def losing_commit(server: Path, *, deliver: bool, die: bool = False) -> Iterator[Path]:
    """The folder of a socket that leads to the server's."""
    with tempfile.TemporaryDirectory(prefix="pgproxy") as name:
        proxy = Proxy(Path(name), server, deliver, die)
        proxy.listener.bind(str(proxy.folder / _PORT_FILE))
        proxy.listener.listen()
        thread = threading.Thread(target=proxy.serve, daemon=True)
        thread.start()
        yield proxy.folder
        assert proxy.struck
        _close(proxy.listener)
        thread.join()
