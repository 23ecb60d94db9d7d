"""What the two portable files, JSON lines and Parquet, have in common: the header, the counts, the changes of links.

A header is ``{"memdefrag": 1, "collection", "metric", "model", "dimension", "settings", "collections": [{"name",
"metric", "model", "dimension", "settings"}, …]}``, of which only the version must be there. It describes its own
collection, to which memories belong that name none, and others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memdefrag.base.errors import StoreChanged, UnsupportedFormat
from memdefrag.model.hashing import canonical_json
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Metadata, Relation, State

FORMAT = 1
"""The version of both formats; a file of a newer one is refused."""

DEFAULT_COLLECTION = "memories"
HEADER = "memdefrag"


def require_known(header: Metadata, path: Path) -> None:
    """Refuse a header of a newer version.

    Raises:
        UnsupportedFormat: it is one.
    """
    version = header.get(HEADER)
    if isinstance(version, int | float) and version > FORMAT:
        raise UnsupportedFormat(
            f"{path} has format {version}; this program reads {FORMAT}.", todo="Use a newer memdefrag."
        )


def described(header: Metadata) -> list[CollectionInfo]:
    """The collections that a header describes, its own first."""
    listed = header.get("collections")
    entries = [header, *(listed if isinstance(listed, list) else [])]
    infos = []
    for entry in entries:
        name = entry.get("name", entry.get("collection")) if isinstance(entry, dict) else None
        if isinstance(name, str):
            settings, dimension = entry.get("settings"), entry.get("dimension")
            infos.append(
                CollectionInfo(
                    name,
                    0,
                    0,
                    0,
                    dimension if isinstance(dimension, int) else None,
                    metric=str(entry.get("metric", "cosine")),
                    model=entry.get("model"),
                    settings=settings if isinstance(settings, dict) else {},
                )
            )
    return infos


def header(old: Metadata, default: str, added: Iterable[CollectionInfo]) -> Metadata:
    """The header, with these collections described too."""
    found: dict[str, Any] = {HEADER: FORMAT, "collection": default, **old}
    for info in added:
        told: Metadata = {"metric": info.metric, "model": info.model, "settings": dict(info.settings)}
        if info.dimension is not None:
            told["dimension"] = info.dimension
        if info.name == default:
            found.update(told)
        else:
            found["collections"] = [*found.get("collections", []), {"name": info.name, **told}]
    return found


@dataclass
class Count:
    """Counts the records of one collection."""

    count: int = 0
    live: int = 0
    sizes: Counter[int] = field(default_factory=Counter)

    def add(self, record: MemoryRecord) -> None:
        self.count += 1
        self.live += record.state in (State.LIVE, State.CHUNK)
        if record.embedding is not None:
            self.sizes[len(record.embedding)] += 1

    def info(self, described: CollectionInfo) -> CollectionInfo:
        dimension = self.sizes.most_common(1)[0][0] if self.sizes else described.dimension
        return CollectionInfo(
            described.name,
            self.count,
            self.live,
            self.sizes.total(),
            dimension,
            described.metric,
            described.model,
            described.settings,
        )


def counted(known: Iterable[CollectionInfo], counts: dict[str, Count]) -> list[CollectionInfo]:
    """The collections that are described, or of which there are records."""
    infos = {info.name: info for info in known}
    for name in counts:
        infos.setdefault(name, CollectionInfo(name, 0, 0, 0))
    return [counts.get(name, Count()).info(info) for name, info in infos.items()]


def unique(key: Key, seen: Container[Key]) -> Key:
    """The key, or the first of its numbered variants, that no earlier record has."""
    found, number = key, 1
    while found in seen:
        number += 1
        found = Key(key.collection, f"{key.id}#{number}")
    return found


def whole(name: str) -> str:
    """The name with a question mark for everything that UTF-8 cannot write."""
    return name if name.isascii() else name.encode("utf-8", "replace").decode("utf-8")


def sign(relation: Relation) -> bytes:
    """All that a link says; equal for equal links."""
    return canonical_json(
        [relation.source, relation.target, relation.type, relation.strength, relation.metadata, relation.created]
    )


class LinkChanges:
    """The links to be made and to be removed, until each has found its place."""

    def __init__(self, changes: Changes) -> None:
        self._made: dict[Key | str, dict[bytes, Relation]] = {}
        for relation in changes.relate:
            self._made.setdefault(relation.source, {})[sign(relation)] = relation
        self._all_made = {mark for links in self._made.values() for mark in links}
        self._removed = {sign(relation): relation for relation in changes.unrelate}
        self._unseen = set(self._removed)

    def starting_at(self, source: Key) -> dict[bytes, Relation]:
        """The links to be made that start there, by their signs; each is given out once."""
        return self._made.pop(source, {})

    def stays(self, relation: Relation, made: dict[bytes, Relation]) -> bool:
        """Whether a link of a memory stays with it; what stays need not be made and is taken out of `made`."""
        mark = sign(relation)
        self._unseen.discard(mark)
        made.pop(mark, None)
        return mark not in self._removed

    def leaves(self, relation: Relation) -> bool:
        """Whether a link that stands apart from memories is removed, or made anew elsewhere."""
        mark = sign(relation)
        self._unseen.discard(mark)
        return mark in self._removed or mark in self._all_made

    def left(self) -> Iterator[Relation]:
        """The links that start from no memory of the file.

        Raises:
            StoreChanged: a link to be removed was not found.
        """
        for mark in self._unseen:
            relation = self._removed[mark]
            raise StoreChanged(f"The link from {relation.source} to {relation.target} is no longer there.")
        for links in self._made.values():
            yield from links.values()
