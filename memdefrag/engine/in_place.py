"""Writing into a live store, batch by batch, and taking it back, or finishing it, when it stopped half-way.

A store that cannot trade places with a finished copy (a server, a database, a folder with a file for each
memory) is written record by record; on a server one step goes first, alone, since only a write tells whether it takes
what we send. The images of all touched records are saved first: they are the undo
journal. Each batch is compared with the store just before it is written, and read back after it. What a store
answers proves neither success nor failure; what reads back does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from memdefrag.base.errors import Cancelled, MemdefragError, VerificationFailed
from memdefrag.base.fsops import fault_point
from memdefrag.base.progress import Progress
from memdefrag.engine import relations
from memdefrag.engine.images import Images
from memdefrag.engine.pace import Pacer
from memdefrag.engine.relations import Links, Settled
from memdefrag.engine.verify import same_vector
from memdefrag.model.capabilities import Commit
from memdefrag.model.hashing import record_hash, relation_hash
from memdefrag.model.migration import Pace
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.model.report import Skipped
from memdefrag.stores.base import RecordsRefused, Store

Unit = tuple[Key, ...]


def write(
    store: Store,
    changes: Changes,
    units: Iterable[Unit],
    progress: Progress,
    links: Links | None = None,
    pace: Pace | None = None,
) -> tuple[Changes, tuple[Skipped, ...]]:
    """Carry the changes out in the live store, unit by unit: whole or not at all. Links come last, or together with
    all the rest where that is one transaction.

    Args:
        links: tells what becomes of the links where units are left out; None where there are none.
        pace: how large the batches are, and how long to wait between them. A transaction takes all at once.

    Returns:
        What was done, and the units left out because somebody changed one of their records since the plan, or because
        the server did not take one; where it takes none at all, that is a failure.

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
    refusal: RecordsRefused | None = None
    at_once = store.capabilities.commit is Commit.TRANSACTION
    trial = not store.address.is_local
    for batch in [wanted] if at_once else _batches(wanted, _pacer(store, pace), progress, trial=trial):
        progress.check()
        fitting = _still_as_planned(store, changes, batch, skipped)
        part = _part(changes, fitting)
        try:
            _carry_out(store, _with_links(part, links, touched - fitting) if at_once else part, progress)
        except RecordsRefused as error:
            refusal = error
            fitting = _taken(store, changes, fitting, batch, error, skipped)
            if len(batch) > 1 and not (fitting or done):
                raise
            _carry_out(store, replace(_part(changes, fitting), put=()), progress)
        done |= fitting
        progress.step(len(batch))
    if refusal and not done:
        raise refusal
    linked = _with_links(Changes(), links, touched - done)
    if not at_once:
        _carry_out(store, linked, progress)
    part = replace(_part(changes, done), collections=changes.collections)
    return replace(part, relate=linked.relate, unrelate=linked.unrelate), tuple(skipped)


def roll_back(store: Store, images: Images, progress: Progress) -> tuple[Key, ...]:
    """Make the touched records what they were before. Repeating it changes nothing.

    Returns:
        The records that somebody else has changed meanwhile; they stay as they are.

    Raises:
        VerificationFailed, MemdefragError: it could not be done, or not wholly; it can be tried again.
    """
    return _lead(store, images, progress, None, forth=False)


def roll_forward(store: Store, images: Images, progress: Progress, pace: Pace | None = None) -> tuple[Key, ...]:
    """Make the touched records what they were to become. Repeating it changes nothing.

    Returns, raises: as `roll_back`.
    """
    return _lead(store, images, progress, pace, forth=True)


def _lead(store: Store, images: Images, progress: Progress, pace: Pace | None, *, forth: bool) -> tuple[Key, ...]:
    """Bring the touched records from one image to the other, from wherever between the two they are."""
    keys = list(dict.fromkeys([*images.before, *images.after]))
    present = _fetched(store, keys)
    put: list[Put] = []
    delete: list[Ref] = []
    foreign: list[Key] = []
    for key in keys:
        now, old, new = present.get(key), images.before.get(key), images.after.get(key)
        start, goal = (old, new) if forth else (new, old)
        if same(now, goal):
            continue
        if not (same(now, start) or _half_written(now, old, new)):
            if goal is None or not _reads_back(store, now, goal):
                foreign.append(key)
        elif goal is not None:
            put.append(Put(goal, record_hash(now) if now else None))
        elif now is not None:
            delete.append(Ref.of(now))
    records = Changes(put=tuple(put), delete=tuple(delete))
    links = Images(images.before, images.after, images.unrelated, images.related) if forth else images
    linked = _links_back(store, links, {*present, *(change.record.key for change in put)} - {r.key for r in delete})
    if store.capabilities.commit is Commit.TRANSACTION:
        _carry_out(store, replace(records, relate=linked.relate, unrelate=linked.unrelate), progress)
    else:
        _carry_out(store, Changes(unrelate=linked.unrelate), progress)
        named = [(change.record.key,) for change in put] + [(ref.key,) for ref in delete]
        progress.phase("Writing", len(named))
        for batch in _batches(named, _pacer(store, pace), progress):
            _carry_out(store, _part(records, {key for (key,) in batch}), progress)
            progress.step(len(batch))
        _carry_out(store, Changes(relate=linked.relate), progress)
    store.sweep(key for key in keys if key not in foreign)
    return tuple(foreign)


