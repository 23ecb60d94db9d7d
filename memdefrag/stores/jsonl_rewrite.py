"""A file of JSON lines written anew: lines that no change names keep every byte."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from memdefrag.base.errors import StoreChanged
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, touched
from memdefrag.model.records import Key, Relation
from memdefrag.stores.interchange import DEFAULT_COLLECTION, LinkChanges, header
from memdefrag.stores.jsonl_lines import Line, changed_line, dump, link_line, new_line
from memdefrag.stores.jsonl_links import LINKS, entry, link


class Rewrite:
    """One pass over the old lines that writes the new ones."""

    def __init__(self, changes: Changes, out: BinaryIO, progress: Progress) -> None:
        self.changes, self.out, self.progress = changes, out, progress
        self.puts: dict[Key, Put] = {put.record.key: put for put in changes.put}
        self.deletes = {ref.key: ref.hash for ref in changes.delete}
        self.unseen = set(touched(changes))
        self.default = DEFAULT_COLLECTION
        self.links = LinkChanges(changes)
        self.orphans: list[Relation] = []

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
            self._write(dump(header(old, self.default, added)))
        for line in chain([first] if first is not None else [], lines):
            if not (line.header and added):
                self._pass(line)
        for put in self.changes.put:
            if put.before is None and put.record.key in self.unseen:
                links = self.links.starting_at(put.record.key).values()
                self._write(new_line(put.record, self.default, links))
                self._done(put.record.key)
        for relation in chain(self.orphans, self.links.left()):
            self._write(link_line(relation))
        if self.unseen:
            raise StoreChanged(f"The memory {min(self.unseen)} is no longer there.")

    def _pass(self, line: Line) -> None:
        """Write a line as it is, changed, or not at all."""
        record = line.record
        if record is None:
            if not (line.links and self.links.leaves(line.links[0])):
                self._write(line.raw)
            return
        links = self._links(line)
        if record.key not in self.unseen and not line.renamed and links is None:
            self._write(line.raw)
            return
        put = self.puts.get(record.key, Put(record, record_hash(record)))
        expected = self.deletes.get(record.key, put.before)
        if record_hash(record) != expected:
            raise StoreChanged(f"The memory {record.key} was changed meanwhile.")
        if record.key in self.deletes:
            told = line.links if links is None else [_link(each, record.key) for each in links]
            self.orphans += [relation for relation in told if relation is not None]
        else:
            self._write(changed_line(line, put.record, self.default, links))
        self._done(record.key)

    def _links(self, line: Line) -> list[Any] | None:
        """What the list `relations` of a memory's line says from now on; None: what it says."""
        assert line.record is not None and line.fields is not None
        key, told = line.record.key, line.fields.get(LINKS)
        made = self.links.starting_at(key)
        if not line.links and not made:
            return None
        old = told if isinstance(told, list) else []
        new = [each for each in old if (known := _link(each, key)) is None or self.links.stays(known, made)]
        new += [entry(relation, key.collection) for relation in made.values()]
        return new if new != old else None

    def _write(self, raw: bytes) -> None:
        self.out.write(raw if raw.endswith(b"\n") else raw + b"\n")

    def _done(self, key: Key) -> None:
        if key in self.unseen:
            self.unseen.remove(key)
            self.progress.step()


def _link(told: Any, source: Key) -> Relation | None:
    return link(told, source.collection, source)
