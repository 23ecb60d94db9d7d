"""Every change to a store as a step with before- and after-images, and the plans that undo and redo it.

``<data dir>/history/<store-id>/<job>/`` holds ``step.json``, ``plan.json``, the images of exactly the records and links
that were touched (`images`), ``touched.json``: their keys and hashes, and ``sums.json``: the SHA-256 sums of all these.
A step that put other files in the store's place also holds ``present.jsonl.zst``, the keys and hashes of all records
after it, and ``added.jsonl.zst``, those of the records that this took away. A step counts once the catalogue says that
its job was applied; steps follow each other as their jobs do there, whatever the clock said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from memdefrag.base.errors import BackupDamaged, HistoryNotFound
from memdefrag.base.fsops import make_private_dir, remove, write_durable
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue, images, step_files
from memdefrag.engine.step_files import Touched
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Drop, Plan, Ref, StoreStep, Write, dump, touched
from memdefrag.model.records import Key, MemoryRecord, Snapshot

_WHOLE = Key("", "")
"""Stands for all records of a store whose files were replaced."""


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """One applied plan.

    Attributes:
        undoes, redoes: the step that this one took back, or carried out again.
        backup: id of the backup made before it; None when the store did not exist yet.
        whole_store: the step replaced or upgraded files, so that only the backup brings them back.
        added: how many records had been added or changed since the state that it put back, and so went away.
        recall: the figures of its search proof (`model.recall.Recall.figures`); None where nothing was merged.
        left: what stood there after it, as `commit.state_hash` tells; empty for stores that are written live.
        links: how many links between memories it made or removed.
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
    redoes: str | None = None
    added: int = 0
    left: str = ""
    recall: dict[str, Any] | None = None
    links: int = 0

    @property
    def folder(self) -> Path:
        return data_dir() / "history" / catalogue.store_id(parse(self.store)) / self.id


class StepState(StrEnum):
    """What is left of a step's effect."""

    APPLIED = "applied"
    PARTLY = "partly undone"
    UNDONE = "undone"
    DAMAGED = "damaged"


def save(step: HistoryStep, plan: Plan, before: Snapshot, after: Snapshot, changes: Changes) -> HistoryStep:
    """Write the step's folder and return the step with what is known now. It does not count before `catalogue` has
    the job's outcome."""
    folder = make_private_dir(step.folder)
    step = replace(step, redoes=plan.settings.get("redoes"), links=len((*changes.relate, *changes.unrelate)))
    if step.whole_store:
        step_files.save_refs(folder / step_files.PRESENT, map(Ref.of, after.records))
    if StoreStep.REPLACE in plan.store_steps:
        gone = list(_taken_away(plan, before, after))
        step_files.save_refs(folder / step_files.ADDED, gone)
        step = replace(step, added=len(gone))
    images.save(
        folder, touched(changes), before.by_key, after.by_key, related=changes.relate, unrelated=changes.unrelate
    )
    step_files.save_touched(folder, [*_touched(before, after, changes), *step_files.touched_links(changes)])
    write_durable(folder / step_files.PLAN, dump(plan))
    write_durable(folder / step_files.STEP, json.dumps(asdict(step), indent=2).encode())
    step_files.seal(folder)
    return step


def discard(job_id: str) -> None:
    """Forget the step of a job that was not applied."""
    for folder in (data_dir() / "history").glob("*/*"):
        if folder.name == job_id:
            remove(folder)


def steps(store: Address | None = None) -> list[HistoryStep]:
    """Applied steps, newest first; only those of one store when it is given. Damaged ones are left out."""
    found = (_load(folder) for folder in _folders(store))
    return [step for step in found if step is not None]


def damaged(store: Address | None = None) -> list[str]:
    """Ids of the applied steps whose own description is damaged."""
    return [folder.name for folder in _folders(store) if _load(folder) is None]


def find(name: str) -> HistoryStep:
    """The step of that id, or of an unambiguous beginning of it.

    Raises:
        HistoryNotFound: none or several.
        BackupDamaged: it is damaged.
    """
    found = [folder for folder in _folders() if folder.name.startswith(name)]
    if len(found) != 1 or not name:
        raise HistoryNotFound(f"{len(found) or 'No'} steps of the history are named {name!r}.")
    step = _load(found[0])
    if step is None:
        raise BackupDamaged(f"What the step {found[0].name} saved of itself is damaged.", todo=_OTHER_WAY)
    return step


def state(step: HistoryStep) -> StepState:
    """Whether a step still has its effect on the records it touched."""
    return _Timeline.of(step).state(step)


def left(step: HistoryStep) -> tuple[Key, ...]:
    """Which of a step's records are not undone. Of a step that replaced files nothing can be told by records."""
    entries = _Timeline.of(step).entries(step, undone=False)
    return tuple(entry.key for entry in entries if entry.key != _WHOLE and not entry.is_link)


