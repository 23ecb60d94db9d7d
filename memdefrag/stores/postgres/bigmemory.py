"""BigMemory: one table ``memories`` with snake_case columns, soft delete and relations by foreign keys.

Its schema was never published; the columns are those that Federated Memory's migration scripts read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from memdefrag.model.records import Key, Relation
from memdefrag.stores.postgres import rows
from memdefrag.stores.postgres.store import PostgresStore
from memdefrag.stores.postgres.tables import Role, Schema


class BigMemory(PostgresStore):
    """A BigMemory database. Its one collection is called like its table."""

    kind: ClassVar[str] = "bigmemory"
    schema: ClassVar[Schema] = Schema(
        name="BigMemory",
        tables="memories",
        marks=frozenset({"id", "user_id", "content"}),
        roles={
            "id": Role.ID,
            "content": Role.TEXT,
            "embedding": Role.EMBEDDING,
            "source_metadata": Role.METADATA,
            "tags": Role.TAGS,
            "created_at": Role.CREATED,
            "updated_at": Role.UPDATED,
            "user_id": Role.OWNER,
            "is_deleted": Role.DELETED,
        },
        optional=frozenset({"embedding"}),
        hash_column="content_hash",
        variables=("SOURCE_DATABASE_URL",),
    )

    links: ClassVar[tuple[str, ...]] = (
        "memory_relations",
        "source_memory_id",
        "target_memory_id",
        "relation_type",
        "strength",
        "metadata",
        "created_at",
    )

    def relations(self) -> Iterator[Relation]:
        for source, target, *rest in self._links():
            yield rows.relation(Key("memories", source), Key("memories", target), *rest)
