"""Writing into a live store, batch by batch, and taking it back when it stopped half-way.

A store that cannot trade places with a finished copy (a server, a database, a folder with a file for each
memory) is written record by record. The images of all touched records are saved first: they are the undo
journal. Each batch is compared with the store just before it is written, and read back after it. What a store
answers proves neither success nor failure; what reads back does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from memdefrag.base.errors import Cancelled, MemdefragError, VerificationFailed
from memdefrag.base.fsops import fault_point
from memdefrag.base.progress import Progress
from memdefrag.engine.images import Images
from memdefrag.engine.verify import same_vector
from memdefrag.model.capabilities import Commit
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.model.report import Skipped
from memdefrag.stores.base import Store

BATCH = 200
"""Records written between two looks at the store. A transaction takes all at once."""

Unit = tuple[Key, ...]


def write(
    store: Store, changes: Changes, units: Iterable[Unit], progress: Progress
) -> tuple[Changes, tuple[Skipped, ...]]:
    """Carry the changes out in the live store, unit by unit: whole or not at all.

    Returns:
        What was done, and the units left out because somebody changed one of their records since the plan.

    Raises:
        VerificationFailed: a batch reads back differently.
        MemdefragError: as the store fails. What was written until then is for `roll_back`.
    """
    touched = {put.record.key for put in changes.put} | {ref.key for ref in changes.delete}
    wanted = [unit for unit in units if not touched.isdisjoint(unit)]
    done: set[Key] = set()
    skipped: list[Skipped] = []
    progress.phase("Writing", len(wanted))
    if changes.collections:
        store.write(Changes(collections=changes.collections), progress)
    everything = sum(map(len, wanted))
    for batch in _batches(wanted, everything if store.capabilities.commit is Commit.TRANSACTION else BATCH):
        progress.check()
        fitting = _still_as_planned(store, changes, batch, skipped)
        _carry_out(store, _part(changes, fitting), progress)
        done |= fitting
        progress.step(len(batch))
    return replace(_part(changes, done), collections=changes.collections), tuple(skipped)


def roll_back(store: Store, images: Images, progress: Progress) -> tuple[Key, ...]:
    """Make the touched records what they were before. Repeating it changes nothing.

    Returns:
        The records that somebody else has changed meanwhile; they stay as they are.

    Raises:
        VerificationFailed, MemdefragError: it could not be done, or not wholly; it can be tried again.
    """
    keys = list(dict.fromkeys([*images.before, *images.after]))
    present = _fetched(store, keys)
    put: list[Put] = []
    delete: list[Ref] = []
    foreign: list[Key] = []
    for key in keys:
        now, old, new = present.get(key), images.before.get(key), images.after.get(key)
        if _same(now, old):
            continue
        if not (_same(now, new) or _half_written(now, old, new)):
            foreign.append(key)
        elif old is not None:
            put.append(Put(old, record_hash(now) if now else None))
        elif now is not None:
            delete.append(Ref.of(now))
    size = max(1, len(keys)) if store.capabilities.commit is Commit.TRANSACTION else BATCH
    back = Changes(put=tuple(put), delete=tuple(delete))
    named = [(change.record.key,) for change in put] + [(ref.key,) for ref in delete]
    for batch in _batches(named, size):
        _carry_out(store, _part(back, {key for (key,) in batch}), progress)
    store.sweep(key for key in keys if key not in foreign)
    return tuple(foreign)


def _batches(units: Collection[Unit], size: int) -> Iterator[list[Unit]]:
    """Lists of whole units with about `size` records each."""
    batch: list[Unit] = []
    records = 0
    for unit in units:
        if batch and records + len(unit) > size:
            yield batch
            batch, records = [], 0
        batch.append(unit)
        records += len(unit)
    if batch:
        yield batch


def _still_as_planned(store: Store, changes: Changes, batch: list[Unit], skipped: list[Skipped]) -> set[Key]:
    """The keys of those units whose records all are what the plan saw; the others are noted as skipped."""
    planned: dict[Key, str | None] = {put.record.key: put.before for put in changes.put}
    planned.update((ref.key, ref.hash) for ref in changes.delete)
    hashes = {key: record_hash(record) for key, record in _fetched(store, (k for u in batch for k in u)).items()}
    fitting: set[Key] = set()
    for unit in batch:
        stale = next((key for key in unit if key in planned and hashes.get(key) != planned[key]), None)
        if stale is None:
            fitting.update(unit)
        else:
            skipped.append(Skipped(str(unit[0]), f"{stale} was changed while the others were written"))
    return fitting


def _part(changes: Changes, keys: Collection[Key]) -> Changes:
    """The changes that concern these keys."""
    return Changes(
        tuple(put for put in changes.put if put.record.key in keys),
        tuple(ref for ref in changes.delete if ref.key in keys),
        tuple(record for record in changes.archive if record.key in keys),
        unarchive=tuple(record for record in changes.unarchive if record.key in keys),
    )


def _carry_out(store: Store, part: Changes, progress: Progress) -> None:
    """Write one batch: the merged memory stands, and is read back, before what it replaces disappears."""
    if store.capabilities.commit is Commit.TRANSACTION:
        orders = [part]
    else:
        orders = [replace(part, delete=()), Changes(delete=part.delete)]
    for order in orders:
        if not order:
            continue
        fault_point(f"write {len(order.put)} and remove {len(order.delete)} records")
        try:
            store.write(order, progress)
        except Cancelled:
            raise
        except MemdefragError as error:
            if not _stands(store, order, error):
                raise
        else:
            if not _stands(store, order):
                raise VerificationFailed("What was written into the store reads back differently.")


def _stands(store: Store, changes: Changes, failure: MemdefragError | None = None) -> bool:
    """Whether the store holds what the changes promise. A store that cannot say so after a failure does not."""
    try:
        found = _fetched(store, [*(put.record.key for put in changes.put), *(ref.key for ref in changes.delete)])
    except MemdefragError as error:
        raise failure or error from error
    written = all(_same(found.get(put.record.key), put.record) for put in changes.put)
    return written and not any(ref.key in found for ref in changes.delete)


def _fetched(store: Store, keys: Iterable[Key]) -> Mapping[Key, MemoryRecord]:
    return {record.key: record for record in store.fetch(keys)}


def _same(one: MemoryRecord | None, other: MemoryRecord | None) -> bool:
    if one is None or other is None:
        return one is other
    return record_hash(one) == record_hash(other) and same_vector(one.embedding, other.embedding)


def _half_written(now: MemoryRecord | None, old: MemoryRecord | None, new: MemoryRecord | None) -> bool:
    """Whether a crash inside the writing of one record explains it: some parts are new, the others still old."""
    if now is None or new is None:
        return now is None and old is not None
    texts = {new.text} | ({old.text} if old else set())
    metadata = [new.metadata, old.metadata if old else {}, {}]
    return now.text in texts and now.metadata in metadata
