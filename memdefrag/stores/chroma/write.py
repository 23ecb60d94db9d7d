"""Writing Chroma folders: always a staged copy, always by a chromadb in a process of its own.

The library keeps collection ids, settings and index formats its own way; what it cannot do exactly is done to
the copy by SQL before and after (`staged`). A folder made by an older chromadb is written by one of the
same level (`versions`), because an upgrade locks out the service that owns it.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memdefrag.base.errors import NoSpace, StoreChanged, WriterFailed, WriterNeeded
from memdefrag.base.fsops import free_bytes
from memdefrag.base.progress import Progress
from memdefrag.base.scratch import scratch_folder
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Metadata, Vector
from memdefrag.stores.base import Store
from memdefrag.stores.chroma import pythons, runner, staged
from memdefrag.stores.chroma.runner import Result, Work, place
from memdefrag.stores.chroma.staged import Decimal
from memdefrag.stores.chroma.tables import FILE, read_collections
from memdefrag.stores.chroma.versions import fits, version_tuple, words, writer_for
from memdefrag.stores.sqlite_safe import open_readonly

NEIGHBOURS = 10
"""Nearest records looked at by a probe: so many may have the very same vector."""

TIE = 1e-5
"""How far two equal distances may differ, for vectors of length one."""

NEAR = 1e-6
"""How far a stored vector may be off by what its collection's metric does to it."""

NAMED_IDS = 5
_FIRST_RUST = (1, 0)
_INT64 = 1 << 63
_INDEX_SETTINGS = (
    "space", "ef_construction", "ef_search", "max_neighbors", "num_threads", "resize_factor", "batch_size",
    "sync_threshold",
)  # fmt: skip
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Writer:
    """A Python (None: the built-in) and the chromadb in it."""

    python: Path | None
    chromadb: str

    @property
    def is_rust(self) -> bool:
        return version_tuple(self.chromadb) >= _FIRST_RUST


def write(store: Store, changes: Changes, progress: Progress) -> list[str]:
    """Carry out the changes on the staged copy at `store.address.path`; make the folder where there is none.

    Where the settings allow an upgrade all collections are opened, and so upgraded, even without any change.

    Returns:
        What could not be carried over to new collections, one sentence each (also logged).

    Raises:
        StoreChanged: a record no longer has the hash the changes name.
        WriterNeeded: the folder is of another level than the chromadb of the settings.
        WriterFailed: the library refused, crashed or hung, or a record cannot be stored.
        StoreDamaged: an index file carries a program.
    """
    path = store.address.path
    _require_storable(changes)
    held = _require_unchanged(store, changes)
    present = {info.name for info in store.collections()}
    created = [info for info in changes.collections if info.name not in present]
    with _writing(store) as (writer, exact), runner.started(writer.python) as work:
        # What only wants its decimals exact is not given to the library, which would make them inexact again.
        exempt = held if writer.is_rust else {}
        given = [put for put in changes.put if not _is_nearly_held(put.record, exempt)]
        touched = {put.record.key.collection for put in given} | {ref.key.collection for ref in changes.delete}
        names = sorted(touched | (present if store.settings.chroma_upgrade else set()))
        fresh = {info.name for info in created}
        places = {name: {**place(name), "new": name in fresh} for name in names}
        for ref in changes.delete:
            places[ref.key.collection]["delete"].append(ref.key.id)
        numbers = {name: number for number, name in enumerate(names)}
        for put in sorted(given, key=lambda put: put.record.key.collection):
            _add(work, numbers, put.record, new=put.before is None)
        work.order("write", path, list(places.values()), create=[creation(info) for info in created])
        progress.phase(f"Writing with chromadb {writer.chromadb}", len(given) + len(changes.delete))
        result = runner.run(work, writer.python, progress)
        for put in changes.put:
            exact += staged.decimals(*put.record.key, put.record.metadata)
    for warning in result.warnings:
        _log.warning("%s", warning)
    return result.warnings


def rebuild(store: Store, progress: Progress) -> None:
    """Give the staged copy fresh, small index files; texts, metadata, ids and settings stay as they are.

    HNSW files keep the room of deleted records for ever, so the files are removed and the library is given each
    vector again.

    Raises:
        WriterNeeded, WriterFailed, StoreDamaged: as `write`.
    """
    path = store.address.path
    with _writing(store) as (writer, _), runner.started(writer.python) as work:
        names = _collect_vectors(store, work, progress, finite=writer.is_rust)
        staged.strip_indexes(path, names)
        work.order("index", path, [place(name) for name in names])
        progress.phase(f"Building index files with chromadb {writer.chromadb}", work.count)
        runner.run(work, writer.python, progress)
        staged.drop_orphans(path)


