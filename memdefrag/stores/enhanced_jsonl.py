"""The JSON lines of the Enhanced Memory System: a folder of users, contexts, memories and relations, in two dialects.

Its migration's dialect names `user_id`, `metadata`, `relation_type` and the ends as `source_type` ("memory" or
"context") and `source_id`; its validator's, like the tables, `owner_id`, `memory_metadata`, `name`, `strength` and the
ends as `source_memory_id` or `source_context_id`. Both are read, also mixed. What the system would refuse is read as
far as it says anything, and told. Users are no memories: only their faults are told, passwords are never taken over.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from memdefrag.model.records import Key, MemoryRecord, Metadata, Relation, State
from memdefrag.model.service_metadata import content_hash, read
from memdefrag.stores.foreign_export import Content, ForeignExport, first_object, json_lines, strings, time_of

COLLECTION = "memories"
"""As in the system's databases."""

LONGEST_TITLE, LONGEST_TEXT, LONGEST_CONTEXT = 255, 1_000_000, 255
SHORTEST_PASSWORD = 8
RELATION_TYPES = frozenset({"belongs_to", "related_to", "contains", "references", "similar_to"})
"""What the dialect with `relation_type` knows."""

_FILES = ("users.jsonl", "contexts.jsonl", "memories.jsonl", "relations.jsonl")
_MEMORIES, _RELATIONS = _FILES[2:]
_KNOWN = frozenset(
    {"id", "content", "user_id", "owner_id", "metadata", "memory_metadata", "tags", "created_at", "updated_at"}
)
_RELATION_KNOWN = frozenset(
    {"name", "relation_type", "strength", "metadata", "relation_metadata", "created_at"}
    | {f"{end}_{what}" for end in ("source", "target") for what in ("type", "id", "memory_id", "context_id")}
)


class EnhancedJsonLines(ForeignExport):
    """A folder of such files, or one file of memories alone."""

    kind: ClassVar[str] = "enhanced-jsonl"

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        if path.name in _FILES and path.is_file() and (path.parent / _MEMORIES).is_file():
            path = path.parent
        memories = path / _MEMORIES if path.is_dir() else path
        first = first_object(memories) if memories.is_file() else None
        known = first is not None and {"content", "title"} <= first.keys() and first.keys() & {"user_id", "owner_id"}
        return path if known else None

    @property
    def format(self) -> str:
        return "JSON lines export of the Enhanced Memory System"

    def raw_files(self) -> list[Path]:
        path = self.address.path.absolute()
        return [path] if path.is_file() else sorted(path / name for name in _FILES if (path / name).is_file())

    def _read(self) -> Content:
        content = Content()
        for path in self.raw_files():
            for number, fields in json_lines(path):
                where = f"Line {number} of {path.name}"
                if fields is None:
                    content.faults.append(f"{where} is no JSON object.")
                    continue
                _READERS.get(path.name, _memory)(content, fields, where)
        return content


def _memory(content: Content, fields: Metadata, where: str) -> None:
    text, title = fields.get("content"), fields.get("title")
    if not isinstance(text, str):
        content.faults.append(f"{where} holds no text; only the file itself keeps it.")
        return
    if len(text) > LONGEST_TEXT or (isinstance(title, str) and len(title) > LONGEST_TITLE):
        content.faults.append(f"{where} is longer than the system allows.")
    owner = _first(fields, "owner_id", "user_id")
    if owner is None:
        content.faults.append(f"{where} names no user.")
    metadata, extras = _metadata(fields, "memory_metadata")
    extras |= {name: value for name, value in fields.items() if name not in _KNOWN}
    record = MemoryRecord(
        Key(COLLECTION, str(_first(fields, "id") or content_hash(text))),
        text,
        metadata,
        tags=strings(fields.get("tags")) or read(metadata).tags,
        created=time_of(fields, "created_at"),
        updated=time_of(fields, "updated_at"),
        owner=None if owner is None else str(owner),
        state=State.DELETED if fields.get("is_active") in (False, 0) else State.LIVE,
        extras=extras,
    )
    content.add(record, where)


def _relation(content: Content, fields: Metadata, where: str) -> None:
    source, target = _end(fields, "source"), _end(fields, "target")
    if source is None or target is None:
        content.faults.append(f"{where} does not say what it joins; only the file itself keeps it.")
        return
    kind = fields.get("relation_type")
    if kind is not None and kind not in RELATION_TYPES:
        content.faults.append(f"{where} has a relation_type that the system does not know: {kind!r}.")
    metadata, extras = _metadata(fields, "relation_metadata")
    extras |= {name: value for name, value in fields.items() if name not in _RELATION_KNOWN}
    strength: Any = fields.get("strength")
    content.relations.append(
        Relation(
            source,
            target,
            str(kind or fields.get("name") or "related"),
            float(strength) if type(strength) in (int, float) else None,
            {**extras, **metadata},
            time_of(fields, "created_at"),
        )
    )


def _context(content: Content, fields: Metadata, where: str) -> None:
    name = fields.get("name")
    named = isinstance(name, str) and 0 < len(name) <= LONGEST_CONTEXT
    if not named or _first(fields, "owner_id", "user_id") is None:
        content.faults.append(f"{where} is no context that the system takes: it needs a name and a user.")


def _user(content: Content, fields: Metadata, where: str) -> None:
    password = fields.get("password", fields.get("hashed_password"))
    sound = fields.get("username") and "@" in str(fields.get("email"))
    if not sound or len(str(password or "")) < SHORTEST_PASSWORD:
        content.faults.append(f"{where} is no user that the system takes: it needs a name, an e-mail and a password.")


_READERS: dict[str, Callable[[Content, Metadata, str], None]] = dict(
    zip(_FILES, (_user, _context, _memory, _relation), strict=True)
)


def _first(fields: Metadata, *names: str) -> Any:
    """The first of these fields that says something."""
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), None)


def _metadata(fields: Metadata, name: str) -> tuple[Metadata, Metadata]:
    """The metadata by either name, and what stands there that is no object."""
    told = {key: fields[key] for key in (name, "metadata") if fields.get(key) is not None}
    objects = [value for value in told.values() if isinstance(value, dict)]
    return (objects[0] if objects else {}), {key: value for key, value in told.items() if value not in objects[:1]}


def _end(fields: Metadata, end: str) -> Key | str | None:
    """One end of a relation: a memory, or else a context, named by its id."""
    memory, context = _first(fields, f"{end}_memory_id"), _first(fields, f"{end}_context_id")
    id = _first(fields, f"{end}_id")
    if fields.get(f"{end}_type") == "context":
        context = context if id is None else id
    elif id is not None:
        memory = id
    if memory is not None:
        return Key(COLLECTION, str(memory))
    return None if context is None else f"context:{context}"
