"""What is looked at before a migration, without writing anything: both ends, the room, and whether they fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from memdefrag.base.errors import MemdefragError, NoSpace, NotAStore, NotPermitted, StoreChanged, StoreInUse, UsageError
from memdefrag.base.fsops import free_bytes
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.base.wording import count
from memdefrag.base.wording import size as in_words
from memdefrag.engine import guards, in_use
from memdefrag.engine.migrate import fitness, places
from memdefrag.engine.migrate.check import Check
from memdefrag.engine.migrate.estimate import estimate
from memdefrag.engine.migrate.routing import Route, route
from memdefrag.engine.migrate.selection import chosen as taking_part
from memdefrag.model.address import Address
from memdefrag.model.migration import Conflict, MigrateOptions
from memdefrag.model.records import CollectionInfo, MemoryRecord, Snapshot
from memdefrag.stores.base import Store

UNTOUCHED = "Nothing was written."
UNTESTED = "Not testable before the first write: one memory is written and read back first."
GROWTH_FACTOR = 2
"""What is new lies in the copy that is written beside the store, and in the store."""


def checks(
    source: Store,
    target: Store,
    snapshot: Snapshot,
    options: MigrateOptions,
    *,
    origin: Address | None = None,
    progress: Progress | None = None,
) -> list[Check]:
    """Everything that can be known of a migration before its first write.

    Args:
        snapshot: the source's content.
        origin: where the source really is, when `source` is a private copy of it.

    Raises:
        StoreChanged: a file went away meanwhile.
    """
    try:
        return list(_checks(source, target, snapshot, options, origin or source.address, progress or Progress()))
    except FileNotFoundError as error:
        raise StoreChanged(
            f"Somebody is writing to {target.address.location}: {error.filename} went away.", todo="Try again."
        ) from error


def require(checks: Sequence[Check]) -> None:
    """Insist that no check failed.

    Raises:
        MemdefragError: of the class that the first failed check names; the message tells all of them.
    """
    failed = [check for check in checks if check.passed is False]
    if failed:
        message = " ".join(check.detail for check in failed)
        todo = " ".join(dict.fromkeys(check.remedy for check in failed if check.remedy))
        raise failed[0].error(message, safe=UNTOUCHED, todo=todo)


def warnings(checks: Sequence[Check]) -> tuple[str, ...]:
    """What to tell the person although nothing failed."""
    return tuple(f"{check.detail} {check.remedy}" for check in checks if check.is_warning)


def _checks(
    source: Store, target: Store, snapshot: Snapshot, options: MigrateOptions, origin: Address, progress: Progress
) -> Iterator[Check]:
    infos = [info for info in snapshot.collections if source.address.collection in (None, info.name)]
    records = taking_part(snapshot.records, options.selection)
    yield Check("source", True, f"{source.format}: {_counted(infos)}, {len(records):,} of them take part.")
    try:
        present = target.collections() if target.exists else []
        held = _counted(present) if target.exists else "it will be made"
    except MemdefragError as error:
        yield Check.failed("target", error)
        return
    if options.catch_up and not target.exists:
        told = f"There is nothing at {target.address.location} any more to catch up with."
        yield Check("target", False, told, "Migrate without --catch-up.", NotAStore)
        return
    yield Check("target", True, f"{target.format}: {held}.")
    try:
        way = destination(infos, present, target, options)
    except MemdefragError as error:
        yield Check.failed("collections", error)
        return
    yield from _names(target, way)
    yield _apart(origin, target.address, way, options)
    yield from writable(target)
    yield from _free(target, options)
    coming: dict[str, list[MemoryRecord]] = {}
    for record in records:
        coming.setdefault(way.collection(record.key.collection), []).append(record)
    yield from fitness.dimensions(coming, target, way, options)
    yield from fitness.metrics(infos, target, way)
    yield from fitness.same_models(infos, coming, target, way, options, progress)
    yield from fitness.largest(coming, target)
    yield from _timeless(records, options)
    there = sum(way.present[name].count for name in coming if name in way.present)
    # As many may be there already.
    new = max(0, len(records) - there) / max(1, len(records))
    yield from room(target, estimate(records, target.address).bytes * new)


def destination(
    infos: Sequence[CollectionInfo], present: Sequence[CollectionInfo], target: Store, options: MigrateOptions
) -> Route:
    """Where the source's collections go in this target.

    Raises:
        CollectionNotFound, CollectionNeeded, UsageError: they find no place there.
    """
    fixed, chosen = getattr(target, "collection_name", None), target.address.collection
    # A store of such a kind that is there already may call its one collection otherwise.
    fixed = present[0].name if fixed and present else fixed
    named = options.target_collection or chosen
    if fixed and named not in (None, fixed):
        raise UsageError(f"{target.format} has one collection, {fixed!r}, and none of the name {named!r}.")
    can = target.capabilities
    makes, shared = can.new_collections, can.shared_metrics
    return route(infos, present, options, chosen=chosen, fixed=fixed, makes=makes, shared=shared)


def _names(target: Store, way: Route) -> Iterator[Check]:
    """Whether the collections that are to be made can have their names."""
    for info in way.new:
        fault = target.name_fault(info.name)
        if fault:
            told = f"The target cannot make a collection {info.name!r}: {fault}."
            yield Check("names", False, told, "Name another with --target-collection or --rename-collection.")


def _apart(source: Address, target: Address, way: Route, options: MigrateOptions) -> Check:
    """Whether reading one end and writing the other cannot get into each other's way."""
    name = "two stores"
    if places.is_inside(target, source) or places.is_inside(source, target):
        inner, outer = (target, source) if places.is_inside(target, source) else (source, target)
        return Check(
            name, False, f"{inner.location} lies inside {outer.location}.", "Name a place outside of the other store."
        )
    if not places.is_same(source, target):
        return Check(name, True, "The source and the target are two places.")
    onto_itself = [own for own, there in way.names.items() if own == there]
    if source.kind.partition("+")[0] != target.kind.partition("+")[0] or (onto_itself and not options.re_embed):
        return Check(
            name,
            False,
            f"The source and the target are the same place: {target.location}.",
            "Name another target, or another collection of it with --target-collection NAME.",
        )
    return Check(name, True, "The source and the target are the same place; the memories go from one to another there.")


