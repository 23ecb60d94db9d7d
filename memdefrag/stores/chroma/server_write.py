"""Writing to a Chroma server: live, batch by batch. Whoever calls it reads back.

`upsert` merges: metadata keys stay until they are set to null, and a document or uri stays whatever is sent. So keys
that are to go are set to null in the request that writes the rest, and only a record that loses its document or uri
is deleted and written anew; the worst that a crash in between leaves is the record's absence.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from memdefrag.base.errors import ServerRefused, StoreChanged, WriterFailed
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Metadata
from memdefrag.stores.chroma.child import HNSW_METADATA
from memdefrag.stores.chroma.server_api import Home, Place, Row, Server
from memdefrag.stores.chroma.server_fit import is_refused
from memdefrag.stores.chroma.write import NAMED_IDS, creation, unstorable

BATCH_RECORDS = 500
BATCH_BYTES = 8_000_000
_log = logging.getLogger(__name__)


def write(
    server: Server,
    changes: Changes,
    present: Mapping[Key, MemoryRecord],
    places: Mapping[str, Place],
    progress: Progress,
) -> None:
    """Write a batch of changes: all that is put before anything is removed.

    Args:
        present: the records that the changes touch, as they are now.
        places: the collections that are there.

    Raises:
        StoreChanged: a record is not what the changes name; nothing was written.
        WriterFailed: a record cannot be stored, and nothing was written; or the server refused.
    """
    progress.check()
    _require_unchanged(changes, present)
    _require_storable(changes, is_rust=server.is_rust)
    for name in sorted({put.record.key.collection for put in changes.put}):
        records = [put.record for put in changes.put if put.record.key.collection == name]
        bare = {record.key for record in records if _loses_a_part(record, present.get(record.key))}
        try:
            server.delete(places[name], [key.id for key in bare])
            rows = [_row(record, None if record.key in bare else present.get(record.key)) for record in records]
            for batch in batches(rows, min(BATCH_RECORDS, server.most_at_once)):
                server.upsert(places[name], batch)
        except ServerRefused as error:
            raise WriterFailed(error.message) from error
    for name in sorted({ref.key.collection for ref in changes.delete}):
        server.delete(places[name], [ref.key.id for ref in changes.delete if ref.key.collection == name])


def create(server: Server, info: CollectionInfo) -> None:
    """Make a collection like this one: its metadata, metric, index settings and embedding-function entry.

    Raises:
        WriterFailed: the server refuses it.
    """
    home, name = home_of(server, info.name)
    told = creation(info)
    try:
        server.create(home, {"name": name, **_settings(told, is_rust=server.is_rust)})
    except ServerRefused as error:
        raise WriterFailed(f"The collection {info.name!r} could not be made: {error.message}") from error
    if told["function"] and not server.is_rust:
        _log.warning("The server has no place for the embedding function %s.", told["function"]["name"])


def home_of(server: Server, collection: str) -> tuple[Home, str]:
    """Where a collection that is called so lives, and its name there."""
    home, _, name = collection.rpartition("/")
    tenant, _, database = home.partition("/")
    return (Home(tenant, database) if tenant and database else server.home), name


def batches(rows: Sequence[Row], most: int, most_bytes: int = BATCH_BYTES) -> Iterator[list[Row]]:
    """Consecutive rows, as many as one request should carry. Pure."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        weight = _weight(row)
        if batch and (len(batch) >= most or size + weight > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += weight
    if batch:
        yield batch


def merging(wanted: Metadata, present: Metadata) -> Metadata:
    """What must be sent so that a server that merges it over `present` holds `wanted`. Pure.

    What is there already is not sent: a 1.x server rounds every decimal that it is sent.
    """
    gone = dict.fromkeys(present.keys() - wanted.keys())
    return {**gone, **{key: value for key, value in wanted.items() if not _has(present, key, value)}}


def _has(metadata: Metadata, key: str, value: Any) -> bool:
    return key in metadata and json.dumps(metadata[key]) == json.dumps(value)


def _row(record: MemoryRecord, present: MemoryRecord | None) -> Row:
    metadata = merging(record.metadata, present.metadata if present else {})
    return Row(record.key.id, record.text, metadata, record.embedding, record.uri)


def _loses_a_part(record: MemoryRecord, present: MemoryRecord | None) -> bool:
    return present is not None and (
        (record.text is None and present.text is not None) or (record.uri is None and present.uri is not None)
    )


def _weight(row: Row) -> int:
    """Bytes of a row in a request, roughly; a text counts as what it is in UTF-8."""
    dimension = 0 if row.vector is None else len(row.vector)
    body = json.dumps([row.id, row.document, row.metadata, row.uri], ensure_ascii=False)
    return len(body.encode("utf-8", "replace")) + 12 * dimension


def _settings(told: Mapping[str, Any], *, is_rust: bool) -> dict[str, Any]:
    """Metadata and configuration of a new collection. Up to 0.6 the metadata alone are in force."""
    metadata = {key: value for key, value in told["metadata"].items() if value is not None}
    index = dict(told["index"])
    if not is_rust:
        metadata = {HNSW_METADATA[name]: value for name, value in index.items()} | metadata
        return {"metadata": metadata or None}
    configuration = ({"hnsw": index} if index else {}) | (
        {"embedding_function": told["function"]} if told["function"] else {}
    )
    return {"metadata": metadata or None, "configuration": configuration or None}


def _require_unchanged(changes: Changes, present: Mapping[Key, MemoryRecord]) -> None:
    named = {put.record.key: put.before for put in changes.put} | {ref.key: ref.hash for ref in changes.delete}
    for key, before in named.items():
        found = present.get(key)
        if (record_hash(found) if found else None) != before:
            raise StoreChanged(f"The memory {key} is not what it was when the plan was made.")


def _require_storable(changes: Changes, *, is_rust: bool) -> None:
    faults = [(put.record.key, fault) for put in changes.put if (fault := _fault(put.record, is_rust=is_rust))]
    if faults:
        named = "; ".join(f"{key}: {fault}" for key, fault in faults[:NAMED_IDS])
        raise WriterFailed(f"{len(faults)} records cannot be stored on the server. {named}.")


def _fault(record: MemoryRecord, *, is_rust: bool) -> str | None:
    """Why the server cannot hold a record exactly; None when it can."""
    if not record.key.id:
        return "it has no id"
    refused = next((key for key in record.metadata if is_refused(key, is_rust=is_rust)), None)
    return f"the metadata key {refused!r} is the server's own" if refused is not None else unstorable(record)
