"""What a store holds and how it is, read without a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memdefrag.engine.in_use import Holder, holders
from memdefrag.engine.steady import State
from memdefrag.model.records import CollectionInfo
from memdefrag.stores.base import Store, selected


@dataclass(frozen=True, slots=True)
class Summary:
    """A store at a glance.

    Attributes:
        modified: seconds since 1970 of the latest change to one of its files.
        state: what was read, and when; None: just now, the store itself.
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
    state: State | None = None

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
            "state": self.state.as_dict() if self.state else None,
        }


def inspect(store: Store, state: State | None = None) -> Summary:
    """Read a store's summary.

    Args:
        state: where `store` is a private copy, what it is a copy of.

    Raises:
        CollectionNotFound: the address selects one that is not there.
        StoreDamaged: not even the list of collections can be read.
    """
    files = store.raw_files()
    users = tuple(holders(files)) if state is None else state.holders
    stats = [path.stat() for path in files]
    capabilities = store.capabilities
    return Summary(
        address=str(state.address if state else store.address),
        kind=store.kind,
        format=store.format,
        writable=capabilities.writable,
        written_by=capabilities.written_by,
        in_use=users,
        collections=tuple(selected(store, store.collections())),
        problems=tuple(store.problems()),
        bytes=sum(stat.st_size for stat in stats),
        modified=max((stat.st_mtime for stat in stats), default=0.0),
        state=state,
    )
