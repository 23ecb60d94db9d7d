"""What an export wrote down of itself beside the file: what every memory said then, in the store and in the file.

``<file>.export-record.json``: ``{"memdefrag_export": 1, "sha256", "source", "collection", "time", "records": {ID:
{"store": HASH, "file": HASH, "as": ID}}}``, where "as" is the id in the store, if that is another. With it an import
can tell what the person dropped from the file, and what the store has got or changed since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from memdefrag.base.errors import UsageError
from memdefrag.base.fsops import write_durable
from memdefrag.engine import catalogue
from memdefrag.engine.resolve import content_key
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import canonical_json, record_hash
from memdefrag.model.plan import Drop, Plan, Write
from memdefrag.model.records import Key, MemoryRecord, Metadata, State
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store

RECORD_SUFFIX = ".export-record.json"


def record_path(file: Path) -> Path:
    """Where the record of an exported file stands."""
    return file.with_name(file.name + RECORD_SUFFIX)


def export_record(source: Address, name: str, chosen: Iterable[MemoryRecord], written: Address) -> bytes:
    """The record of an export.

    Args:
        source, name: the store and its collection; `chosen`: what was taken of it.
        written: the file, which is read back.
    """
    with open_store(written) as store:
        inside = {record.key.id: record_hash(record) for record in read_snapshot(store).records}
    records = {record.key.id: {"store": record_hash(record), "file": inside[record.key.id]} for record in chosen}
    return _as_record(source, name, records)


def _as_record(source: Address, name: str, records: dict[str, dict[str, str]]) -> bytes:
    said = {"source": str(source), "collection": name, "time": catalogue.utc_now(), "records": records}
    return json.dumps({"memdefrag_export": 1, "sha256": _sum(said), **said}, indent=0).encode()


def _sum(said: Metadata) -> str:
    """The checksum of what an export wrote down."""
    return hashlib.sha256(canonical_json([said[name] for name in ("source", "collection", "records")])).hexdigest()


def note_import(plan: Plan, target: Address) -> None:
    """Store and file agree again on what was just brought in, so that the next import starts from there."""
    file = parse(plan.source).path
    origin, records = load_record(file, target)
    if not records:
        return
    with open_store(target.select(None)) as store:
        present = read_snapshot(store).by_key
        for step in plan.steps:
            if isinstance(step, Drop) and origin in ("", step.record.key.collection):
                if step.record.key not in present:
                    records = {id: said for id, said in records.items() if said["as"] != step.record.key.id}
            elif isinstance(step, Write) and origin in ("", step.key.collection):
                key = counterpart(store, present, step.key, step.result.text if step.result else None)
                if key in present:
                    said = {"store": record_hash(present[key]), "file": step.record.hash, "as": key.id}
                    records[step.record.key.id] = said
    write_durable(record_path(file), _as_record(target, origin, records))


def counterpart(store: Store, present: Mapping[Key, MemoryRecord], key: Key, text: str | None) -> Key:
    """Of what is present, the memory that another of this key and text is: where ids are hashes of the text, the one
    that says the text, once the memory of the id is deleted."""
    if not store.capabilities.content_ids or is_live(present.get(key)):
        return key
    other = content_key(store, MemoryRecord(key, text))
    return other if is_live(present.get(other)) else key


def is_live(record: MemoryRecord | None) -> bool:
    """Whether the memory is there, and not only as a deleted one."""
    return record is not None and record.state is not State.DELETED


def load_record(file: Path, target: Address) -> tuple[str, dict[str, dict[str, str]]]:
    """The collection that was exported from this store, and what the export wrote down of its memories.

    Empty when there is none, it is damaged, or of another store.

    Records of older exports have no checksum.
    """
    try:
        found = json.loads(record_path(file).read_bytes())
        if found.get("sha256", _sum(found)) != _sum(found):
            return "", {}
        same = parse(str(found["source"])).path.resolve() == target.path.resolve()
        said = {
            id: {"store": str(entry["store"]), "file": str(entry["file"]), "as": str(entry.get("as", id))}
            for id, entry in found["records"].items()
        }
        return (str(found.get("collection", "")), said) if same else ("", {})
    except (OSError, ValueError, LookupError, TypeError, AttributeError, UsageError):
        return "", {}
