"""Folders of memories as hdev itself writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import StoreSettings, read_snapshot
from memdefrag.stores.hdev.files import HdevFiles
from memdefrag.stores.hdev.store import COLLECTION, fit

TIMES = {"updated": "1795177582.5007188", "version": 1, "created": "1700000000.5"}


def entry(root: Path, name: str, text: str = "text", metadata: Any = TIMES) -> None:
    """An entry as hdev itself writes it: the suffix of the text's name is replaced."""
    content = (root / name).with_suffix(".md")
    content.parent.mkdir(parents=True, exist_ok=True)
    content.write_text(text, "utf-8")
    if metadata is not None:
        (root / f"{name}.metadata.json").write_text(json.dumps(metadata, indent=2), "utf-8")


def open_folder(root: Path) -> HdevFiles:
    return HdevFiles(Address("hdev", str(root)), StoreSettings())


def texts(root: Path) -> dict[str, str | None]:
    return {record.key.id: record.text for record in read_snapshot(open_folder(root))}


def record(name: str, text: str = "text", **metadata: Any) -> MemoryRecord:
    return fit(MemoryRecord(Key(COLLECTION, name), text, {**TIMES, **metadata}))[0]


def put(root: Path, *records: MemoryRecord) -> None:
    open_folder(root).write(Changes(put=tuple(Put(each, None) for each in records)), Progress())


def delete(root: Path, *names: str) -> None:
    store = open_folder(root)
    refs = [Ref.of(found) for found in store.fetch([Key(COLLECTION, name) for name in names])]
    assert len(refs) == len(names)
    store.write(Changes(delete=tuple(refs)), Progress())
