"""Federated Memory: one table ``<module>_memories`` for each module, with camelCase columns and no soft delete.

Tags stand in the metadata. The central index, ``memory_index``, is left alone: Federated Memory's own
``cmi:populate`` renews its entries; those of memories that are gone stay until somebody removes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from memdefrag.model.records import Key, Relation
from memdefrag.stores.postgres import rows
from memdefrag.stores.postgres.store import PostgresStore
from memdefrag.stores.postgres.tables import Role, Schema

_SUFFIX = "_memories"


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
        optional=frozenset({"embedding"}),
        variables=("DATABASE_URL",),
    )
    links: ClassVar[tuple[str, ...]] = (
        "memory_relationships",
        "sourceModule",
        "sourceMemoryId",
        "targetModule",
        "targetMemoryId",
        "relationshipType",
        "strength",
        "metadata",
        "createdAt",
    )

    def relations(self) -> Iterator[Relation]:
        for from_module, source, to_module, target, *rest in self._links():
            yield rows.relation(Key(_table(from_module), source), Key(_table(to_module), target), *rest)


def _table(module: str) -> str:
    """The table of a module: ``project-management`` keeps its memories in ``project_management_memories``."""
    return module.replace("-", "_") + _SUFFIX
