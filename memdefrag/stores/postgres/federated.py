"""Federated Memory: one table ``<module>_memories`` for each module, with camelCase columns and no soft delete.

Tags stand in the metadata. The central index, ``memory_index``, is left alone: Federated Memory's own
``cmi:populate`` renews its entries; those of memories that are gone stay until somebody removes them.
"""

from __future__ import annotations

from typing import ClassVar

from memdefrag.model.records import Key
from memdefrag.stores.postgres.store import PostgresStore
from memdefrag.stores.postgres.tables import LinkSchema, Role, Schema

_SUFFIX = "_memories"


def _key(module: str, id: str) -> Key:
    """``project-management`` keeps its memories in ``project_management_memories``."""
    return Key(module.replace("-", "_") + _SUFFIX, id)


def _parts(key: Key) -> tuple[str, ...]:
    return key.collection.removesuffix(_SUFFIX).replace("_", "-"), key.id


class Federated(PostgresStore):
    """A Federated Memory database. Every module's table is a collection."""

    kind: ClassVar[str] = "federated"
    schema: ClassVar[Schema] = Schema(
        name="Federated Memory",
        tables=r"%\_memories",
        marks=frozenset({"id", "userId", "content"}),
        roles={
            "id": Role.ID,
            "content": Role.TEXT,
            "embedding": Role.EMBEDDING,
            "metadata": Role.METADATA,
            "createdAt": Role.CREATED,
            "updatedAt": Role.UPDATED,
            "userId": Role.OWNER,
        },
        links=LinkSchema(
            "memory_relationships",
            ("sourceModule", "sourceMemoryId"),
            ("targetModule", "targetMemoryId"),
            key=_key,
            parts=_parts,
            type="relationshipType",
            created="createdAt",
            owner="userId",
        ),
        optional=frozenset({"embedding"}),
        variables=("DATABASE_URL",),
    )