def states(store: Address | None = None) -> dict[str, StepState]:
    """The state of every step, by id."""
    known: dict[str, _Timeline] = {}
    found = {}
    for step in steps(store):
        if step.store not in known:
            known[step.store] = _Timeline.of(step)
        found[step.id] = known[step.store].state(step)
    return found


def undone(store: Address | None = None) -> set[str]:
    """Ids of the steps of whose effect nothing is left."""
    return {id for id, found in states(store).items() if found is StepState.UNDONE}


def latest(store: Address) -> HistoryStep:
    """The newest step of a store of which nothing is undone; steps that undid or redid others are passed over.

    What is left of a step that was undone in part is undone by naming that step.

    Raises:
        HistoryNotFound: there is none.
    """
    found = states(store)
    for step in steps(store):
        if found[step.id] is StepState.APPLIED and step.undoes is None and step.redoes is None:
            return step
    raise HistoryNotFound(f"Nothing that memdefrag did to {store.location} is left to undo.")


def redoable(store: Address) -> list[HistoryStep]:
    """Steps of a store that were undone, wholly or in part; the one that was undone last comes first."""
    order: dict[str, HistoryStep] = {}
    every = {step.id: step for step in steps(store)}
    found = states(store)
    for step in every.values():
        taken_back = every.get(step.undoes or "")
        if taken_back and taken_back.undoes is None and found[taken_back.id] is not StepState.APPLIED:
            order.setdefault(taken_back.id, taken_back)
    return list(order.values())


def undo_plan(step: HistoryStep) -> Plan:
    """The inverse plan: every touched record becomes what it was, if it still is what the step made of it.

    Links that came go, and links that went come back where both their ends are there. What was undone before is left
    out. A step that replaced or upgraded files is undone by its backup's files.

    Raises:
        BackupDamaged: what the step saved is not what it saved then; half an image would undo by halves.
    """
    settings = {"reason": "undo", "undoes": step.id}
    require_whole(step)
    timeline = _Timeline.of(step)
    entries = timeline.entries(step, undone=False)
    if step.whole_store and step.backup:
        return _replacing(step, timeline.last(step, undone=False) if entries else None, settings)
    return Plan(
        source=str(Address("jsonl", str(step.folder / images.BEFORE))),
        target=step.store,
        settings=settings,
        steps=(
            *(_inverse(entry) for entry in entries if not entry.is_link),
            *step_files.link_steps(step.folder, entries, forth=False),
        ),
    )


def redo_plan(step: HistoryStep) -> Plan:
    """The plan that carries an undone step out again: what it had made of each record is written over what the undo
    brought back, if it still is that.

    Raises:
        BackupDamaged: as `undo_plan`.
    """
    settings = {"reason": "redo", "redoes": step.id}
    require_whole(step)
    timeline = _Timeline.of(step)
    entries = timeline.entries(step, undone=True)
    if step.whole_store and step.backup:
        return _replacing(step, timeline.last(step, undone=True) if entries else None, settings)
    return Plan(
        source=str(Address("jsonl", str(step.folder / images.AFTER))),
        target=step.store,
        settings=settings,
        steps=(
            *(_again(entry) for entry in entries if not entry.is_link),
            *step_files.link_steps(step.folder, entries, forth=True),
        ),
    )


def added(step: HistoryStep) -> list[Ref]:
    """The records that were added or changed since the state that the step put back; its backup holds them."""
    require_whole(step)
    path = step.folder / step_files.ADDED
    return step_files.refs(path) if path.exists() else []


def present(step: HistoryStep) -> dict[Key, str]:
    """The hashes of all records right after a step that replaced or upgraded files."""
    require_whole(step)
    return dict(step_files.refs(step.folder / step_files.PRESENT))


def require_whole(step: HistoryStep) -> None:
    """Insist that everything the step saved is what it saved then.

    Raises:
        BackupDamaged: it is not.
    """
    if not step_files.is_whole(step.folder):
        restore = f"Restore the backup from before it: memdefrag backup restore {step.backup}."
        raise BackupDamaged(f"What the step {step.id} saved for its undo is damaged.", todo=restore)


_OTHER_WAY = "Restore the backup from before it (see memdefrag backup list)."


