"""What a backup brings back: the whole store, or chosen memories of it. Plans only; `apply` carries them out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from memdefrag.base.errors import BackupDamaged, HistoryNotFound, StoreError, UnsupportedFormat, UsageError
from memdefrag.base.progress import Progress
from memdefrag.engine import history, relations, step_files
from memdefrag.engine.backups.shelf import Backup, find
from memdefrag.model.address import parse
from memdefrag.model.hashing import record_hash, relation_hash
from memdefrag.model.plan import Drop, Merge, Plan, Ref, Relate, Step, StoreStep, Unrelate, Write, load
from memdefrag.model.records import Key, MemoryRecord, Snapshot
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a restore of a whole store will do to its memories.

    Attributes:
        going: memories that came since the backup and that it does not hold.
        changing: memories that say something else now.
        coming: memories that only the backup holds.
    """

    going: int
    changing: int
    coming: int


def restore_plan(
    backup: Backup,
    present: Snapshot | None,
    *,
    keys: Collection[Key] | None = None,
    where: str | None = None,
    tag: str | None = None,
    progress: Progress | None = None,
) -> Plan:
    """The plan that puts a store back as its backup holds it; or, where something is chosen, only that.

    A whole store gets its old files back. Where it is written live, and for chosen memories, records are written
    over what the store holds now, each only if it still holds just that when the plan is carried out.

    Args:
        present: what the store holds now; None: nothing that could be read, which a whole restore does not mind.
        keys: these memories. `where`: those whose text says this, in whatever case. `tag`: those that have it. Of
            several conditions all must hold.

    Raises:
        UsageError: nothing in the backup is what was chosen.
        UnsupportedFormat: the backup holds files only, so that no single memory can be taken out of it.
        BackupDamaged, BackupNotFound: it cannot be used.
    """
    settings: dict[str, Any] = {"reason": "restore"}
    whole = keys is None and where is None and tag is None
    if whole and backup.files and not _is_live(backup.address):
        store_steps = (StoreStep.REPLACE,)
        return Plan(source=_source(backup), target=backup.address, store_steps=store_steps, settings=settings)
    now = present or Snapshot(backup.address, ())
    held = content(backup, progress)
    chosen = [record for record in held if _is_chosen(record, keys, where, tag)]
    if not (chosen or whole):
        raise UsageError(f"No memory of backup {backup.id} is what was chosen.", todo="memdefrag search looks for it.")
    steps: list[Step] = list(_writes(chosen, now))
    if whole:
        steps += [Drop(Ref.of(record), "restore") for record in now if record.key not in held.by_key]
    steps += _links(held, now, {record.key for record in chosen}, whole=whole)
    return _record_plan(backup, held, now, steps, settings)


def added_since(step: history.HistoryStep, present: Snapshot, progress: Progress | None = None) -> Plan:
    """The plan that brings back what had been added or changed before a step put an older state in its place.

    Raises:
        HistoryNotFound: the step took nothing away.
        BackupDamaged: what the step saved is damaged.
    """
    wanted = history.added(step)
    if not wanted or step.backup is None:
        raise HistoryNotFound(f"The step {step.id} took nothing away that was added since.")
    backup = find(step.backup)
    held = content(backup, progress)
    chosen = [held.by_key[ref.key] for ref in wanted if ref.key in held.by_key]
    if [Ref.of(record) for record in chosen] != wanted:
        raise BackupDamaged(f"Backup {backup.id} does not hold what the step {step.id} took away.")
    links = _links(held, present, {record.key for record in chosen})
    return _record_plan(backup, held, present, [*_writes(chosen, present), *links], {"reason": "restore"})


def taken_away_by(backup: Backup) -> history.HistoryStep:
    """The step that put another state in the place of the one that this backup holds.

    Raises:
        HistoryNotFound: there is none.
    """
    for step in history.steps(parse(backup.address)):
        if step.backup == backup.id and step.added:
            return step
    raise HistoryNotFound(f"No undo or restore took away what only backup {backup.id} holds.")


