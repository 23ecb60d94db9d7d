"""A store of every kind that can be written, and a few memories that ask everything of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from memdefrag.base.progress import Progress
from memdefrag.engine.compare import ModelOptions
from memdefrag.engine.migrate.run import Means
from memdefrag.engine.verify import same_vector
from memdefrag.model.address import Address
from memdefrag.model.hashing import canonical_json
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, State
from memdefrag.stores.registry import open_store
from tests.conftest import DIMENSION

NO_MODEL = Means(model=ModelOptions(use=False), confirm_shrink=True)
NAME = "memories"

FILES = {
    "jsonl": "memories.jsonl",
    "parquet": "memories.parquet",
    "memory-export": "memory_export.db",
    "memory-service": "sqlite_vec.db",
    "memory-service-json": "export.json",
    "hdev": "memory",
    "chroma": "chroma",
}
"""Kinds that are files or folders, with a name for each."""


def odd() -> list[MemoryRecord]:
    """Memories as stores of all kinds hold them, each a little odd."""
    plain = _memory("plain", "The deploy script lives in tools/deploy.sh.")
    return [
        plain,
        _memory("unicode", "Grüße an Zoë: 東京, 🦊, e\u0301.", {"ключ": "значение"}),
        _memory("types", "Types", {"int": 1, "float": 1.0, "bool": True, "text": "", "big": 2**62}),
        _memory("nested", "Nested", {"a": {"b": [1, {"c": None}]}, "list": ["x", "y"], "none": None, "empty": []}),
        replace(_memory("time", "Times"), created=1.7e9 + 0.25, updated=1.75e9 + 0.5),
        replace(_memory("tags", "Tags"), tags=("garden", "a b", "ü")),
        replace(_memory("uri", "A place"), uri="file:///notes/ü.md"),
        replace(_memory("owner", "Owned"), owner="somebody"),
        replace(_memory("extras", "Extras"), extras={"access_count": 7, "title": "T", "deep": {"x": [1.5]}}),
        replace(_memory("type", "Typed"), extras={"memory_type": "note"}),
        replace(_memory("deleted", "Deleted"), state=State.DELETED),
        replace(_memory("superseded", "Superseded"), state=State.SUPERSEDED),
        replace(_memory("all at once", "All at once", {"k": [1, "a"]}), tags=("t",), uri="x:y", owner="o",
                created=1.6e9, updated=1.65e9, extras={"e": None}),
        replace(_memory("no vector", "No vector"), embedding=None),
        replace(_memory("no text", "x"), text=None),
        _memory("Odd id / with ü #1", "An odd id"),
        _memory("lines", "line\r\nbreaks\u2028and \ttabs "),
    ]  # fmt: skip


def links() -> list[Relation]:
    """Between those, one of them with all that a link can say."""
    one, other, third = (Key(NAME, id) for id in ("plain", "unicode", "types"))
    return [Relation(one, other, "supports", 0.5, {"n": 1}, 1.7e9), Relation(other, third)]


def make(address: Address, records: list[MemoryRecord], relations: list[Relation] | None = None) -> Address:
    """A store that holds all this as it is; JSON lines do."""
    info = CollectionInfo(NAME, 0, 0, 0, settings={"metadata": {"hnsw:space": "cosine"}})
    with open_store(address, must_exist=False) as store:
        puts = tuple(Put(record, None) for record in records)
        store.write(Changes(put=puts, collections=(info,), relate=tuple(relations or ())), Progress())
    return address


def _memory(id: str, text: str, metadata: dict[str, object] | None = None) -> MemoryRecord:
    vector = np.random.default_rng(len(id)).standard_normal(DIMENSION)
    return MemoryRecord(Key(NAME, id), text, metadata or {}, (vector / np.linalg.norm(vector)).astype(np.float32))


def unlike(wanted: MemoryRecord, found: MemoryRecord | None, told: set[str]) -> list[str]:
    """In what a memory is no longer what it was, but for the losses that were told.

    What a system adds in its own terms is no difference: the same tags and times once more in the metadata, fields
    that it gives to every memory.
    """
    if found is None:
        return ["it is missing"]
    about = " ".join(told)
    excused = {
        "text": "text" in about or "line breaks" in about,
        "owner": "owner" in about or wanted.owner is None,
        "created": "absence of a time" in about,
        "updated": "absence of a time" in about,
    }
    names = ("text", "uri", "tags", "created", "updated", "owner", "state")
    differing = [name for name in names if getattr(wanted, name) != getattr(found, name) and not excused.get(name)]
    said = {**found.extras, **found.metadata}
    for name, value in {**wanted.extras, **wanted.metadata}.items():
        kept = name in said and canonical_json(said[name]) == canonical_json(value)
        if not kept and f"the value of {name!r}" not in told:
            differing.append(name)
    if "the vector" not in about and wanted.embedding is not None:
        differing += [] if same_vector(wanted.embedding, found.embedding) else ["embedding"]
    return differing
