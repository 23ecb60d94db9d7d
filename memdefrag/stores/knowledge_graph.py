"""The file of the knowledge graph memory server of the Model Context Protocol, ``memory.jsonl``.

Lines are ``{"type": "entity", "name", "entityType", "observations": [text, …]}`` and ``{"type": "relation", "from",
"to", "relationType"}``. Each observation is a memory, called ``NAME/NUMBER``; its tags are its entity's name and type.
From the server's ``src/memory/index.ts``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from memdefrag.model.records import Key, MemoryRecord, Metadata, Relation
from memdefrag.stores.foreign_export import Content, ForeignExport, first_object, json_lines, strings, time_of

COLLECTION = "memories"

_ENTITY_KNOWN = frozenset({"type", "name", "entityType", "observations"})
_RELATION_KNOWN = frozenset({"type", "from", "to", "relationType"})
_CREATED = ("timestamp", "createdAt", "created_at", "ts")


class KnowledgeGraph(ForeignExport):
    """Observations of entities. The links between entities join their names."""

    kind: ClassVar[str] = "knowledge-graph"

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        first = first_object(path) if path.is_file() else None
        return path if first is not None and (_is_entity(first) or _relation(first)) else None

    @property
    def format(self) -> str:
        return "knowledge graph of the MCP memory server"

    def _read(self) -> Content:
        content = Content()
        for number, fields in json_lines(self.address.path):
            relation = _relation(fields)
            if relation is not None:
                content.relations.append(relation)
            elif fields is not None and _is_entity(fields):
                self._add(content, fields, f"Line {number}")
            else:
                content.faults.append(f"Line {number} is no entity and no relation; only the file itself keeps it.")
        return content

    @staticmethod
    def _add(content: Content, entity: Metadata, where: str) -> None:
        name, kind = entity["name"], entity.get("entityType")
        about = {key: value for key, value in entity.items() if key not in _ENTITY_KNOWN}
        if not entity["observations"]:
            content.faults.append(f"{where} tells nothing of the entity {name!r}; only the file itself keeps it.")
        for number, told in enumerate(entity["observations"], 1):
            text = told.get("content") if isinstance(told, dict) else told
            if not isinstance(text, str):
                content.faults.append(f"{where} has an observation without text; only the file itself keeps it.")
                continue
            rest = {key: value for key, value in told.items() if key != "content"} if isinstance(told, dict) else {}
            record = MemoryRecord(
                Key(COLLECTION, f"{name}/{number}"),
                text,
                {"entity": name, "entity_type": kind},
                tags=strings([name, kind]),
                created=time_of({**about, **rest}, *_CREATED),
                extras={**about, **rest},
            )
            content.add(record, where)


def _is_entity(fields: Metadata) -> bool:
    named = isinstance(fields.get("name"), str) and isinstance(fields.get("observations"), list)
    return named and fields.get("type") == "entity"


def _relation(fields: Any) -> Relation | None:
    if not isinstance(fields, dict) or fields.get("type") != "relation":
        return None
    source, target = fields.get("from"), fields.get("to")
    if not isinstance(source, str) or not isinstance(target, str):
        return None
    rest = {key: value for key, value in fields.items() if key not in _RELATION_KNOWN}
    kind = fields.get("relationType")
    return Relation(
        source, target, kind if isinstance(kind, str) else "related", metadata=rest, created=time_of(rest, *_CREATED)
    )