def check_opens(
    path: Path, python: Path | None, probes: Sequence[tuple[str, Vector]], progress: Progress | None = None
) -> Result:
    """Open a private copy of a Chroma folder with a chromadb and ask for each probe's nearest records.

    Args:
        python: the interpreter whose chromadb is asked; None: the built-in one.
        probes: collection (as the reader names it) and query vector; neighbours of one collection together.

    Returns:
        `Result.answers` in the order of the probes; `Result.counts` by collection in the order of first mention.

    Raises:
        WriterFailed: the library cannot open or search the folder.
        NoSpace: no room for the copy.
    """
    progress = progress or Progress()
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    with scratch_folder() as folder, runner.started(python) as work:
        if free_bytes(folder) < size * 2:
            raise NoSpace(f"There is no room in {folder} for a private copy of {path}.")
        copy = Path(shutil.copytree(path, folder / "copy", symlinks=True))
        staged.require_harmless_labels(copy)
        names = list(dict.fromkeys(name for name, _ in probes))
        for name, vector in probes:
            work.add(names.index(name), "", vector)
        work.order("query", copy, [place(name) for name in names], results=NEIGHBOURS)
        progress.phase("Asking the store's own search", work.count)
        return runner.run(work, python, progress)


def lost_in_search(store: Store, records: Sequence[MemoryRecord], progress: Progress) -> list[Key]:
    """Of these records, those that chromadb does not find (ties allowed) for their own vector.

    Raises:
        WriterFailed, NoSpace: as `check_opens`.
    """
    with open_readonly(store.address.path / FILE) as connection:
        metrics = {collection.name: collection.metric for collection in read_collections(connection)}
    asked = sorted((record for record in records if record.embedding is not None), key=lambda record: record.key)
    probes = [(record.key.collection, record.embedding) for record in asked if record.embedding is not None]
    result = check_opens(store.address.path, store.settings.chroma_python, probes, progress)
    return [
        record.key
        for record, (name, vector), answer in zip(asked, probes, result.answers, strict=True)
        if not is_found(record.key.id, vector, metrics[name], answer)
    ]


def is_found(id: str, vector: Vector, metric: str, answer: list[tuple[str, float]]) -> bool:
    """Whether a search for a record's own vector gave the record, or as many others that are as near. Pure.

    By inner product a longer vector may be nearer to a vector than it is itself.
    """
    square = float(np.dot(vector, vector))
    farthest = (1 - square if metric == "ip" else 0.0) + TIE * max(1.0, square)
    if id in dict(answer):
        return dict(answer)[id] <= farthest
    return len(answer) == NEIGHBOURS and answer[-1][1] <= farthest


@contextmanager
def _writing(store: Store) -> Iterator[tuple[Writer, list[Decimal]]]:
    """Choose who writes, make the copy safe to open for it, and afterwards check and tidy the copy.

    Yields:
        The writer, and the decimals that must be exact in the end, in order of writing; to be added to.
    """
    path = store.address.path
    before = staged.migrations(path)
    writer = _writer(store, before)
    exact: list[Decimal] = []
    if before:
        staged.require_harmless_labels(path)
        if writer.is_rust:
            staged.mend(path)
            exact += staged.queued_decimals(path)
    yield writer, exact
    if not staged.migrations(path):
        return
    if exact and writer.is_rust:
        staged.restore_decimals(path, exact)
    if before and staged.migrations(path) != before and not store.settings.chroma_upgrade:
        raise WriterFailed(f"chromadb {writer.chromadb} would upgrade the folder; the copy was discarded.")
    if before:
        staged.vacuum(path)


def _writer(store: Store, migrations: Mapping[str, int]) -> Writer:
    python = store.settings.chroma_python
    version = pythons.version_in(python)
    if version is None:
        raise WriterFailed(f"{python or 'This installation'} has no chromadb.")
    if migrations and not store.settings.chroma_upgrade and not fits(version, migrations):
        raise WriterNeeded(
            f"{store.address.location} was made by {words(migrations)}; chromadb {version} would change its format.",
            todo=f"Name a Python with chromadb {writer_for(migrations) or 'of that version'} (--chroma-python).",
        )
    return Writer(python, version)


def _collect_vectors(store: Store, work: Work, progress: Progress, *, finite: bool) -> list[str]:
    """Put every vector of the store, as it is on the disk now, into the work folder.

    Args:
        finite: leave out collections with vectors that are not finite: 1.x does not take them again.

    Returns:
        The collections, in the order of their numbers in the work folder.
    """
    names: list[str] = []
    with type(store)(store.address, store.settings) as source:
        infos = source.collections()
        progress.phase("Reading vectors", sum(info.count for info in infos))
        for info in infos:
            if finite and not all(np.isfinite(vector).all() for _, vector in _vectors(source, info.name)):
                _log.warning("%s has vectors that are not finite; its index files stay as they are.", info.name)
                continue
            for id, vector in _vectors(source, info.name):
                work.add(len(names), id, vector)
                progress.step()
            names.append(info.name)
    return names