def writable(target: Store) -> Iterator[Check]:
    """Whether the target may be written, as far as that can be known."""
    name, capabilities = "target writable", target.capabilities
    if not capabilities.writable:
        needed = target.needed_to_write
        remedy = f"Install what writes it: {needed}" if needed else "Choose another target."
        why = f": {target.obstacle}" if target.obstacle else ""
        yield Check(name, False, f"{target.format} can only be read{why}.", remedy, NotPermitted)
    elif not target.address.is_local:
        yield Check(name, None, UNTESTED)
    else:
        yield _judged(name, "The files and the folders around them may be written.", lambda: _require_writable(target))


def _require_writable(target: Store) -> None:
    """Raises NotPermitted."""
    path = target.address.path.resolve()
    files = target.raw_files() if target.exists else []
    guards.require_writable(files)
    if files and not target.capabilities.commit.is_live:
        guards.require_replaceable(path)
    for folder in (path if target.capabilities.commit.is_live else path.parent, data_dir()):
        place = nearest(folder)
        if not os.access(place, os.W_OK | os.X_OK):
            raise NotPermitted(f"{place} cannot be written.")


def _free(target: Store, options: MigrateOptions) -> Iterator[Check]:
    """Whether no other program holds the target. A rehearsal only tells."""
    files = target.raw_files() if target.exists else []
    if not files:
        return
    try:
        in_use.require_free(files)
    except StoreInUse as error:
        yield Check("target free", options.dry_run, error.message, error.todo, StoreInUse)
    else:
        yield Check("target free", True, "No other program has it open.")


def _timeless(records: Sequence[MemoryRecord], options: MigrateOptions) -> Iterator[Check]:
    """Whether choices that go by time can be made."""
    lacking = sum(record.created is None and record.updated is None for record in records)
    if not lacking:
        return
    told = f"{count(lacking, 'memory tells', 'memories tell')} no time."
    if options.conflict is Conflict.NEWEST:
        yield Check("times", True, told, "Where one differs from the target's, the target's stays.")
    elif options.selection.since is not None:
        yield Check("times", True, told, "They take part whenever they were written.")


def room(target: Store, growth: float) -> Iterator[Check]:
    """Whether the disks have room for the copy that is written, what is new, and the backup."""
    needed: dict[int, tuple[Path, float]] = {}

    def need(folder: Path, bytes: float) -> None:
        place = nearest(folder)
        device = place.stat().st_dev
        needed[device] = place, needed.get(device, (place, 0.0))[1] + bytes

    now = sum(path.stat().st_size for path in target.raw_files()) if target.exists else 0
    if target.address.is_local:
        need(target.address.path.resolve().parent, now * guards.SPACE_FACTOR + growth * GROWTH_FACTOR)
    need(data_dir(), now * guards.BACKUP_FACTOR + growth)
    for folder, bytes in needed.values():
        wanted, free = bytes + guards.SPACE_RESERVE, free_bytes(folder)
        told = f"{folder} has {in_words(free)} free; about {in_words(wanted)} are needed."
        yield Check("room", True, told) if free >= wanted else Check("room", False, told, NoSpace.default_todo, NoSpace)


def _judged(name: str, passed: str, judge: Callable[[], None]) -> Check:
    try:
        judge()
    except MemdefragError as error:
        return Check.failed(name, error)
    return Check(name, True, passed)


def nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _counted(infos: Sequence[CollectionInfo]) -> str:
    memories = count(sum(info.count for info in infos), "memory", "memories")
    return f"{memories} in {count(len(infos), 'collection')}"
