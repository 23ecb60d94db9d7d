"""A file of JSON lines written anew: lines that no change names keep every byte."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from memdefrag.base.errors import StoreChanged
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, touched
from memdefrag.model.records import CollectionInfo, Key, Metadata, Relation
from memdefrag.stores.jsonl_lines import DEFAULT_COLLECTION, HEADER, Line, changed_line, dump, link_line, new_line
from memdefrag.stores.jsonl_links import LINKS, entry, link, sign

FORMAT = 1
"""The version of the format; a file of a newer one is refused."""


class Rewrite:
    """One pass over the old lines that writes the new ones."""

    def __init__(self, changes: Changes, out: BinaryIO, progress: Progress) -> None:
        self.changes, self.out, self.progress = changes, out, progress
        self.puts: dict[Key, Put] = {put.record.key: put for put in changes.put}
        self.deletes = {ref.key: ref.hash for ref in changes.delete}
        self.unseen = set(touched(changes))
        self.default = DEFAULT_COLLECTION
        self.links = LinkChanges(changes)

    def run(self, lines: Iterator[Line]) -> None:
        """Write everything.

        Raises:
            StoreChanged: a record or link is not what the changes say.
        """
        first = next(lines, None)
        added = self.changes.collections
        old = (first.fields or {}) if first is not None and first.header else {}
        if first is None and added:
            self.default = added[0].name
        self.default = str(old.get("collection") or self.default)
        if added:
            self._write(_header(old, self.default, added))
        for line in chain([first] if first is not None else [], lines):
            if not (line.header and added):
                self._pass(line)
        for put in self.changes.put:
            if put.before is None and put.record.key in self.unseen:
                self._write(new_line(put.record, self.default, self.links.starting_at(put.record.key)))
                self._done(put.record.key)
        for relation in self.links.left():
            self._write(link_line(relation))
        if self.unseen:
            raise StoreChanged(f"The memory {min(self.unseen)} is no longer there.")

    def _pass(self, line: Line) -> None:
        """Write a line as it is, changed, or not at all."""
        record = line.record
        if record is None:
            if not (line.links and self.links.drops(line.links[0])):
                self._write(line.raw)
            return
        links = self.links.entries(line)
        if record.key not in self.unseen and not line.renamed and links is None:
            self._write(line.raw)
            return
        put = self.puts.get(record.key, Put(record, record_hash(record)))
        expected = self.deletes.get(record.key, put.before)
        if record_hash(record) != expected:
            raise StoreChanged(f"The memory {record.key} was changed meanwhile.")
        if record.key in self.deletes:
            self.links.keep_apart(line, links)
        else:
            self._write(changed_line(line, put.record, self.default, links))
        self._done(record.key)

    def _write(self, raw: bytes) -> None:
        self.out.write(raw if raw.endswith(b"\n") else raw + b"\n")

    def _done(self, key: Key) -> None:
        if key in self.unseen:
            self.unseen.remove(key)
            self.progress.step()


class LinkChanges:
    """The links to be made and to be removed, until each has found its place."""

    def __init__(self, changes: Changes) -> None:
        self._made: dict[Key | str, dict[bytes, Relation]] = {}
        for relation in changes.relate:
            self._made.setdefault(relation.source, {})[sign(relation)] = relation
        self._all_made = {mark for links in self._made.values() for mark in links}
        self._removed = {sign(relation): relation for relation in changes.unrelate}
        self._unseen = set(self._removed)
        self._apart: list[Relation] = []

    def starting_at(self, source: Key) -> list[Relation]:
        """The links to be made that start there; each is given out once."""
        return list(self._made.pop(source, {}).values())

    def drops(self, relation: Relation) -> bool:
        """Whether a link leaves the place where it stands: it is removed, or made anew elsewhere."""
        mark = sign(relation)
        self._unseen.discard(mark)
        return mark in self._removed or mark in self._all_made

    def entries(self, line: Line) -> list[Any] | None:
        """What the list `relations` of a memory's line says from now on; None: what it says."""
        assert line.record is not None and line.fields is not None
        key = line.record.key
        if not line.links and key not in self._made:
            return None
        told = line.fields.get(LINKS)
        old = told if isinstance(told, list) else []
        made = self._made.pop(key, {})
        new = [each for each in old if self._stays(link(each, key.collection, key), made)]
        new += [entry(relation, key.collection) for relation in made.values()]
        return new if new != old else None

    def keep_apart(self, line: Line, entries: list[Any] | None) -> None:
        """Keep the links of a line that disappears; `entries` as `self.entries` gave them."""
        assert line.record is not None
        key = line.record.key
        found = line.links if entries is None else [link(each, key.collection, key) for each in entries]
        self._apart += [relation for relation in found if relation is not None]

    def left(self) -> Iterator[Relation]:
        """The links that belong on no memory's line.

        Raises:
            StoreChanged: a link to be removed was not found.
        """
        for mark in self._unseen:
            relation = self._removed[mark]
            raise StoreChanged(f"The link from {relation.source} to {relation.target} is no longer there.")
        yield from self._apart
        for links in self._made.values():
            yield from links.values()

    def _stays(self, relation: Relation | None, made: dict[bytes, Relation]) -> bool:
        if relation is None:
            return True
        mark = sign(relation)
        self._unseen.discard(mark)
        made.pop(mark, None)
        return mark not in self._removed


def _header(old: Metadata, default: str, added: tuple[CollectionInfo, ...]) -> bytes:
    """The first line, with these collections described too."""
    header: dict[str, Any] = {HEADER: FORMAT, "collection": default, **old}
    for info in added:
        told: Metadata = {"metric": info.metric, "model": info.model, "settings": dict(info.settings)}
        if info.dimension is not None:
            told["dimension"] = info.dimension
        if info.name == default:
            header.update(told)
        else:
            header["collections"] = [*header.get("collections", []), {"name": info.name, **told}]
    return dump(header)
