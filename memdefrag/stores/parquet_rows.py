"""Rows of our own Parquet files as records, and records as rows.

Columns: `id`, `collection`, `text`, `tags` (list of strings), `created_at` and `updated_at` (double, seconds since 1970
UTC), `uri`, `owner`, `state`, `metadata` and `extras` (JSON objects as text, so that every type stays), `embedding`
(list of float32), `relations` (list of ``{collection, id, reference, type, strength, metadata, created_at}``: the links
that start from the memory; `reference` where the other end is no memory), and `exact`: a JSON object with the true
values of those columns whose text UTF-8 cannot write, which hold question marks. Other columns belong to the extras.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from memdefrag.base import foreign_json
from memdefrag.model.records import Key, MemoryRecord, Metadata, Relation, State, Vector
from memdefrag.model.service_metadata import content_hash, moment, read
from memdefrag.stores.interchange import DEFAULT_COLLECTION, whole
from memdefrag.stores.jsonl_links import link
from memdefrag.stores.parquet_columns import is_missing, library, plain

EMBEDDING = "embedding"
_KNOWN = frozenset(
    {"id", "collection", "text", "tags", "created_at", "updated_at", "uri", "owner", "state", "metadata", "extras"}
    | {EMBEDDING, "relations", "exact"}
)
_LINK = ("collection", "id", "reference", "type", "strength", "metadata", "created_at")


class Row(NamedTuple):
    """A memory, the links that start from it, and what is wrong with its row."""

    record: MemoryRecord
    links: tuple[Relation, ...]
    faults: tuple[str, ...] = ()


@cache
def schema() -> Any:
    """The columns of a file that we write."""
    arrow = library()
    text, number = arrow.string(), arrow.float64()
    link_types = dict.fromkeys(_LINK, text) | {"strength": number, "created_at": number}
    columns = {
        "id": text,
        "collection": text,
        "text": text,
        "tags": arrow.list_(text),
        "created_at": number,
        "updated_at": number,
        "uri": text,
        "owner": text,
        "state": text,
        "metadata": text,
        "extras": text,
        EMBEDDING: arrow.list_(arrow.float32()),
        "relations": arrow.list_(arrow.struct(list(link_types.items()))),
        "exact": text,
    }
    return arrow.schema(list(columns.items()))


def table(found: Sequence[tuple[MemoryRecord, Sequence[Relation]]]) -> Any:
    """An Arrow table of these memories and their links."""
    arrow = library()
    rows = [_fields(record, links) for record, links in found]
    embeddings = _lists([record.embedding for record, _ in found])
    columns = [
        embeddings if column.name == EMBEDDING else arrow.array([row[column.name] for row in rows], column.type)
        for column in schema()
    ]
    return arrow.Table.from_arrays(columns, schema=schema())


def parsed(fields: dict[str, Any], vector: Vector | None, default: str = DEFAULT_COLLECTION) -> Row:
    """The memory of a row that was written here, or that another program made of such a row."""
    faults: list[str] = []
    fields |= _object(fields, "exact", faults)
    metadata, extras = _object(fields, "metadata", faults), _object(fields, "extras", faults)
    meant = read(metadata)
    text, collection = _text(fields.get("text")), _text(fields.get("collection"))
    id, state, tags = _text(fields.get("id")), fields.get("state"), fields.get("tags")
    key = Key(default if collection is None else collection, id or content_hash(text or ""))
    unknown = {name: plain(value) for name, value in fields.items() if name not in _KNOWN and not is_missing(value)}
    record = MemoryRecord(
        key,
        text,
        metadata,
        vector,
        meant.tags if tags is None else _tags(tags),
        _text(fields.get("uri")),
        _seconds(fields.get("created_at")),
        _seconds(fields.get("updated_at")),
        _text(fields.get("owner")),
        State(state) if state in tuple(State) else meant.state,
        {**unknown, **extras},
    )
    links = _links(fields.get("relations"), key)
    if None in links:
        faults.append("a link that cannot be understood")
    return Row(record, tuple(relation for relation in links if relation is not None), tuple(faults))


def _fields(record: MemoryRecord, links: Sequence[Relation]) -> dict[str, Any]:
    """A row without its vector."""
    fields = {
        "id": record.key.id,
        "collection": record.key.collection,
        "text": record.text,
        "tags": list(record.tags),
        "created_at": record.created,
        "updated_at": record.updated,
        "uri": record.uri,
        "owner": record.owner,
        "state": record.state.value,
        "metadata": _json(record.metadata),
        "extras": _json(record.extras) if record.extras else None,
        "relations": [_link_fields(relation) for relation in links] or None,
    }
    cleaned = {name: _cleaned(value) for name, value in fields.items()}
    exact = {name: value for name, value in fields.items() if cleaned[name] != value}
    return {**cleaned, "exact": json.dumps(exact) if exact else None}


def _link_fields(relation: Relation) -> dict[str, Any]:
    target = relation.target
    ends = target._asdict() if isinstance(target, Key) else {"reference": target}
    return {
        **dict.fromkeys(_LINK),
        **ends,
        "type": relation.type,
        "strength": relation.strength,
        "metadata": _json(relation.metadata) if relation.metadata else None,
        "created_at": relation.created,
    }


def _links(told: Any, source: Key) -> list[Relation | None]:
    """The links of a row; None for each that cannot be understood."""
    entries = told if isinstance(told, list) else ()
    return [link(_entry(each), source.collection, source) for each in entries]


def _entry(fields: Any) -> Any:
    """A link's structure as the entry that it would be in JSON lines; what is no structure as it is."""
    if not isinstance(fields, dict):
        return fields
    reference, metadata = fields.get("reference"), fields.get("metadata")
    ends = {name: fields.get(name) for name in ("collection", "id")}
    told = {name: fields.get(name) for name in ("type", "strength", "created_at") if fields.get(name) is not None}
    try:
        told["metadata"] = foreign_json.parse(metadata) if isinstance(metadata, str) else metadata
    except ValueError:
        told["metadata"] = metadata
    return {**told, "target": ends if reference is None else {"reference": reference}}