def _vectors(store: Store, collection: str) -> Iterator[tuple[str, Vector]]:
    for batch in store.scan(collection):
        yield from ((record.key.id, record.embedding) for record in batch if record.embedding is not None)


def _add(work: Work, numbers: Mapping[str, int], record: MemoryRecord, *, new: bool) -> None:
    assert record.embedding is not None
    work.add(
        numbers[record.key.collection],
        record.key.id,
        record.embedding,
        new=new,
        document=record.text,
        metadata=record.metadata,
        uri=record.uri,
    )


def _require_unchanged(store: Store, changes: Changes) -> Mapping[Key, MemoryRecord]:
    """What the store holds now of the records that the changes name, if that is what they expect."""
    named = {put.record.key: put.before for put in changes.put} | {ref.key: ref.hash for ref in changes.delete}
    present = {record.key: record for record in store.fetch(named)}
    for key, before in named.items():
        if (record_hash(present[key]) if key in present else None) != before:
            raise StoreChanged(f"The memory {key} is not what it was when the plan was made.")
    return present


def _is_nearly_held(record: MemoryRecord, held: Mapping[Key, MemoryRecord]) -> bool:
    """Whether the copy holds the record but for decimals that are a bit or two off, as an interrupted write left it."""
    old = held.get(record.key)
    if old is None or old.embedding is None or record.embedding is None:
        return False
    return (
        (old.text, old.uri) == (record.text, record.uri)
        and old.metadata != record.metadata
        and staged.differ_by_bits(old.metadata, record.metadata)
        and np.shape(old.embedding) == np.shape(record.embedding)
        and np.allclose(old.embedding, record.embedding, rtol=NEAR, atol=NEAR * float(np.abs(record.embedding).max()))
    )


def _require_storable(changes: Changes) -> None:
    """Refuse what some chromadb would store by halves or change without a word."""
    faults = [(put.record.key, fault) for put in changes.put if (fault := unstorable(put.record))]
    if faults:
        named = "; ".join(f"{key}: {fault}" for key, fault in faults[:NAMED_IDS])
        raise WriterFailed(f"{len(faults)} records cannot be stored in Chroma. {named}.")


def unstorable(record: MemoryRecord) -> str | None:
    """Why Chroma cannot hold a record exactly; None when it can. Pure."""
    vector = record.embedding
    if vector is None or not len(vector):
        return "it has no vector"
    if not np.isfinite(vector).all():
        return "its vector holds numbers that are not finite"
    values = [item for value in record.metadata.values() for item in (value if isinstance(value, list) else [value])]
    texts = [record.key.id, record.text, record.uri, *record.metadata, *values]
    if any(isinstance(text, str) and not _is_unicode(text) for text in texts):
        return "a text of it is not valid Unicode"
    if any(type(value) is int and not -_INT64 <= value < _INT64 for value in values):
        return "a whole number in its metadata has more than 64 bits"
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        return "a number in its metadata is not finite"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def creation(info: CollectionInfo) -> dict[str, Any]:
    """What the child needs to make a collection like this one."""
    metadata = info.settings.get("metadata")
    function = info.settings.get("embedding_function")
    is_recorded = isinstance(function, dict) and function.get("type") == "known" and function.get("name")
    return {
        **place(info.name),
        "metadata": dict(metadata) if isinstance(metadata, Mapping) else {},
        "index": index_settings(info),
        "function": function if is_recorded else None,
    }


def index_settings(info: CollectionInfo) -> Metadata:
    """A collection's index settings by their names in a 1.x configuration, from whatever records them. Pure.

    Up to 0.6 the metadata alone are in force, and a configuration beside them says l2 whatever the metric is.
    """
    metadata, configuration = (info.settings.get(name) or {} for name in ("metadata", "configuration"))
    if any(key.startswith("hnsw:") for key in metadata):
        return {}
    hnsw = _schema_settings(info.settings.get("schema")) or configuration.get("hnsw") or {}
    return {"space": info.metric} | {name: hnsw[name] for name in _INDEX_SETTINGS if hnsw.get(name) is not None}


def _schema_settings(schema: Any) -> Metadata:
    """The HNSW settings in a 1.3 or later schema, with the metric beside them."""
    found = schema
    for name in ("keys", "#embedding", "float_list", "vector_index", "config"):
        found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping) or not isinstance(found.get("hnsw"), Mapping):
        return {}
    return {**found["hnsw"], "space": found.get("space")}
