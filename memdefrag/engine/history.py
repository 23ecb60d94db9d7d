"""Every change to a store as a step with before- and after-images, and the plan that undoes it.

``<data dir>/history/<store-id>/<job>/`` holds ``step.json``, ``plan.json``, the images ``before.jsonl``
and ``after.jsonl``: exactly the records that were touched, vectors included, and ``images.json``: their
SHA-256 sums. A step counts once the catalogue says that its job was applied.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from memdefrag.base.errors import BackupDamaged, HistoryNotFound
from memdefrag.base.fsops import file_sha256, fsync_tree, make_private_dir, remove, write_durable
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Drop, Plan, Put, Ref, StoreStep, Write, dump, touched
from memdefrag.model.records import Key, MemoryRecord, Snapshot
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store

_IMAGES = ("before.jsonl", "after.jsonl")


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """One applied plan.

    Attributes:
        undoes: the step that this one undid.
        backup: id of the backup made before it; None when the store did not exist yet.
        whole_store: the step replaced or upgraded files, so that only the backup brings them back.
    """

    id: str
    time: str
    store: str
    reason: str
    merged: int
    written: int
    removed: int
    backup: str | None
    whole_store: bool = False
    undoes: str | None = None

    @property
    def folder(self) -> Path:
        return data_dir() / "history" / catalogue.store_id(parse(self.store)) / self.id


def save(step: HistoryStep, plan: Plan, before: Snapshot, after: Snapshot, changes: Changes) -> None:
    """Write the step's folder. It does not count before `catalogue` has the job's outcome."""
    folder = make_private_dir(step.folder)
    write_durable(folder / "step.json", json.dumps(asdict(step), indent=2).encode())
    write_durable(folder / "plan.json", dump(plan))
    keys = list(dict.fromkeys(touched(changes)))
    _save_image(folder / "before.jsonl", (before.by_key.get(key) for key in keys))
    _save_image(folder / "after.jsonl", (after.by_key.get(key) for key in keys))
    sums = {name: file_sha256(folder / name) for name in _IMAGES}
    write_durable(folder / "images.json", json.dumps(sums, indent=2).encode())
    fsync_tree(folder)


def discard(job_id: str) -> None:
    """Forget the step of a job that was not applied."""
    for folder in (data_dir() / "history").glob("*/*"):
        if folder.name == job_id:
            remove(folder)


def steps(store: Address | None = None) -> list[HistoryStep]:
    """Applied steps, newest first; only those of one store when it is given."""
    applied = {job for job, outcome in catalogue.outcomes().items() if outcome == "applied"}
    pattern = f"{catalogue.store_id(store)}/*/step.json" if store else "*/*/step.json"
    found = [
        HistoryStep(**json.loads(path.read_bytes()))
        for path in (data_dir() / "history").glob(pattern)
        if path.parent.name in applied
    ]
    return sorted(found, key=lambda step: step.id, reverse=True)


def find(name: str) -> HistoryStep:
    """The step of that id, or of an unambiguous beginning of it.

    Raises:
        HistoryNotFound: none or several.
    """
    found = [step for step in steps() if step.id.startswith(name)]
    if len(found) != 1 or not name:
        raise HistoryNotFound(f"{len(found)} steps of the history are named {name!r}.")
    return found[0]


def undone(store: Address | None = None) -> set[str]:
    """Ids of the steps that a later step undid and that was not undone itself."""
    gone: set[str] = set()
    for step in steps(store):
        if step.undoes and step.id not in gone:
            gone.add(step.undoes)
    return gone


def latest(store: Address) -> HistoryStep:
    """The newest step of a store that can still be undone; steps that undid others are passed over.

    Raises:
        HistoryNotFound: there is none.
    """
    gone = undone(store)
    for step in steps(store):
        if step.id not in gone and step.undoes is None:
            return step
    raise HistoryNotFound(f"Nothing that memdefrag did to {store.location} is left to undo.")


def undo_plan(step: HistoryStep) -> Plan:
    """The inverse plan: every touched record becomes what it was, if it still is what the step made of it.

    A step that replaced or upgraded files is undone by its backup's files.

    Raises:
        BackupDamaged: an image is not what the step saved; half an image would undo by halves.
    """
    settings = {"reason": "undo", "undoes": step.id}
    if step.whole_store and step.backup:
        return Plan(
            source=f"backup:{step.backup}",
            target=step.store,
            store_steps=(StoreStep.REPLACE,),
            settings=settings,
        )
    _require_whole(step)
    before, after = (_load_image(step.folder / name) for name in _IMAGES)
    writes = [
        Write(Ref.of(record), key, expects=record_hash(after[key]) if key in after else None, reason="undo")
        for key, record in before.items()
    ]
    drops = [Drop(Ref.of(record), reason="undo") for key, record in after.items() if key not in before]
    source = Address("jsonl", str(step.folder / "before.jsonl"))
    return Plan(source=str(source), target=step.store, settings=settings, steps=(*writes, *drops))


def _save_image(path: Path, records: Iterable[MemoryRecord | None]) -> None:
    puts = tuple(Put(record, None) for record in records if record is not None)
    with open_store(Address("jsonl", str(path)), must_exist=False) as store:
        store.write(Changes(put=puts), Progress())


def _require_whole(step: HistoryStep) -> None:
    try:
        sums = json.loads((step.folder / "images.json").read_bytes())
        whole = all(file_sha256(step.folder / name) == sums[name] for name in _IMAGES)
    except (OSError, ValueError, LookupError, TypeError):
        whole = False
    if not whole:
        raise BackupDamaged(
            f"What the step {step.id} saved for its undo is damaged.",
            todo=f"Restore the backup from before it: memdefrag backup restore {step.backup}.",
        )


def _load_image(path: Path) -> dict[Key, MemoryRecord]:
    with open_store(Address("jsonl", str(path))) as store:
        return dict(read_snapshot(store).by_key)
