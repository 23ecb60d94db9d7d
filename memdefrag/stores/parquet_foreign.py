"""Parquet files that other programs wrote, such as exports of vector databases: one text, one id and one vector a row.

Only what the columns tell without doubt is read; a file of which two readings are possible is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memdefrag.base import foreign_json
from memdefrag.base.errors import UnsupportedFormat
from memdefrag.model.records import Key, MemoryRecord, Metadata, Vector
from memdefrag.model.service_metadata import content_hash, read
from memdefrag.stores.interchange import DEFAULT_COLLECTION
from memdefrag.stores.parquet_columns import is_missing, is_text, is_vector, plain
from memdefrag.stores.parquet_rows import Row

_TEXTS = ("text", "content", "document", "memory", "page_content", "chunk", "body")
_IDS = ("id", "_id", "ID", "uuid", "uid", "key")
_VECTORS = ("embedding", "vector", "embeddings", "values")
_METADATA = ("metadata", "meta", "payload")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column holds what; None: no column does."""

    text: str
    id: str | None
    vector: str | None
    metadata: str | None

    @classmethod
    def of(cls, columns: Any, path: Path) -> Layout:
        """The layout that the columns (an Arrow schema) tell.

        Raises:
            UnsupportedFormat: none or several are possible.
        """
        texts = [column.name for column in columns if column.name in _TEXTS and is_text(column.type)]
        vectors = [column.name for column in columns if is_vector(column.type)]
        if len(vectors) > 1:
            vectors = [name for name in vectors if name in _VECTORS]
        if len(texts) != 1 or len(vectors) > 1:
            what = "text" if len(texts) != 1 else "vector"
            raise UnsupportedFormat(
                f"It cannot be told which column of {path} holds the {what} of a memory "
                f"(its columns: {', '.join(columns.names)}).",
                todo=f"Name the column of texts {_TEXTS[0]!r}, that of ids {_IDS[0]!r} and that of vectors "
                f"{_VECTORS[0]!r}, and leave out other columns of their kind.",
            )
        names = columns.names
        return cls(
            texts[0],
            next((name for name in _IDS if name in names), None),
            vectors[0] if vectors else None,
            next((name for name in _METADATA if name in names), None),
        )

    def row(self, fields: dict[str, Any], vector: Vector | None) -> Row:
        """The memory of a row. Columns without a meaning of their own are its metadata, or its extras beside one that
        is called so."""
        text, id = fields.pop(self.text), fields.pop(self.id) if self.id else None
        rest: Metadata = {name: plain(value) for name, value in fields.items() if not is_missing(value)}
        metadata = _object(rest.get(self.metadata)) if self.metadata else None
        if metadata is None:
            metadata, rest = rest, {}
        elif self.metadata:
            del rest[self.metadata]
        meant = read(rest | metadata)
        key = Key(DEFAULT_COLLECTION, content_hash(text or "") if id in (None, "") else str(id))
        record = MemoryRecord(
            key,
            text,
            metadata,
            vector,
            meant.tags,
            created=meant.created,
            updated=meant.updated,
            state=meant.state,
            extras=rest,
        )
        return Row(record, (), () if text is not None else ("no text",))


def _object(value: Any) -> Metadata | None:
    """The object that a value is, or that its JSON tells."""
    if isinstance(value, str):
        try:
            value = foreign_json.parse(value)
        except ValueError:
            return None
    return value if isinstance(value, dict) else None
