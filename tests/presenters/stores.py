"""What an assistant and memdefrag do to a store, for pages that show what came of it."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np

from memdefrag.base.progress import Progress
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.model.plan import Changes, Drop, Plan, Put, Ref
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.model.report import ApplyReport
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store, resolve


def texts(path: Path | str) -> list[str]:
    """All texts of a store, sorted."""
    with open_store(str(path)) as opened:
        return sorted(record.text or "" for record in read_snapshot(opened).records)


def add_memory(path: Path, id: str = "later", text: str = "The cat sleeps on the piano.") -> None:
    """What the assistant writes meanwhile."""
    with open_store(resolve(str(path))) as store:
        [info] = store.collections()
        vector = np.ones(info.dimension or 0, np.float32)
        record = MemoryRecord(Key(info.name, id), text, {}, vector)
        store.write(Changes(put=(Put(store.fit(record)[0], None),)), Progress())


TWINS = ("twin-1", "twin-2", "twin-3")


def with_twins(folder: Path) -> Path:
    """Three memories that say the same among ten that do not."""
    facts = ("cello", "harbour", "umbrella", "granite", "teapot", "compass", "violet", "ladder", "salmon", "window")
    said = [(name, f"There is a {name} in the attic.") for name in facts]
    said += [(name, "Nora feeds the grey cat at seven.") for name in TWINS]
    random = np.random.default_rng(7)
    vectors = {text: random.normal(size=32).tolist() for _, text in said}
    lines = [json.dumps({"id": name, "text": text, "embedding": vectors[text]}) for name, text in said]
    path = folder / "twins.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def drop(path: Path, number: int = 1) -> ApplyReport:
    """Remove the first memories with memdefrag."""
    address = resolve(str(path))
    with open_store(address) as opened:
        records = read_snapshot(opened).records[:number]
    steps = tuple(Drop(Ref.of(record), "not needed") for record in records)
    plan = Plan(source=str(address), target=str(address), settings={"reason": "optimize"}, steps=steps)
    return apply(plan, ApplyOptions(confirm_shrink=True))


def forget(path: Path, number: int, spare: Collection[str] = ()) -> None:
    """Remove some memories, but not those to `spare`, as another program would: without a trace."""
    with open_store(resolve(str(path))) as store:
        gone = [Ref.of(record) for record in read_snapshot(store).records if record.key.id not in spare][:number]
        store.write(Changes(delete=tuple(gone)), Progress())
