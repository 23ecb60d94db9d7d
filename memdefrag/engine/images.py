"""What exactly the touched records of a store were before a write, and what they are to be after it.

Two files of JSON lines, vectors included, and one of the links that come and go, where there are any; with their
SHA-256 sums: half an image would undo by halves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from memdefrag.base.errors import BackupDamaged
from memdefrag.base.fsops import file_sha256, fsync_tree, write_durable
from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import Key, MemoryRecord, Relation
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store

BEFORE, AFTER, LINKS = "before.jsonl", "after.jsonl", "links.json"


class Images(NamedTuple):
    """Records by key; a key that is only in one of them was added or removed. And the links that come and go."""

    before: Mapping[Key, MemoryRecord]
    after: Mapping[Key, MemoryRecord]
    related: tuple[Relation, ...] = ()
    unrelated: tuple[Relation, ...] = ()


def save(
    folder: Path,
    keys: Iterable[Key],
    before: Mapping[Key, MemoryRecord],
    after: Mapping[Key, MemoryRecord],
    *,
    related: tuple[Relation, ...] = (),
    unrelated: tuple[Relation, ...] = (),
) -> None:
    """Write both images of these keys, and the links that come and go, into `folder`, durably."""
    named = list(dict.fromkeys(keys))
    for name, side in ((BEFORE, before), (AFTER, after)):
        _save(folder / name, (side[key] for key in named if key in side))
    names = [BEFORE, AFTER]
    if related or unrelated:
        links = {"related": list(map(asdict, related)), "unrelated": list(map(asdict, unrelated))}
        write_durable(folder / LINKS, json.dumps(links).encode())
        names.append(LINKS)
    sums = {name: file_sha256(folder / name) for name in names}
    write_durable(folder / "images.json", json.dumps(sums, indent=2).encode())
    fsync_tree(folder)


def load(folder: Path) -> Images:
    """Read the images.

    Raises:
        BackupDamaged: one is missing, or is not what was saved.
    """
    try:
        sums = json.loads((folder / "images.json").read_bytes())
        names = [BEFORE, AFTER, *([LINKS] if LINKS in sums else [])]
        whole = all(file_sha256(folder / name) == sums[name] for name in names)
    except (OSError, ValueError, LookupError, TypeError):
        whole = False
    if not whole:
        raise BackupDamaged(f"The images of the changed memories in {folder} are damaged.")
    links = json.loads((folder / LINKS).read_bytes()) if LINKS in names else {}
    related, unrelated = (tuple(map(_relation, links.get(name, ()))) for name in ("related", "unrelated"))
    return Images(_load(folder / BEFORE), _load(folder / AFTER), related, unrelated)


def _relation(said: dict[str, Any]) -> Relation:
    ends = {name: end if isinstance(end := said[name], str) else Key(*end) for name in ("source", "target")}
    return Relation(**{**said, **ends})


def _save(path: Path, records: Iterable[MemoryRecord]) -> None:
    with open_store(Address("jsonl", str(path)), must_exist=False) as store:
        store.write(Changes(put=tuple(Put(record, None) for record in records)), Progress())


def _load(path: Path) -> dict[Key, MemoryRecord]:
    with open_store(Address("jsonl", str(path))) as store:
        return dict(read_snapshot(store).by_key)
