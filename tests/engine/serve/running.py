"""The memory server on a free port of this machine: in a thread, or as the program that people start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from memdefrag.base.secrets import Secret
from memdefrag.engine.serve import app, entries
from memdefrag.engine.serve.connections import LIMITS
from memdefrag.engine.serve.door import Door
from memdefrag.stores.registry import open_store
from tests.cli.conftest import command_line

KEY = "canary-key-5150"


@contextmanager
def given_out(store: str, key: str | None = None) -> Iterator[str]:
    """Serve a store from a thread; the URL."""
    with open_store(store) as opened, socket.create_server(("127.0.0.1", 0)) as listener:
        made = app.make(entries.of(opened), Door(Secret(key) if key else None))
        config = uvicorn.Config(made, log_level="warning", lifespan="off", timeout_graceful_shutdown=1, **LIMITS)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@dataclass
class Program:
    """A server that was started as a program, and what it said when clients could connect."""

    process: subprocess.Popen[str]
    said: Any

    @property
    def url(self) -> str:
        return str(self.said["url"])

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(20)


@contextmanager
def program(*arguments: object, data: Path, **environment: str) -> Iterator[Program]:
    """Run ``memdefrag ARGUMENTS --port 0 --json`` until the end of the block."""
    surroundings = {**os.environ, "MEMDEFRAG_DATA_DIR": str(data), **environment}
    line = command_line(*arguments, "--port", 0, "--json")
    with subprocess.Popen(
        line, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        told = ""
        try:
            for text in process.stdout:
                told += text
                if text.startswith("}"):
                    break
            yield Program(process, json.loads(told))
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(20)


def ask(url: str, method: str, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
    """One request; the path goes out exactly as it is given."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(trust_env=False) as client:
        return client.send(httpx.Request(method, httpx.URL(url, raw_path=path.encode()), json=body, headers=headers))


def said(url: str, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
    """The JSON value that answers a request."""
    return ask(url, method, path, body, key).json()
