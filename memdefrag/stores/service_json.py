"""The two JSON forms in which mcp-memory-service's scripts put memories aside, read whole.

Its sync export is ``{"export_metadata": {"total_memories", …}, "memories": [{"content", "content_hash", "tags",
"created_at", "updated_at", "memory_type", "metadata", "store", "embedding"?}]}``; its older backup is ``{"timestamp",
"total_memories", "memories": [{"id", "document", "metadata", "embedding"}]}``, whose embedding is always null. From the
scripts ``sync/export_memories.py`` and ``backup_memories.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from memdefrag.base.errors import CollectionNotFound, NotPermitted, UnsupportedFormat
from memdefrag.base.foreign_json import parse
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.base.wording import count
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Metadata, State, Vector
from memdefrag.model.service_metadata import content_hash, moment, read
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
        return Capabilities(Commit.FILE, writable=False, extras=True, raw_bytes=True)

    def collections(self) -> list[CollectionInfo]:
        found: dict[str, list[MemoryRecord]] = {}
        for record in self._records:
            found.setdefault(record.key.collection, []).append(record)
        return [_info(name, records) for name, records in sorted(found.items())]

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        records = [record for record in self._records if record.key.collection == collection]
        if not records:
            raise CollectionNotFound(f"There is no store {collection!r} in {self.address.location}.")
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
        raise NotPermitted(f"A {self.format} can only be read.")

    @cached_property
    def _content(self) -> dict[str, Any]:
        content = _load(self.address.path)
        if content is None:
            raise UnsupportedFormat(f"{self.address.location} is no JSON file of Memory Service.")
        return content

    @cached_property
    def _read(self) -> tuple[list[MemoryRecord], list[str]]:
        records: list[MemoryRecord] = []
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
        return records, faults

    @property
    def _records(self) -> list[MemoryRecord]:
        return self._read[0]

    @property
    def _faults(self) -> list[str]:
        return self._read[1]


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
    extras: Metadata = {name: value for name, value in entry.items() if name not in _KNOWN}
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
