"""The files of one step of the history: JSON, hashes of many records, and the sums that prove them whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from memdefrag.base.fsops import file_sha256, fsync_tree, write_durable
from memdefrag.engine import images
from memdefrag.model.hashing import relation_hash
from memdefrag.model.plan import Changes, Ref, Relate, Unrelate
from memdefrag.model.records import Key, Relation

STEP, PLAN, TOUCHED, ADDED, PRESENT = "step.json", "plan.json", "touched.json", "added.json", "present.jsonl.zst"
_SUMS = "sums.json"
_LINK = "\0link"
"""Stands where touched links have no collection; their hashes stand for ids."""
_LEVEL = 3


class Touched(NamedTuple):
    """One record that a step changed: its hashes before and after (None: it was not there).

    `archive`: the store's own archive got what was there before ("put"), or gave up what is there now ("take").
    """

    key: Key
    before: str | None
    after: str | None
    archive: str | None

    @property
    def is_link(self) -> bool:
        """Whether it is a link between records instead; then the key is `link_key`."""
        return self.key.collection == _LINK


def link_key(relation: Relation) -> Key:
    """Names a link among what a step touched."""
    return Key(_LINK, relation_hash(relation))


def touched_links(changes: Changes) -> Iterator[Touched]:
    """The links that changes make and remove."""
    for relation in changes.relate:
        yield Touched(link_key(relation), None, relation_hash(relation), None)
    for relation in changes.unrelate:
        yield Touched(link_key(relation), relation_hash(relation), None, None)


def link_steps(folder: Path, entries: Iterable[Touched], *, forth: bool) -> Iterator[Relate | Unrelate]:
    """What is to be done to those links of a step, to take it back or to carry it out again; of equal ones to all."""
    wanted = {entry.key for entry in entries if entry.is_link}
    if not wanted:
        return
    found = images.load(folder)
    coming, going = (found.related, found.unrelated) if forth else (found.unrelated, found.related)
    yield from (Unrelate(each) for each in going if link_key(each) in wanted)
    yield from (Relate(each) for each in coming if link_key(each) in wanted)


def seal(folder: Path) -> None:
    """Write the SHA-256 sums of all files in `folder`, and push everything to the disk."""
    sums = {path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.name != _SUMS}
    write_durable(folder / _SUMS, json.dumps(sums, indent=2).encode())
    fsync_tree(folder)


def is_whole(folder: Path) -> bool:
    """Whether all files are there, no others, and each is what was sealed."""
    try:
        names = {path.name for path in folder.iterdir()} - {_SUMS}
        sums = json.loads((folder / _SUMS).read_bytes())
        return bool(sums.keys() == names and all(file_sha256(folder / name) == sums[name] for name in names))
    except (OSError, ValueError, AttributeError):
        return False


def description(folder: Path) -> dict[str, Any] | None:
    """What a step says of itself; None where that is damaged. Its other files are not looked at."""
    try:
        if json.loads((folder / _SUMS).read_bytes())[STEP] != file_sha256(folder / STEP):
            return None
        said: dict[str, Any] = json.loads((folder / STEP).read_bytes())
        return said
    except (OSError, ValueError, LookupError, TypeError):
        return None


def save_touched(folder: Path, entries: Iterable[Touched]) -> None:
    write_durable(folder / TOUCHED, _json(list(entries)))


def touched(folder: Path) -> list[Touched]:
    """Raises OSError, ValueError or TypeError where the file is damaged."""
    found = json.loads((folder / TOUCHED).read_bytes())
    return [Touched(Key(*key), before, after, archive) for key, before, after, archive in found]


def save_refs(path: Path, refs: Iterable[Ref]) -> None:
    """Keys and hashes as ``[collection, id, hash]``, one a line, compressed."""
    lines = b"".join(_json([*ref.key, ref.hash]) + b"\n" for ref in refs)
    write_durable(path, zstandard.ZstdCompressor(level=_LEVEL).compress(lines))


def refs(path: Path) -> list[Ref]:
    """What `save_refs` wrote; the caller has made sure that it is whole."""
    lines = zstandard.ZstdDecompressor().decompress(path.read_bytes()).splitlines()
    return [Ref(Key(collection, id), hash) for collection, id, hash in map(json.loads, lines)]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
