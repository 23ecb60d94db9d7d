"""BigMemory: one table ``memories`` with snake_case columns, soft delete and relations by foreign keys.

Its schema was never published; the columns are those that Federated Memory's migration scripts read.
"""

from __future__ import annotations

from typing import ClassVar

from memdefrag.model.records import Key
from memdefrag.stores.postgres.store import PostgresStore
from memdefrag.stores.postgres.tables import LinkSchema, Role, Schema


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
        links=LinkSchema(
            "memory_relations",
            ("source_memory_id",),
            ("target_memory_id",),
            key=lambda id: Key("memories", id),
            parts=lambda key: (key.id,),
            type="relation_type",
            created="created_at",
            owner="user_id",
        ),
        optional=frozenset({"embedding"}),
        hash_column="content_hash",
        variables=("SOURCE_DATABASE_URL",),
    )
