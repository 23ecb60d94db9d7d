"""What is wrong with a Chroma folder, and how large it would be in order. Reads only."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.stores import sqlite_safe
from memdefrag.stores.base import Sizes
from memdefrag.stores.chroma.contents import Contents
from memdefrag.stores.chroma.index import DATA, LINKS, Geometry
from memdefrag.stores.chroma.tables import DOCUMENT, URI, read_migrations
from memdefrag.stores.chroma.versions import NEWEST, level_of
from memdefrag.stores.chroma.wal import parse_metadata

if TYPE_CHECKING:
    from memdefrag.stores.chroma.local import ChromaLocal

REBUILDS_PER_SECOND = 450
"""Records that chromadb indexes in a second (384 dimensions, two cores)."""

INTEGER_SEQUENCES = 5
"""The metadb migration that turned sequence numbers from blobs into integers."""

LEAST_ELEMENTS = {"0": 1_000, "1.0": 10_000, "1.3": 10_000, "1.5": 100}
"""Elements that a new index has room for from the start, by the release that makes it (measured)."""

_UNUSUAL = re.compile(r"NaN|Infinity|: ?null|\\u[dD][89a-fA-F]")
"""Marks a queued change whose metadata may be of the kinds `_poison` looks for."""
_NORM_BYTES = 4
_HEADER_BYTES = 100


def problems(store: ChromaLocal) -> list[str]:
    """Everything found, one sentence each; empty for a sound folder."""
    found = list(_files(store))
    with store.contents() as (connection, opened):
        found += (f"chroma.sqlite3: {line}." for line in sqlite_safe.check(connection))
        found += _tables(connection)
        found += _orphans(store, opened)
        for contents in opened:
            found += _collection(contents)
    return found


def sizes(store: ChromaLocal, removed: Mapping[str, int]) -> Sizes:
    """Bytes now, after removing so many records of each collection, and after building the index files anew.

    Deleting leaves index files as they are; of the tables, SQLite's VACUUM frees the pages that are free
    already and the removed records' share.
    """
    now = sum(path.stat().st_size for path in store.raw_files())
    if not store.exists:
        return Sizes(now, now, now, 0.0)
    level = level_of(store.migrations)
    made_by = level.first if level else NEWEST
    least = LEAST_ELEMENTS[made_by[:1] if made_by < "1" else made_by[:3]]
    index_bytes = records = kept = 0
    with store.contents() as (connection, opened):
        for contents in opened:
            left = max(len(contents) - removed.get(contents.collection.name, 0), 0)
            records, kept = records + len(contents), kept + left
            index_bytes += _index_bytes(contents, left, least)
        page, pages, free = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
        )
    used = (pages - free) * page
    tables = int(used * kept / records) if records else used
    after_apply = now - (pages * page - tables)
    return Sizes(now, after_apply, min(after_apply, tables + index_bytes), kept / REBUILDS_PER_SECOND)


def _index_bytes(contents: Contents, records: int, least: int) -> int:
    dimension, neighbours = contents.collection.dimension, contents.collection.neighbours
    if not records or not dimension:
        return 0
    element = Geometry.of(dimension, neighbours, 0).element
    return max(records, least) * (element + _NORM_BYTES) + _HEADER_BYTES


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _files(store: ChromaLocal) -> Iterator[str]:
    for sidecar in sqlite_safe.pending(store.database):
        yield (
            f"{sidecar.name} holds what a program did not finish; it was read through a private copy, and the next"
            " program that opens the folder will roll it back."
            if sidecar.name.endswith("-journal")
            else f"{sidecar.name} holds writes that are not yet in {store.database.name}."
        )
    if not store.capabilities.writable:
        yield f"The folder is of a version of Chroma that is not known here: {store.format}; it is only read."
    for path in store.links():
        yield f"{path.relative_to(store.path)} is a link; it was not followed and is not backed up."


def _tables(connection: Connection) -> Iterator[str]:
    present = sqlite_safe.tables(connection)
    if "max_seq_id" in present:
        blobs, huge = connection.execute(
            "SELECT coalesce(sum(typeof(seq_id) = 'blob'), 0), "
            "coalesce(sum(typeof(seq_id) <> 'blob' AND seq_id > 1 << 48), 0) FROM max_seq_id"
        ).fetchone()
        if blobs and read_migrations(connection).get("metadb", 0) >= INTEGER_SEQUENCES:
            yield f"{_many(blobs, 'sequence number')} in the form of Chroma 0.6 or older: Chroma 1.x stops there."
        if huge:
            yield f"{_many(huge, 'sequence number')} impossibly large: Chroma takes queued changes for done."
    poison = _poison(connection)
    if poison:
        yield (
            f"{_many(poison, 'queued change')} with an empty document, NaN, infinity or broken Unicode: "
            "Chroma 1.x stops there."
        )


def _poison(connection: Connection) -> int:
    """How many queued changes Chroma 1.x cannot read (written by 0.6 or older)."""
    rows = connection.execute("SELECT metadata FROM embeddings_queue WHERE metadata IS NOT NULL")
    suspects = (text for (text,) in rows if isinstance(text, str) and _UNUSUAL.search(text))
    return sum(any(map(_unreadable, parse_metadata(text).items())) for text in suspects)


def _unreadable(item: tuple[str, Any]) -> bool:
    key, value = item
    if value is None:
        return key in (DOCUMENT, URI)
    if isinstance(value, float):
        return not math.isfinite(value)
    return any(isinstance(text, str) and _broken(text) for text in (key, value))


def _broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _orphans(store: ChromaLocal, opened: list[Contents]) -> Iterator[str]:
    owned = {contents.collection.vector_segment for contents in opened}
    folders = [path.name for path in store.path.iterdir() if path.is_dir() and not path.is_symlink()]
    orphans = sorted(name for name in folders if name not in owned and (store.path / name / DATA).is_file())
    if orphans:
        yield f"{_many(len(orphans), 'index folder')} without a collection: {', '.join(orphans)}."


def _collection(contents: Contents) -> Iterator[str]:
    collection, index = contents.collection, contents.index
    name = f"Collection {collection.name!r}"
    invalid = empty = 0
    for start in range(0, len(contents), BATCH_RECORDS):
        positions = range(start, min(start + BATCH_RECORDS, len(contents)))
        for vector in contents.read_vectors(positions):
            if vector is not None:
                length = float(np.dot(vector, vector))
                invalid += not math.isfinite(length) and not bool(np.isfinite(vector).all())
                empty += length == 0 and not vector.any()
    yield from (f"{name}: {finding}" for finding in index.findings)
    lost = len(contents) - contents.with_embedding
    if lost:
        yield f"{name}: {lost} of {_many(len(contents), 'record')} without a vector (lost); the texts are there."
    if invalid:
        yield f"{name}: {_many(invalid, 'vector')} with numbers that are not finite: no comparison is possible."
    if empty and collection.metric == "cosine":
        yield f"{name}: {_many(empty, 'vector')} of zeros: no comparison by cosine is possible."
    if collection.configured_metric not in (None, collection.metric):
        yield (
            f"{name}: its configuration says {collection.configured_metric}, but searches use "
            f"{collection.metric} (hnsw:space)."
        )
    links, data = index.size(LINKS), index.size(DATA)
    if links > max(data, 1):
        yield f"{name}: {LINKS} ({links} bytes) is larger than the vectors; rebuild the index files."
