"""The answers of a memory server, as hdev's clients expect them.

Learned from the real server's answers: what fails inside it is answered with ``"success": false`` and status 200.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memdefrag.base.errors import MemdefragError, NotPermitted
from memdefrag.base.settings import cache_dir, data_dir
from memdefrag.engine.serve.entries import Entries, Index
from memdefrag.engine.serve.writing import AT_ONCE, Wish, Writer
from memdefrag.model.records import MemoryRecord
from memdefrag.stores.hdev import names
from memdefrag.stores.hdev.store import Found

Answer = dict[str, Any]

AROUND = 50
"""Characters of a found text that are shown on either side of the words searched for."""
_NO_BACKUPS = {"success": False, "message": "S3 backup is not configured or enabled"}
_NO_S3 = {"error": "S3 backup not available"}
BACKUPS = {
    "list": {**_NO_BACKUPS, "backups": [], **_NO_S3},
    "make": {
        **_NO_BACKUPS, "backup_key": None, "entries_backed_up": 0, "backup_size_bytes": 0, "errors": None, **_NO_S3,
    },
    "restore": {
        **_NO_BACKUPS, "backup_key": None, "entries_restored": 0, "entries_skipped": 0, "backup_metadata": None,
        "errors": None, **_NO_S3,
    },
    "delete": {**_NO_BACKUPS, "backup_key": None, "objects_deleted": 0, **_NO_S3},
}  # fmt: skip
"""What is answered to requests for backups in Amazon's storage; this program's own are made without being asked."""


def health(entries: Entries) -> Answer:
    return {
        "healthy": True,
        "message": "Backend is healthy",
        "details": {"backend_type": entries.backend, "bulk": True},
        "timestamp": datetime.now(UTC).isoformat(),
    }


def tree(entries: Entries, prefix: str, depth: int) -> Answer:
    """All names as objects in each other.

    Args:
        depth: how many folders deep; -1: all.
    """
    prefix = prefix.strip("/")
    index = entries.index()
    is_there = prefix in index.folders
    items = {} if not is_there or (not prefix and depth == 0) else _below(index, prefix, depth)
    error = None if is_there else f"Path {prefix} does not exist"
    return {"type": "tree", "path": prefix, "items": items, "success": is_there, "error": error}


def _below(index: Index, folder: str, depth: int) -> Answer:
    items: Answer = {}
    for name, is_folder in index.inside.get(folder, ()):
        last = name.rpartition("/")[2]
        below = _below(index, name, depth - 1) if is_folder and depth != 0 else {}
        items[last] = items.get(last) or below
    return items


def read(entries: Entries, asked: Sequence[str]) -> Iterator[Answer]:
    """What stands under each name: an entry, or what lies in a folder."""
    faults = {name: fault for name in asked if name and (fault := names.fault_of(name))}
    folders = {name for name in asked if not name or (name not in faults and entries.is_folder(name))}
    inside = entries.index().inside if folders else {}
    looks = entries.looks([name for name in asked if name not in faults and name not in folders])
    for name in asked:
        if name in faults:
            yield _entry("error", name, error=f"Error reading memory entry: the path {faults[name]}")
        elif name in folders:
            items = [{"type": "node" if below else "leaf", "path": path} for path, below in inside.get(name, ())]
            yield _entry("directory", name, items=items)
        else:
            yield _read(*next(looks))


def _read(name: str, found: Found) -> Answer:
    if found.record is None and found.fault:
        return _entry("error", name, error=f"Error reading memory entry: {found.fault}")
    if found.record is None:
        return _entry("file", name, error=f"Memory entry content at {names.content_file(name)} does not exist")
    return _entry("file", name, content=found.record.text, metadata=found.record.metadata)


def _entry(kind: str, name: str, error: str | None = None, **said: Any) -> Answer:
    nothing = {"content": None, "metadata": None, "items": None}
    return {"type": kind, "path": name, **nothing, **said, "success": error is None, "error": error}


def change(writer: Writer, wishes: Sequence[Wish]) -> list[Answer]:
    """Write entries, or remove some, or folders with all that is in them; what came of each."""
    faults = [names.fault_of(wish.name) for wish in wishes]
    try:
        done = iter(writer.carry_out([wish for wish, fault in zip(wishes, faults, strict=True) if not fault]))
    except NotPermitted as error:
        return [_changed(wish, error=error.message) for wish in wishes]
    return [
        _changed(wish, error=f"the path {fault}") if fault else _outcome(wish, next(done), writer.location)
        for wish, fault in zip(wishes, faults, strict=True)
    ]


def _outcome(wish: Wish, done: Future[bool], location: str) -> Answer:
    try:
        return _changed(wish, was_folder=done.result())
    except MemdefragError as failure:
        return _changed(wish, error=discreet(failure.message, location))


def discreet(message: str, location: str) -> str:
    """A failure as clients may read it: without the places of this machine that they need not know."""
    places = {location, str(data_dir()), str(cache_dir()), tempfile.gettempdir(), str(Path.home()), sys.prefix}
    for place in sorted(places - {"", "/"}, key=len, reverse=True):
        message = message.replace(place, "…")
    return message


def _changed(wish: Wish, *, was_folder: bool = False, error: str | None = None) -> Answer:
    if error:
        error = ("Error: " if wish.content is None else "Error writing memory entry: ") + error
    message = f"Memory entry written successfully to {wish.name}"
    if wish.content is None:
        message = f"Successfully deleted memory entry {wish.name}"
    if was_folder:
        message = f"Successfully deleted directory {wish.name} and all its contents"
    return {"path": wish.name, "success": error is None, "message": None if error else message, "error": error}


def search(records: Iterable[MemoryRecord], query: str, prefix: str) -> Answer:
    """Entries whose text has the words, capitals or not; those in which they make up most come first."""
    prefix, results = prefix.strip("/"), []
    for record in records:
        name, text = record.key.id, record.text or ""
        if query and (not prefix or name == prefix or name.startswith(prefix + "/")):
            found = text.lower().count(query.lower())
            if found:
                results.append({"path": name, "snippet": _snippet(text, query), "score": found / len(text)})
    results.sort(key=lambda result: (-float(str(result["score"])), str(result["path"])))
    return {"query": query, "results": results, "success": True, "error": None}


def _snippet(text: str, query: str) -> str:
    at = max(0, text.lower().find(query.lower()))
    start, end = max(0, at - AROUND), min(len(text), at + len(query) + AROUND)
    return ("..." if start else "") + text[start:end] + ("..." if end < len(text) else "")


def body_faults(body: Any) -> list[Answer]:
    """What is wrong with the body of a PUT, as the real server tells it; nothing: empty."""
    if not isinstance(body, dict):
        told = "Input should be a valid dictionary or object to extract fields from"
        return [_fault("model_attributes_type", ["body"], told, body)]
    faults = []
    if "content" not in body:
        faults.append(_fault("missing", ["body", "content"], "Field required", body))
    elif not isinstance(body["content"], str):
        faults.append(_fault("string_type", ["body", "content"], "Input should be a valid string", body["content"]))
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        faults.append(_fault("dict_type", ["body", "metadata"], "Input should be a valid dictionary", metadata))
    return faults


def bulk_faults(body: Any) -> list[Answer]:
    """What is wrong with the body of a request for many entries; nothing: empty."""
    if not isinstance(body, dict) or len(body) != 1 or not body.keys() <= {"read", "write"}:
        return [_fault("bulk", ["body"], "Either `read` or `write` is needed", None)]
    [(what, items)] = body.items()
    if not isinstance(items, list) or len(items) > AT_ONCE:
        return [_fault("list_type", ["body", what], f"Input should be a list of at most {AT_ONCE}", None)]
    faults = []
    for number, item in enumerate(items):
        path = item if what == "read" else item.get("path") if isinstance(item, dict) else None
        if not isinstance(path, str):
            faults.append(_fault("string_type", ["body", what, number], "A path is needed", None))
        elif what == "write":
            faults += [{**fault, "loc": ["body", what, number, *fault["loc"][1:]]} for fault in body_faults(item)]
    return faults


def missing_query(name: str) -> list[Answer]:
    return [_fault("missing", ["query", name], "Field required", None)]


def no_number(name: str, given: str) -> list[Answer]:
    told = "Input should be a valid integer, unable to parse string as an integer"
    return [_fault("int_parsing", ["query", name], told, given)]


def no_json(at: int, reason: str) -> list[Answer]:
    return [{**_fault("json_invalid", ["body", at], "JSON decode error", {}), "ctx": {"error": reason}}]


def _fault(kind: str, where: list[Any], told: str, given: Any) -> Answer:
    return {"type": kind, "loc": where, "msg": told, "input": given}