def _pacer(store: Store, pace: Pace | None) -> Pacer:
    return Pacer(pace, server=not store.address.is_local)


def _batches(
    units: Collection[Unit], pacer: Pacer, progress: Progress, *, trial: bool = False
) -> Iterator[list[Unit]]:
    """Lists of whole units with about as many records each as the pacer says, each when it says so.

    `trial`: the first list is a single unit.
    """
    seconds = 0.0
    for batch in _sized(units, pacer.size, trial=trial):
        progress.wait(seconds, "waiting, to keep the pace")
        pacer.begin()
        yield batch
        seconds = pacer.pause(sum(map(len, batch)))


def _sized(units: Collection[Unit], size: int, *, trial: bool = False) -> Iterator[list[Unit]]:
    batch: list[Unit] = []
    records = 0
    for unit in units:
        if batch and (trial or records + len(unit) > size):
            yield batch
            batch, records, trial = [], 0, False
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
            skipped.append(Skipped.of(unit[0], f"{stale} was changed while the others were written"))
    return fitting


def _taken(
    store: Store, changes: Changes, keys: Collection[Key], batch: list[Unit], refusal: RecordsRefused,
    skipped: list[Skipped],
) -> set[Key]:
    """Those of the keys whose units the server took; the others are noted as skipped.

    Raises:
        RecordsRefused: the others are not wholly as they were, or those are not wholly written.
    """
    left: set[Key] = set()
    for unit in batch:
        reason = next((refusal.refused[key] for key in unit if key in refusal.refused), None)
        if reason is not None:
            left.update(unit)
            skipped.append(Skipped.of(unit[0], reason))
    taken = set(keys) - left
    as_before = _still_as_planned(store, changes, [unit for unit in batch if left.issuperset(unit)], [])
    if as_before != left or not _stands(store, replace(_part(changes, taken), delete=()), refusal):
        raise refusal
    return taken


def _part(changes: Changes, keys: Collection[Key]) -> Changes:
    """The changes that concern these keys."""
    return Changes(
        tuple(put for put in changes.put if put.record.key in keys),
        tuple(ref for ref in changes.delete if ref.key in keys),
        tuple(record for record in changes.archive if record.key in keys),
        unarchive=tuple(record for record in changes.unarchive if record.key in keys),
    )


def _with_links(part: Changes, links: Links | None, left_out: Collection[Key]) -> Changes:
    """The part, and what becomes of the links where these records are left as they are."""
    settled = links.settle(left_out) if links else Settled()
    return replace(part, relate=settled.relate, unrelate=settled.unrelate)


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


def _links_back(store: Store, images: Images, there: Collection[Key]) -> Changes:
    """What makes the links what they were before: those that came go, those that went come where they have their ends.

    `there`: those of the touched records that will be there; all others are, or are not, as before.
    """
    if not (images.related or images.unrelated):
        return Changes()
    present = relations.hashes(store.relations())
    coming = [each for each in images.unrelated if relation_hash(each) not in present]
    needed = [] if store.capabilities.loose_relations else coming
    ends = {end for each in needed for end in (each.source, each.target) if isinstance(end, Key)}
    touched = {*images.before, *images.after}
    known = {*there, *_fetched(store, ends - touched)}
    return Changes(
        relate=tuple(each for each in coming if {each.source, each.target} & ends <= known),
        unrelate=tuple(each for each in images.related if relation_hash(each) in present),
    )


def _stands(store: Store, changes: Changes, failure: MemdefragError | None = None) -> bool:
    """Whether the store holds what the changes promise. A store that cannot say so after a failure does not."""
    try:
        found = _fetched(store, [*(put.record.key for put in changes.put), *(ref.key for ref in changes.delete)])
        links_stand = _links_stand(store, changes)
    except MemdefragError as error:
        raise failure or error from error
    written = all(_reads_back(store, found.get(put.record.key), put.record) for put in changes.put)
    return written and not any(ref.key in found for ref in changes.delete) and links_stand


def _links_stand(store: Store, changes: Changes) -> bool:
    if not (changes.relate or changes.unrelate):
        return True
    found = relations.hashes(store.relations())
    wanted = relations.hashes(changes.relate)
    return wanted <= found and not any(relation_hash(each) in found for each in changes.unrelate)


def _fetched(store: Store, keys: Iterable[Key]) -> Mapping[Key, MemoryRecord]:
    return {record.key: record for record in store.fetch(keys)}


def _reads_back(store: Store, found: MemoryRecord | None, record: MemoryRecord) -> bool:
    """Whether a record that was written is there; as near as the store can hold it, where another program wrote it
    more exactly than the store now takes it."""
    return same(found, record) or (found is not None and same(found, store.fit(record)[0]))


def same(one: MemoryRecord | None, other: MemoryRecord | None) -> bool:
    """Whether two records say the same, vectors included; or there is neither."""
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
