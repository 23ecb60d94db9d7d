"""What a store holds and how it is, read without a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memdefrag.engine.in_use import Holder, holders
from memdefrag.model.records import CollectionInfo
from memdefrag.stores.base import Store, selected


@dataclass(frozen=True, slots=True)
class Summary:
    """A store at a glance.

    Attributes:
        modified: seconds since 1970 of the latest change to one of its files.
        written_by: the library release that must write it, when that is not the built-in one.
    """

    address: str
    kind: str
    format: str
    writable: bool
    written_by: str | None
    in_use: tuple[Holder, ...]
    collections: tuple[CollectionInfo, ...]
    problems: tuple[str, ...]
    bytes: int
    modified: float

    @property
    def count(self) -> int:
        return sum(info.count for info in self.collections)

    def as_dict(self) -> dict[str, Any]:
        """The object that `inspect --json` prints."""
        fields = ("name", "count", "live", "with_embedding", "dimension", "metric", "model")
        return {
            "store": self.address,
            "kind": self.kind,
            "format": self.format,
            "writable": self.writable,
            "in_use": [{"pid": holder.pid, "name": holder.name} for holder in self.in_use],
            "collections": [{name: getattr(info, name) for name in fields} for info in self.collections],
            "problems": list(self.problems),
            "bytes": self.bytes,
            "modified": self.modified,
        }


def inspect(store: Store) -> Summary:
    """Read a store's summary.

    Raises:
        CollectionNotFound: the address selects one that is not there.
        StoreDamaged: not even the list of collections can be read.
    """
    files = store.raw_files()
    stats = [path.stat() for path in files]
    capabilities = store.capabilities
    return Summary(
        address=str(store.address),
        kind=store.kind,
        format=store.format,
        writable=capabilities.writable,
        written_by=capabilities.written_by,
        in_use=tuple(holders(files)),
        collections=tuple(selected(store, store.collections())),
        problems=tuple(store.problems()),
        bytes=sum(stat.st_size for stat in stats),
        modified=max((stat.st_mtime for stat in stats), default=0.0),
    )
