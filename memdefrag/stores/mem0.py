"""What mem0's ``get_all`` gives as JSON: ``{"results": [memory, …], "relations": […]}``, the list alone, or lines.

A memory is ``{"id", "memory", "hash", "metadata", "created_at", "updated_at", "user_id", "agent_id", "run_id",
"categories", …}``, of which only `memory`, the text, must be there; a relation ``{"source", "relationship", "target"}``
joins two names. From https://docs.mem0.ai/api-reference/memory/get-memories and ``mem0/memory/main.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from memdefrag.base.errors import UnsupportedFormat
from memdefrag.model.records import Key, MemoryRecord, Metadata, Relation
from memdefrag.model.service_metadata import content_hash, read
from memdefrag.stores.foreign_export import Content, ForeignExport, decoded, first_object, json_lines, strings, time_of

COLLECTION = "memories"

_HEAD = 1 << 16
_KNOWN = frozenset({"id", "memory", "metadata", "created_at", "updated_at", "user_id", "categories"})
_RELATION_KNOWN = frozenset({"source", "relationship", "target", "destination"})


class Mem0(ForeignExport):
    """Memories of mem0. Its users are the owners, its categories the tags."""

    kind: ClassVar[str] = "mem0"

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            head = file.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n")
        if not head.startswith((b"{", b"[")) or b'"memory"' not in head:
            return None
        return path if _load(path) is not None else None

    @property
    def format(self) -> str:
        return "mem0 export"

    def _read(self) -> Content:
        loaded = _load(self.address.path)
        if loaded is None:
            raise UnsupportedFormat(f"{self.address.location} is no export of mem0.")
        entries, relations = loaded
        content = Content()
        for number, entry in enumerate(entries, 1):
            if _is_memory(entry):
                content.add(_record(entry), f"Entry {number}")
            else:
                content.faults.append(f"Entry {number} holds no memory; only the file itself keeps it.")
        for number, fields in enumerate(relations, 1):
            relation = _relation(fields)
            if relation is None:
                content.faults.append(f"Relation {number} names no two ends; only the file itself keeps it.")
            else:
                content.relations.append(relation)
        return content


def _load(path: Path) -> tuple[list[Any], list[Any]] | None:
    """The entries and relations of an export; None: it is none."""
    try:
        whole = decoded(path.read_bytes())
    except ValueError:
        first = first_object(path)
        return ([fields for _, fields in json_lines(path)], []) if _is_memory(first) else None
    if _is_memory(whole):
        return [whole], []
    relations = whole.get("relations") if isinstance(whole, dict) else None
    entries = whole.get("results") if isinstance(whole, dict) else whole
    if not isinstance(entries, list) or not any(_is_memory(entry) for entry in entries):
        return None
    return entries, relations if isinstance(relations, list) else []


def _is_memory(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("memory"), str) and "text" not in entry


def _record(entry: Metadata) -> MemoryRecord:
    text, told = entry["memory"], entry.get("metadata")
    metadata = told if isinstance(told, dict) else {}
    extras = {name: value for name, value in entry.items() if name not in _KNOWN}
    if told is not metadata and told is not None:
        extras["metadata"] = told
    owner = entry.get("user_id")
    return MemoryRecord(
        Key(COLLECTION, str(entry.get("id") or content_hash(text))),
        text,
        metadata,
        tags=strings(entry.get("categories")) or read(metadata).tags,
        created=time_of(entry, "created_at"),
        updated=time_of(entry, "updated_at"),
        owner=None if owner is None else str(owner),
        extras=extras,
    )


def _relation(fields: Any) -> Relation | None:
    """A relation between two of the names that mem0 finds in memories."""
    if not isinstance(fields, dict):
        return None
    source, target = fields.get("source"), fields.get("target", fields.get("destination"))
    if not isinstance(source, str) or not isinstance(target, str):
        return None
    rest = {name: value for name, value in fields.items() if name not in _RELATION_KNOWN}
    return Relation(source, target, str(fields.get("relationship", "related")), metadata=rest)
