"""memdefrag serve and memory-server: give out a store in the protocol that hdev's clients speak."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.base.errors import NotAStore, UsageError
from memdefrag.cli.run import Run, command

if TYPE_CHECKING:
    from memdefrag.base.secrets import Secret
    from memdefrag.engine.serve.server import ServeOptions, Started

SERVER_KEY_VARIABLE = "HDEV_MEMORY_API_KEY"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Backend(StrEnum):
    FILESYSTEM = "filesystem"


StoreName = Annotated[str, typer.Argument(metavar="STORE", help="A path or an address, with #COLLECTION if needed.")]
Host = Annotated[str, typer.Option(metavar="HOST", help="Listen at this address; others than 127.0.0.1 need a key.")]
Port = Annotated[int, typer.Option(min=0, max=65535, envvar="PORT", help="Listen at this port; 0: any free one.")]
ServePort = Annotated[int, typer.Option(min=0, max=65535, help="Listen at this port; 0: any that is free.")]
KeyVariable = Annotated[
    str, typer.Option("--api-key-env", metavar="NAME", help="The environment variable with the key clients must send.")
]
LogWords = Annotated[LogLevel, typer.Option("--log-level", help="How much the server itself says on stderr.")]
NoPages = Annotated[bool, typer.Option("--no-web-ui", help="No pages for a browser.")]
Folder = Annotated[
    Path | None, typer.Option("--storage-path", metavar="FOLDER", help="The folder of memories; made if it is absent.")
]
BackendName = Annotated[Backend, typer.Option("--backend", help="What holds the memories: files are all there is.")]
NoS3 = Annotated[bool, typer.Option("--disable-s3-backup", help="Accepted; there is no backup to S3 here.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    command(app, "serve")(serve)
    command(app, "memory-server")(memory_server)


def serve(
    run: Run,
    store: StoreName,
    host: Host = "127.0.0.1",
    port: ServePort = 8080,
    key_variable: KeyVariable = SERVER_KEY_VARIABLE,
    log_level: LogWords = LogLevel.WARNING,
    no_pages: NoPages = False,
) -> None:
    """Give out a store as a memory server, for hdev and every program that speaks its protocol. Ctrl-C stops it."""
    from memdefrag.engine.serve.server import ServeOptions
    from memdefrag.stores.registry import resolve

    address = resolve(store)
    key = _key(host, port, key_variable)

    def started(told: Started) -> None:
        run.answer(
            {"store": str(address), "url": told.url, "writable": told.writable, "key_required": told.key_required},
            f"Serving {address} at {told.url} ({'read and write' if told.writable else 'read only'}).",
            f"For memdefrag it is hdev+{told.url}. {_who(told)} Ctrl-C stops it.",
        )

    _serve(run, str(address), ServeOptions(host, port, key, not no_pages, log_level), started)


def memory_server(
    run: Run,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    folder: Folder = None,
    key_variable: KeyVariable = SERVER_KEY_VARIABLE,
    log_level: LogWords = LogLevel.WARNING,
    no_pages: NoPages = False,
    backend: BackendName = Backend.FILESYSTEM,
    no_s3: NoS3 = False,
) -> None:
    """Give out hdev's folder of memories, as hdev's own memory-server does. Ctrl-C stops it."""
    from memdefrag.base.fsops import make_private_dir
    from memdefrag.engine.serve.server import ServeOptions, require_key
    from memdefrag.stores.hdev import config

    told = config.load()
    for warning in told.warnings:
        run.note(warning)
    place = (folder.expanduser() if folder else told.folder).absolute()
    key = _key(host, port, key_variable)
    options = ServeOptions(host, port, key, not no_pages, log_level)
    # Before a folder is made for a server that may not run.
    require_key(options)
    if place.exists() and not place.is_dir():
        raise NotAStore(f"{place} is no folder.", todo="Name a folder with --storage-path.")
    make_private_dir(place)

    def started(server: Started) -> None:
        run.answer(
            {"store": f"hdev:{place}", "url": server.url, "writable": server.writable, "key_required": bool(key)},
            f"Starting memory server with {backend} backend...",
            f"Storage: {place}" + ("" if server.writable else " (read only: run hdev's own migration first)"),
            f"Address: {server.url}",
            f"Authentication: {'API key required' if key else 'None (open server)'}",
            "S3 backup: Disabled",
        )

    _serve(run, f"hdev:{place}", options, started)


def _serve(run: Run, store: str, options: ServeOptions, started: Callable[[Started], None]) -> None:
    from memdefrag.engine.embedding import with_model
    from memdefrag.engine.serve.server import serve
    from memdefrag.stores.registry import open_store

    run.keep_log()
    with open_store(store) as opened:
        serve(opened, replace(options, embed=with_model(run.progress)), started)
    run.note("Stopped.")


def _key(host: str, port: int, variable: str) -> Secret | None:
    """The key that clients must send: of the environment, typed, or of the keyring under the server's own address.

    Raises:
        UsageError: the variable was named and holds nothing.
    """
    from memdefrag.base import secrets

    if variable != SERVER_KEY_VARIABLE and not os.environ.get(variable):
        raise UsageError(f"The environment variable {variable} holds no key.")
    named = os.environ.get(variable)
    if named and variable != SERVER_KEY_VARIABLE:
        return secrets.Secret(named)
    return secrets.find(f"http://{host}:{port}", SERVER_KEY_VARIABLE)


def _who(told: Started) -> str:
    return "Clients must send the key." if told.key_required else "No key is asked for: every program here can use it."