def foresee(plan: Plan, present: Snapshot, progress: Progress | None = None) -> Foreseen | None:
    """What a plan that replaces a whole store will do to its memories; None where its backup cannot tell."""
    backup = find(plan.source.partition(":")[2])
    try:
        held = content(backup, progress).by_key
    except UnsupportedFormat:
        return None
    now = present.by_key
    both = held.keys() & now.keys()
    changing = sum(record_hash(held[key]) != record_hash(now[key]) for key in both)
    return Foreseen(len(now.keys() - held.keys()), changing, len(held.keys() - now.keys()))


def merged_with(step: history.HistoryStep, key: Key) -> tuple[Key, ...]:
    """All memories of the merge that touched this one, the one that stayed first.

    Raises:
        HistoryNotFound: the step merged no such memory.
    """
    history.require_whole(step)
    for each in load(step.folder / step_files.PLAN).steps:
        if isinstance(each, Merge):
            group = (each.survivor.key, *(ref.key for ref in each.members))
            if key in group:
                return group
    raise HistoryNotFound(f"The step {step.id} merged no memory {key}.")


def content(backup: Backup, progress: Progress | None = None) -> Snapshot:
    """All that a backup holds.

    Raises:
        UnsupportedFormat: it holds files only.
        BackupDamaged: it does not match its sums.
    """
    with open_store(_source(backup)) as store:
        return read_snapshot(store, progress)


def _source(backup: Backup) -> str:
    return f"backup:{backup.id}"


def _is_live(address: str) -> bool:
    """Whether the store is written record by record; one that is too damaged to say so is not."""
    try:
        with open_store(parse(address), must_exist=False) as store:
            return store.capabilities.commit.is_live
    except StoreError:
        return False


def _is_chosen(record: MemoryRecord, keys: Collection[Key] | None, where: str | None, tag: str | None) -> bool:
    if keys is not None and record.key not in keys:
        return False
    if where is not None and where.casefold() not in (record.text or "").casefold():
        return False
    return tag is None or tag in record.tags


def _writes(records: Iterable[MemoryRecord], present: Snapshot) -> Iterable[Write]:
    """Steps for those records that the store does not hold just so."""
    for record in records:
        now = present.by_key.get(record.key)
        expects = record_hash(now) if now else None
        if expects != record_hash(record):
            yield Write(Ref.of(record), record.key, expects, reason="restore")


def _links(
    held: Snapshot, present: Snapshot, chosen: Collection[Key], *, whole: bool = False
) -> Iterable[Relate | Unrelate]:
    """Steps for the links of the chosen memories that the store lacks, as far as it has, or gets, both their ends.

    `whole`: all links become what the backup holds; those that it does not hold go, too.
    """
    here, there = relations.hashes(present.relations), relations.hashes(held.relations)
    if whole:
        yield from (Unrelate(each) for each in present.relations if relation_hash(each) not in there)
        yield from (Relate(each) for each in held.relations if relation_hash(each) not in here)
        return
    names = set(map(relations.identity, present.relations))
    known = {*chosen, *present.by_key}
    for each in held.relations:
        ends = {end for end in (each.source, each.target) if isinstance(end, Key)}
        if relations.identity(each) not in names and not ends.isdisjoint(chosen) and ends <= known:
            yield Relate(each)


def _record_plan(
    backup: Backup, held: Snapshot, present: Snapshot, steps: list[Step], settings: dict[str, Any]
) -> Plan:
    named = {step.key.collection for step in steps if isinstance(step, Write)}
    lacking = tuple(info for info in held.collections if info.name in named and not present.collection(info.name))
    return Plan(
        source=_source(backup),
        target=backup.address,
        settings=settings,
        collections=lacking,
        steps=tuple(steps),
    )