@dataclass(frozen=True)
class _Timeline:
    """All steps of one store, and which records of each still are as it made them.

    An undo, an undo of an undo, and a redo all lead back to the one step that began it, and move its records back
    or forth.
    """

    ordered: tuple[HistoryStep, ...]

    @classmethod
    def of(cls, step: HistoryStep) -> _Timeline:
        return cls(tuple(reversed(steps(parse(step.store)))))

    @cached_property
    def by_id(self) -> Mapping[str, HistoryStep]:
        return {step.id: step for step in self.ordered}

    @cached_property
    def movers(self) -> Mapping[str, list[tuple[HistoryStep, bool]]]:
        """By the step that began it: the later ones that move its records, and whether forth; oldest first."""
        found: dict[str, list[tuple[HistoryStep, bool]]] = {}
        for step in self.ordered:
            origin, forth = self._origin(step)
            if origin is not step:
                found.setdefault(origin.id, []).append((step, forth))
        return found

    def entries(self, step: HistoryStep, *, undone: bool) -> list[Touched]:
        """The records of a step that are undone, or those that are not."""
        origin, forth = self._origin(step)
        moved = {entry.key: way for mover, way in self.movers.get(origin.id, ()) for entry in _entries(mover)}
        return [entry for entry in _entries(step) if (moved.get(entry.key, True) is not forth) is undone]

    def state(self, step: HistoryStep) -> StepState:
        if self._origin(step)[0] is step and step.id not in self.movers:
            return StepState.APPLIED
        try:
            if not self.entries(step, undone=True):
                return StepState.APPLIED
            return StepState.PARTLY if self.entries(step, undone=False) else StepState.UNDONE
        except BackupDamaged:
            return StepState.DAMAGED

    def last(self, step: HistoryStep, *, undone: bool) -> HistoryStep | None:
        """The newest one that took its effect away, or that brought it about: an undo, itself, a redo, …"""
        origin, forth = self._origin(step)
        every = [(origin, True), *self.movers.get(origin.id, ())]
        return next((mover for mover, way in reversed(every) if (way is not forth) is undone), None)

    def _origin(self, step: HistoryStep) -> tuple[HistoryStep, bool]:
        """The step that began it, and whether this one moves its records forth."""
        forth = True
        while (earlier := self.by_id.get(step.undoes or step.redoes or "")) is not None:
            forth = forth is (step.undoes is None)
            step = earlier
        return step, forth


def _inverse(entry: Touched) -> Write | Drop:
    if entry.before is None:
        return Drop(Ref(entry.key, str(entry.after)), "undo", archive=entry.archive == "take")
    move: Any = {"put": "take", "take": "put"}.get(entry.archive or "")
    return Write(Ref(entry.key, entry.before), entry.key, entry.after, reason="undo", archive=move)


def _again(entry: Touched) -> Write | Drop:
    if entry.after is None:
        return Drop(Ref(entry.key, str(entry.before)), "redo", archive=entry.archive == "put")
    move: Any = entry.archive
    return Write(Ref(entry.key, entry.after), entry.key, entry.before, reason="redo", archive=move)


def _replacing(step: HistoryStep, last: HistoryStep | None, settings: dict[str, Any]) -> Plan:
    """The plan that puts in the store's place the files from before the `last` step that moved it; one without a step
    where that is done already."""
    if last is None or last.backup is None:
        return Plan(source=step.store, target=step.store, settings=settings)
    return Plan(
        source=f"backup:{last.backup}",
        target=step.store,
        store_steps=(StoreStep.REPLACE,),
        settings={**settings, "since": last.id},
    )


def _taken_away(plan: Plan, before: Snapshot, after: Snapshot) -> Iterator[Ref]:
    """What a whole store had gained when its files were replaced.

    Since the step that is undone: every record that came or was changed. Of a backup that is restored: every record
    that it does not hold; its older versions of others are what was asked for.
    """
    base = present(find(str(plan.settings["since"]))) if plan.settings.get("since") else None
    for record in before.records:
        hash = record_hash(record)
        if (base.get(record.key) != hash) if base is not None else (record.key not in after.by_key):
            yield Ref(record.key, hash)


def _touched(before: Snapshot, after: Snapshot, changes: Changes) -> Iterator[Touched]:
    archived = {record.key: "put" for record in changes.archive}
    archived.update((record.key, "take") for record in changes.unarchive)
    for key in dict.fromkeys(touched(changes)):
        hashes = (_hash(before.by_key.get(key)), _hash(after.by_key.get(key)))
        yield Touched(key, *hashes, archived.get(key))


def _hash(record: MemoryRecord | None) -> str | None:
    return record_hash(record) if record else None


def _entries(step: HistoryStep) -> list[Touched]:
    if step.whole_store:
        return [Touched(_WHOLE, None, None, None)]
    try:
        return step_files.touched(step.folder)
    except (OSError, ValueError, TypeError) as error:
        raise BackupDamaged(f"What the step {step.id} saved for its undo is damaged.", todo=_OTHER_WAY) from error


def _folders(store: Address | None = None) -> Iterable[Path]:
    """The folders of all applied steps, newest first."""
    applied = {job for job, outcome in catalogue.outcomes().items() if outcome == "applied"}
    order = catalogue.order()
    found = (data_dir() / "history").glob(f"{catalogue.store_id(store)}/*" if store else "*/*")
    kept = [folder for folder in found if folder.name in applied]
    return sorted(kept, key=lambda folder: order.get(folder.name, -1), reverse=True)


def _load(folder: Path) -> HistoryStep | None:
    """The step of a folder; None where its description is damaged."""
    said = step_files.description(folder)
    try:
        return HistoryStep(**said) if said else None
    except TypeError:
        return None
