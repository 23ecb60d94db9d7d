"""From an address to an open store."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from memdefrag.base.errors import NotAStore, NotPermitted, UsageError
from memdefrag.model.address import Address, parse
from memdefrag.stores.base import Store, StoreSettings

_BUILT_IN = {
    "chroma": "memdefrag.stores.chroma.local:ChromaLocal",
    "chroma+http": "memdefrag.stores.chroma.server:ChromaHttp",
    "chroma+https": "memdefrag.stores.chroma.server:ChromaHttps",
    "memory-export": "memdefrag.stores.memory_export:MemoryExport",
    "memory-service": "memdefrag.stores.memory_service:MemoryService",
    "memory-service-json": "memdefrag.stores.service_json:ServiceJson",
    "enhanced": "memdefrag.stores.enhanced_memory:EnhancedMemory",
    "backup": "memdefrag.stores.backup:BackupStore",
    "enhanced-jsonl": "memdefrag.stores.enhanced_jsonl:EnhancedJsonLines",
    "mem0": "memdefrag.stores.mem0:Mem0",
    "knowledge-graph": "memdefrag.stores.knowledge_graph:KnowledgeGraph",
    "parquet": "memdefrag.stores.parquet:Parquet",
    "jsonl": "memdefrag.stores.jsonl:JsonLines",
    "bigmemory": "memdefrag.stores.postgres.bigmemory:BigMemory",
    "federated": "memdefrag.stores.postgres.federated:Federated",
    "hdev": "memdefrag.stores.hdev.files:HdevFiles",
    "hdev+http": "memdefrag.stores.hdev.http:HdevHttp",
    "hdev+https": "memdefrag.stores.hdev.http:HdevHttps",
}
"""Address prefix to class, in the order in which a bare path is offered to them."""

_WANTED = {
    "chroma": "a Chroma folder (the one that holds chroma.sqlite3)",
    "memory-export": "a file that Memory Defragmenter's export made",
    "memory-service": "a database of Memory Service, such as its sqlite_vec.db",
    "memory-service-json": "an export of Memory Service",
    "enhanced": "a database of the Enhanced Memory System",
    "enhanced-jsonl": "the folder of the Enhanced Memory System's files of JSON lines",
    "mem0": "an export of mem0",
    "knowledge-graph": "the file of the MCP memory server",
    "parquet": "a Parquet file",
    "jsonl": "a file of JSON lines",
    "hdev": "the folder in which hdev keeps its memories, usually ~/.hdev/memory",
}
"""What has to stand at an address, by its kind."""

_FOLDERS = {"chroma", "enhanced-jsonl", "hdev"}
"""Kinds that are no single file; of these only hdev takes every folder, and none of the files in it."""

_SUFFIXES = {".db": "memory-export", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
"""What is made where nothing is yet, by the end of its name."""


def kinds() -> tuple[str, ...]:
    """The known address prefixes."""
    return tuple(_BUILT_IN)


def store_class(kind: str) -> type[Store]:
    """The class behind an address prefix.

    Raises:
        UsageError: the prefix is unknown.
    """
    if kind not in _BUILT_IN:
        raise UsageError(f"Unknown kind of store {kind!r}.", todo=f"Known kinds: {', '.join(_BUILT_IN)}.")
    module, name = _BUILT_IN[kind].split(":")
    loaded: type[Store] = getattr(import_module(module), name)
    return loaded


def resolve(text: str) -> Address:
    """The full address, with an absolute path, of a store named by an address or a bare path.

    A bare path is recognised by its content; picking a file inside a store's folder, or the folder around
    it, names the store.

    Raises:
        NotAStore: nothing we know stands there.
        BackupNotFound: there is no such backup.
        NotPermitted: the path may not be read.
    """
    address = parse(text)
    if address.kind:
        return store_class(address.kind).located(address)
    path = address.path.absolute()
    try:
        if not path.exists():
            raise NotAStore(f"There is nothing at {path}.")
        for kind in _BUILT_IN:
            found = store_class(kind).detect(path)
            if found:
                return Address(kind, str(found), address.collection)
    except PermissionError as error:
        raise NotPermitted(f"{path} may not be read: {error.strerror}.") from error
    what = "an empty folder" if path.is_dir() and not any(path.iterdir()) else "no memory store known to memdefrag"
    raise NotAStore(f"{path} is {what}.")


def resolve_new(text: str) -> Address:
    """The full address of a store that may not be there yet, whose kind is then told by the path's suffix.

    Raises:
        UsageError: the suffix tells nothing.
        NotAStore, NotPermitted: as `resolve`, where something is.
    """
    address = parse(text)
    if address.kind or address.path.exists():
        return resolve(text)
    kind = _SUFFIXES.get(address.path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"There is nothing at {address.path}, and its name does not say what to make there.",
            todo=f"Name a file that ends in {', '.join(_SUFFIXES)}, or an address such as chroma:FOLDER.",
        )
    return Address(kind, str(address.path.absolute()), address.collection)


def open_store(address: Address | str, settings: StoreSettings | None = None, *, must_exist: bool = True) -> Store:
    """Open a store for reading.

    Raises:
        NotAStore: nothing of that kind stands there (unless `must_exist` is False).
        StoreDamaged, UnsupportedFormat, NotPermitted: as the kind's reader finds.
    """
    resolved = resolve(address) if isinstance(address, str) else store_class(address.kind).located(address)
    if must_exist and resolved.is_local and not resolved.path.exists():
        raise NotAStore(f"There is nothing at {Path(resolved.location)}.", todo=_todo(resolved.kind))
    if resolved.kind in _WANTED:
        _require_fitting(resolved)
    return store_class(resolved.kind)(resolved, settings or StoreSettings())


def _require_fitting(address: Address) -> None:
    """Refuse a folder where a file is meant, and a file where hdev's folder is.

    Raises:
        NotAStore: it is the other one.
    """
    path, is_folder = address.path, address.kind in _FOLDERS
    if path.is_dir() and not is_folder:
        raise NotAStore(f"{path} is a folder.", todo=_todo(address.kind))
    if path.is_file() and address.kind == "hdev":
        raise NotAStore(f"{path} is a file.", todo=_todo(address.kind))


def _todo(kind: str) -> str | None:
    return f"Name {_WANTED[kind]}." if kind in _WANTED else None
