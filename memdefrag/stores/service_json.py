"""The two JSON forms in which mcp-memory-service's scripts put memories aside, read whole; the sync export is written.

Its sync export is ``{"export_metadata": {"total_memories", …}, "memories": [{"content", "content_hash", "tags",
"created_at", "updated_at", "memory_type", "metadata", "store", "embedding"?}]}``; its older backup is ``{"timestamp",
"total_memories", "memories": [{"id", "document", "metadata", "embedding"}]}``, whose embedding is always null. From the
scripts ``sync/export_memories.py`` and ``backup_memories.py``. The service's import takes only entries with a
`content_hash`, `created_at`, `tags` and an object `metadata`, so that all four are always written.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from memdefrag import __version__
from memdefrag.base.errors import CollectionNotFound, NotPermitted, StoreChanged, UnsupportedFormat
from memdefrag.base.foreign_json import parse
from memdefrag.base.fsops import written_anew
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.base.wording import count
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.hashing import canonical_json, record_hash
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Metadata, State, Vector
from memdefrag.model.service_metadata import content_hash, hash_kept, kind_of, moment, read
from memdefrag.stores.base import Store

DEFAULT = "default"
"""What the service calls the store of memories that name none."""

_HEAD = 1 << 16
_SIGNS = (b'"export_metadata"', b'"total_memories"')
_KNOWN = frozenset({"content", "document", "content_hash", "id", "tags", "created_at", "updated_at", "metadata",
                    "store", "embedding"})  # fmt: skip


class ServiceJson(Store):
    """A JSON file of mcp-memory-service. Its collections are the service's stores."""

    kind: ClassVar[str] = "memory-service-json"

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        if not path.is_file():
            return None
        with path.open("rb") as handle:
            head = handle.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n")
        if not head.startswith(b"{") or not any(sign in head for sign in _SIGNS):
            return None
        return path if _load(path) else None

    @property
    def format(self) -> str:
        return "Memory Service JSON file"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            Commit.FILE, writable=not self._is_backup, null_text=False, uri=False, content_ids=True, searched=True,
            raw_bytes=True,
        )  # fmt: skip

    def fit(self, record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        """As every store, and: extras are fields of the entry, beside those that the form has."""
        kept = {name: value for name, value in record.extras.items() if _is_field(name, value, record)}
        rest = {name: value for name, value in record.extras.items() if name not in kept}
        fitted, losses = super().fit(replace(record, extras=rest))
        read_back = _record(_entry(replace(fitted, extras=kept)), fitted.text or "")
        if read_back.state is not record.state:
            losses = (*losses, f"the state {record.state.value!r}")
        if read_back.tags != record.tags:
            losses = (*losses, "empty tags")
        if record.created is not None and read_back.created != record.created:
            losses = (*losses, "a time that is none")
        return replace(read_back, key=record.key), losses

    def key_for(self, collection: str, record: MemoryRecord) -> Key:
        """A hash as the service makes it stays, whatever it was made of; anything else becomes the text's hash."""
        return Key(collection, hash_kept(record.key.id, record.text))

    def adopted(self, record: MemoryRecord) -> MemoryRecord:
        """The record with its type where the service's import looks for it."""
        kind = record.extras.get("memory_type") or kind_of(record.metadata)
        return replace(record, extras={**record.extras, "memory_type": kind}) if kind else record

    def collections(self) -> list[CollectionInfo]:
        found: dict[str, list[MemoryRecord]] = {name: [] for name in _stores(self._content)}
        for record in self._records:
            found.setdefault(record.key.collection, []).append(record)
        return [_info(name, records) for name, records in sorted(found.items())]

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        records = [record for record in self._records if record.key.collection == collection]
        if not records and collection not in _stores(self._content):
            raise CollectionNotFound(f"There is no store {collection!r} in {self.address.location}.")
        if not vectors:
            records = [replace(record, embedding=None) for record in records]
        for start in range(0, len(records), batch):
            yield records[start : start + batch]

    def raw_files(self) -> list[Path]:
        return [self.address.path.absolute()]

    def problems(self) -> list[str]:
        found = list(self._faults)
        said = self._content.get("export_metadata", self._content).get("total_memories")
        if isinstance(said, int) and said != len(self._content["memories"]):
            found.append(f"The file says it holds {count(said, 'memory', 'memories')}; it holds "
                         f"{len(self._content['memories']):,}.")  # fmt: skip
        return found

    def write(self, changes: Changes, progress: Progress) -> None:
        """Write the file anew; entries that are not named stay as they are, also those that hold no text."""
        if self._is_backup:
            raise NotPermitted(f"A {self.format} of the older backup script can only be read.")
        progress.phase("Writing", len(changes.put) + len(changes.delete))
        path = self.address.path
        content = _applied(self._content if self.exists else _new_content(), self._numbered, changes, progress)
        with written_anew(path) as out:
            out.write(_encoded(content))
        for name in ("_content", "_read"):
            self.__dict__.pop(name, None)

    @property
    def _is_backup(self) -> bool:
        return self.exists and "export_metadata" not in self._content

    @property
    def _numbered(self) -> list[tuple[MemoryRecord, int]]:
        """Each record, and the place of its entry."""
        return self._read[2] if self.exists else []

    @cached_property
    def _content(self) -> dict[str, Any]:
        content = _load(self.address.path)
        if content is None:
            raise UnsupportedFormat(f"{self.address.location} is no JSON file of Memory Service.")
        return content

    @cached_property
    def _read(self) -> tuple[list[MemoryRecord], list[str], list[tuple[MemoryRecord, int]]]:
        records: list[MemoryRecord] = []
        numbered = []
        faults: list[str] = []
        seen: set[Key] = set()
        for number, entry in enumerate(self._content["memories"], start=1):
            text = entry.get("content", entry.get("document")) if isinstance(entry, dict) else None
            if not isinstance(text, str):
                faults.append(f"Entry {number} holds no text; only the file itself keeps it.")
                continue
            record = _record(entry, text)
            if record.key in seen:
                faults.append(f"Entry {number} has the id {record.key.id!r} of an earlier one.")
                record = record.with_key(Key(record.key.collection, f"{record.key.id}#{number}"))
            seen.add(record.key)
            records.append(record)
            numbered.append((record, number - 1))
        return records, faults, numbered

    @property
    def _records(self) -> list[MemoryRecord]:
        return self._read[0]

    @property
    def _faults(self) -> list[str]:
        return self._read[1]


def _applied(
    content: dict[str, Any], numbered: list[tuple[MemoryRecord, int]], changes: Changes, progress: Progress
) -> dict[str, Any]:
    """The whole content of a sync export after the changes. Pure, but for the progress.

    Raises:
        StoreChanged: a record no longer has the hash that the changes name.
    """
    entries, gone = list(content["memories"]), set()
    present = {record.key: (record, place) for record, place in numbered}
    for ref in changes.delete:
        gone.add(_guarded(present, ref.key, ref.hash)[1])
        del present[ref.key]
        progress.step()
    for put in changes.put:
        if put.before is None and put.record.key in present:
            raise StoreChanged(f"The memory {put.record.key} exists already.")
        if put.before is None:
            entries.append(_entry(put.record))
        else:
            old, place = _guarded(present, put.record.key, put.before)
            entries[place] = _changed(entries[place], old, put.record)
        progress.step()
    memories = [entry for place, entry in enumerate(entries) if place not in gone]
    stores = {*_stores(content), *(info.name for info in changes.collections)}
    stores |= {put.record.key.collection for put in changes.put}
    about = {
        **content["export_metadata"],
        "total_memories": len(memories),
        "include_embeddings": any(isinstance(entry, dict) and "embedding" in entry for entry in memories),
        "stores": sorted(stores),
    }
    return {**content, "export_metadata": about, "memories": memories}


def _guarded(
    present: dict[Key, tuple[MemoryRecord, int]], key: Key, expected: str
) -> tuple[MemoryRecord, int]:
    """The record of that key and the place of its entry, if it still has the hash."""
    if key not in present:
        raise StoreChanged(f"The memory {key} is no longer there.")
    if record_hash(present[key][0]) != expected:
        raise StoreChanged(f"The memory {key} was changed meanwhile.")
    return present[key]


def _new_content() -> dict[str, Any]:
    """An empty sync export. It names no machine: the service's import makes a tag of that name."""
    about = {
        "source_machine": "memdefrag",
        "export_timestamp": datetime.now(UTC).replace(tzinfo=None).isoformat(),
        "total_memories": 0,
        "database_path": "unknown",
        "platform": platform.system(),
        "python_version": platform.python_version(),
        "include_embeddings": False,
        "filter_tags": None,
        "stores": [],
        "exporter_version": f"memdefrag {__version__}",
    }
    return {"export_metadata": about, "memories": []}


def _stores(content: dict[str, Any]) -> list[str]:
    """The stores that the head of an export names."""
    told = content.get("export_metadata", {}).get("stores")
    return [name for name in told if isinstance(name, str) and name] if isinstance(told, list) else []


def _entry(record: MemoryRecord) -> dict[str, Any]:
    """The entry of a (fitted) record; the inverse of `_record`."""
    entry: dict[str, Any] = {
        "content": record.text,
        "content_hash": record.key.id,
        "tags": list(record.tags),
        "created_at": record.created,
        "updated_at": record.updated,
        "memory_type": None,
        "metadata": record.metadata,
        "store": record.key.collection,
        **record.extras,
    }
    return entry if record.embedding is None else {**entry, "embedding": record.embedding.tolist()}


def _changed(entry: dict[str, Any], old: MemoryRecord, new: MemoryRecord) -> dict[str, Any]:
    """The entry with those fields set that say something else now; the others keep their spelling."""
    before, after = _entry(old), _entry(new)
    changed = {name: value for name, value in entry.items() if name not in before or name in after}
    for name, value in after.items():
        if name not in before or canonical_json(before[name]) != canonical_json(value):
            changed[name] = value
    return changed


def _is_field(name: str, value: Any, record: MemoryRecord) -> bool:
    """Whether an extra can be a field of an entry and be read back as it is."""
    if name == "metadata":
        return not record.metadata and not isinstance(value, dict | None)
    return name not in _KNOWN


def _encoded(content: dict[str, Any]) -> bytes:
    """As the service's export writes it; halves of characters, which UTF-8 cannot write, as escapes."""
    try:
        return json.dumps(content, indent=2, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(content, indent=2).encode()


def _load(path: Path) -> dict[str, Any] | None:
    """The whole file, if it is one of the two forms."""
    try:
        content = parse(path.read_bytes().decode("utf-8-sig", "surrogateescape"))
    except ValueError:
        return None
    if not isinstance(content, dict) or not isinstance(content.get("memories"), list):
        return None
    about = content.get("export_metadata", content)
    return content if isinstance(about, dict) and "total_memories" in about else None


def _record(entry: dict[str, Any], text: str) -> MemoryRecord:
    metadata = entry.get("metadata") if isinstance(entry.get("metadata"), dict) else {}
    extras: Metadata = {
        name: value for name, value in entry.items() if name not in _KNOWN and (name, value) != ("memory_type", None)
    }
    if not isinstance(entry.get("metadata"), dict | None):
        extras["metadata"] = entry["metadata"]
    meant = read(metadata or {})
    store = entry.get("store")
    return MemoryRecord(
        Key(store if isinstance(store, str) and store else DEFAULT,
            str(entry.get("content_hash") or entry.get("id") or content_hash(text))),
        text,
        metadata or {},
        _vector(entry.get("embedding")),
        read({"tags": entry["tags"]}).tags if "tags" in entry else meant.tags,
        created=_moment(entry.get("created_at"), meant.created),
        updated=_moment(entry.get("updated_at"), meant.updated),
        state=meant.state,
        extras=extras,
    )  # fmt: skip


def _moment(value: Any, otherwise: float | None) -> float | None:
    found = moment(value)
    return otherwise if found is None else found


def _vector(values: Any) -> Vector | None:
    if not isinstance(values, list) or not values:
        return None
    try:
        with np.errstate(over="ignore"):
            vector = np.array(values, np.float32)
    except (ValueError, TypeError, OverflowError):
        return None
    return vector if vector.ndim == 1 else None


def _info(name: str, records: list[MemoryRecord]) -> CollectionInfo:
    sizes = [len(record.embedding) for record in records if record.embedding is not None]
    live = sum(record.state is State.LIVE for record in records)
    return CollectionInfo(name, len(records), live, len(sizes), sizes[0] if sizes else None)