def _cleaned(value: Any) -> Any:
    """The value with question marks for everything that UTF-8 cannot write."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    return {name: _cleaned(each) for name, each in value.items()} if isinstance(value, dict) else value


def _json(value: Metadata) -> str:
    """JSON that UTF-8 can write."""
    text = json.dumps(value, ensure_ascii=False)
    return text if whole(text) == text else json.dumps(value)


def _object(fields: dict[str, Any], name: str, faults: list[str]) -> Metadata:
    """The JSON object in a column; an empty one where there is none."""
    value = fields.get(name)
    if isinstance(value, str):
        try:
            value = foreign_json.parse(value)
        except ValueError:
            value = [value]
    if isinstance(value, dict | None):
        return value or {}
    faults.append(f"a value of {name!r} that is no JSON object")
    return {}


def _tags(told: Any) -> tuple[str, ...]:
    return tuple(str(tag) for tag in told if tag is not None) if isinstance(told, list) else read({"tags": told}).tags


def _text(value: Any) -> str | None:
    return None if is_missing(value) else str(value)


def _seconds(value: Any) -> float | None:
    """A moment; None where there is none, also as other programs write it into a column of numbers."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, float):
        return value if isfinite(value) else None
    return moment(value)


def _lists(vectors: Sequence[Vector | None]) -> Any:
    """An array of lists, bit for bit."""
    arrow = library()
    sizes = [0 if vector is None else len(vector) for vector in vectors]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    flat = np.concatenate([np.zeros(0, np.float32), *(vector for vector in vectors if vector is not None)])
    missing = arrow.array([vector is None for vector in vectors])
    return arrow.ListArray.from_arrays(arrow.array(offsets), arrow.array(flat, arrow.float32()), mask=missing)
