"""Runs a memory server until it is told to stop."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memdefrag.base.errors import NotPermitted, UnsupportedEnvironment, UsageError
from memdefrag.base.http import is_loopback
from memdefrag.base.secrets import Secret
from memdefrag.engine.embedding import Embed
from memdefrag.engine.serve import entries
from memdefrag.stores.base import Store

PORT = 8080
_STOP_SECONDS = 60
"""What is written then is finished; its client gets its answer."""


@dataclass(frozen=True)
class ServeOptions:
    """How a store is given out.

    Attributes:
        port: 0: any that is free.
        key: what clients must send; None: none is asked for.
        pages: whether there are pages for a person.
        log_level: of the server's own log on stderr, as the uvicorn library names it.
        embed: makes the vectors of new texts; None: stores that need them refuse such texts.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    key: Secret | None = None
    pages: bool = True
    log_level: str = "warning"
    embed: Embed | None = None


@dataclass(frozen=True)
class Started:
    """Where a server listens."""

    url: str
    writable: bool
    key_required: bool


def serve(store: Store, options: ServeOptions, started: Callable[[Started], None]) -> None:
    """Give out a store until SIGINT or SIGTERM; requests under way are finished.

    Args:
        started: called once, when clients can connect.

    Raises:
        UnsupportedEnvironment: the extra `serve` is not installed.
        UsageError: other machines could come in without a key, or there is no such address.
        NotPermitted: the port is taken or not allowed.
    """
    require_key(options)
    uvicorn = _uvicorn()
    from memdefrag.engine.serve import app, connections
    from memdefrag.engine.serve.door import Door

    served = entries.of(store, options.embed)
    listener = _listener(options)
    config = uvicorn.Config(
        app.make(served, Door(options.key, options.pages)),
        log_level=options.log_level,
        access_log=options.log_level in ("debug", "info"),
        lifespan="off",
        server_header=False,
        **connections.LIMITS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    # The library raises the signal once more when it has stopped; by then it has done its work.
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with listener:
            started(Started(_url(options.host, listener), served.writable, options.key is not None))
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, previous)


def require_key(options: ServeOptions) -> None:
    """Insist on a key wherever another machine could come in.

    Raises:
        UsageError: there is none.
    """
    if options.key is None and not is_loopback(options.host):
        raise UsageError(
            f"Without a key, {options.host} would let everybody on the network read and change these memories.",
            todo="Set a key in the environment (HDEV_MEMORY_API_KEY), or leave the host at 127.0.0.1.",
        )


def _uvicorn() -> Any:
    """The library that runs servers, where all that serving needs is there."""
    try:
        import starlette  # noqa: F401 - the routes need it
        import uvicorn
    except ImportError as error:
        raise UnsupportedEnvironment(
            f"Serving needs the extra `serve` ({error.name} is missing).", todo="pipx install 'memdefrag[serve]'"
        ) from error
    return uvicorn


def _listener(options: ServeOptions) -> socket.socket:
    try:
        family = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((options.host, options.port), family=family, backlog=512)
    except (socket.gaierror, OverflowError) as error:
        raise UsageError(f"{options.host}:{options.port} is no address of this machine.") from error
    except OSError as error:
        raise NotPermitted(
            f"{options.host}:{options.port} cannot be listened at: {error.strerror}.",
            todo="Another program may listen there; choose another --port.",
        ) from error


def _url(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
