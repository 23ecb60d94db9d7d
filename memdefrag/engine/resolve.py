"""Works a plan out against a store: which steps still fit, and exactly what to write.

Pure, but for the embedding of texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from memdefrag.analysis.merge import mean_vector
from memdefrag.base.errors import ModelUnavailable, PlanInvalid
from memdefrag.base.wording import count
from memdefrag.engine.embedding import Embed
from memdefrag.engine.relations import Links, Settled, told
from memdefrag.model import codec
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import (
    Changes,
    Drop,
    Keep,
    Merge,
    Plan,
    Put,
    Ref,
    Relate,
    Result,
    Step,
    Unrelate,
    VectorRule,
    Write,
)
from memdefrag.model.records import Key, MemoryRecord, Relation, Snapshot, State, Vector
from memdefrag.model.report import Skipped
from memdefrag.stores.base import Store


@dataclass(frozen=True)
class Resolution:
    """The changes a plan comes down to, and the steps that could not be taken.

    Attributes:
        units: the keys that each step touches, the main one first; a unit is written whole or not at all.
        links: what the plan means for the links, should some units be left out; None where they cannot be written.
        renamed: memories that go on under another key; see `Capabilities.content_ids`.
    """

    changes: Changes
    merged: int
    skipped: tuple[Skipped, ...]
    losses: dict[str, int]
    units: tuple[tuple[Key, ...], ...] = ()
    links: Links | None = None
    renamed: int = 0

    @property
    def removed(self) -> int:
        """How many memories disappear, or are marked as deleted, without another in their place."""
        return self.changes.removed - self.renamed


@dataclass
class _Work:
    """Collects changes while the steps are gone through."""

    store: Store
    target: Snapshot
    source: Snapshot
    named: frozenset[Key] = frozenset()
    put: dict[Key, Put] = field(default_factory=dict)
    delete: dict[Key, Ref] = field(default_factory=dict)
    archive: list[MemoryRecord] = field(default_factory=list)
    unarchive: list[MemoryRecord] = field(default_factory=list)
    embed: list[Key] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    units: list[tuple[Key, ...]] = field(default_factory=list)
    merges: dict[Key, Key] = field(default_factory=dict)
    relate: list[Relation] = field(default_factory=list)
    unrelate: list[Relation] = field(default_factory=list)
    merged: int = 0
    renamed: int = 0

    def stale(self, refs: Sequence[Ref]) -> str | None:
        """Why records of the target no longer are what the plan saw; None when they are."""
        for ref in refs:
            present = self.target.by_key.get(ref.key)
            if present is None:
                return f"{ref.key} is no longer there"
            if record_hash(present) != ref.hash:
                return f"{ref.key} was changed since the plan was made"
        return None


def resolve(plan: Plan, store: Store, target: Snapshot, source: Snapshot, embed: Embed | None) -> Resolution:
    """Turn steps into changes for `store`, whose present content is `target`.

    Args:
        source: where `Write` steps take their records from; `target` itself when a store is tidied in place.
        embed: makes vectors for texts; None when no model may be used.

    Raises:
        PlanInvalid: two steps name the same record.
        ModelUnavailable: a step needs a vector made and `embed` is None.
    """
    _check_disjoint(plan.steps)
    work = _Work(store, target, source, frozenset(key for step in plan.steps for key in _named(step)))
    for step in plan.steps:
        _take(step, work)
    vectors = _embedded(work, embed) if store.capabilities.vectors else {}
    if store.capabilities.soft_delete and "undoes" not in plan.settings:
        _mark_deleted(work)
    losses: Counter[str] = Counter()
    puts = []
    for key, put in work.put.items():
        record = replace(put.record, embedding=vectors[key]) if key in vectors else put.record
        fitted, lost = store.fit(record)
        losses.update(lost)
        puts.append(Put(fitted, put.before))
    links = _links(work, puts, store, back="undoes" in plan.settings or "redoes" in plan.settings)
    settled = links.settle() if links else _unwritable(work)
    losses.update(settled.losses)
    changes = Changes(
        tuple(puts),
        tuple(work.delete.values()),
        tuple(work.archive) if store.capabilities.archive else (),
        tuple(info for info in plan.collections if target.collection(info.name) is None),
        tuple(work.unarchive) if store.capabilities.archive else (),
        settled.relate,
        settled.unrelate,
    )
    skipped = (*work.skipped, *settled.skipped)
    return Resolution(changes, work.merged, skipped, dict(losses), tuple(work.units), links, work.renamed)


def _links(work: _Work, puts: Sequence[Put], store: Store, *, back: bool) -> Links | None:
    can = store.capabilities
    if not can.writes_relations:
        return None
    before = work.target.by_key
    marked = {put.record.key for put in puts if put.before and put.record.state is State.DELETED}
    return Links(
        work.target.relations,
        store.fit_relation,
        before.keys(),
        added=frozenset(put.record.key for put in puts if put.before is None),
        removed=frozenset(work.delete),
        cut=frozenset(() if can.links_of_deleted else (k for k in marked if before[k].state is not State.DELETED)),
        merges=work.merges,
        relate=tuple(work.relate),
        unrelate=tuple(work.unrelate),
        back=back,
        loose=can.loose_relations,
        parallel=can.parallel_relations,
    )


def _unwritable(work: _Work) -> Settled:
    """Links that a plan names for a store that has no place for them, or where we only read them."""
    lost = {"links between memories": len(work.relate)} if work.relate else {}
    skipped = tuple(Skipped(told(each), "links are only read here") for each in work.unrelate)
    return Settled(skipped=skipped, losses=lost)


def _take(step: Step, work: _Work) -> None:
    match step:
        case Keep():
            return
        case Relate():
            work.relate.append(step.relation)
            return
        case Unrelate():
            work.unrelate.append(step.relation)
            return
        case Merge():
            reason = work.stale([step.survivor, *step.members]) or _merge(step, work)
        case Drop():
            reason = work.stale([step.record])
            if reason is None:
                work.delete[step.record.key] = step.record
                if step.archive:
                    work.archive.append(work.target.by_key[step.record.key])
        case Write():
            reason = _write(step, work)
    named = _named(step)
    if reason is None:
        stays = work.merges.get(named[0], named[0])
        work.units.append(tuple(dict.fromkeys([stays, *named])))
    else:
        work.skipped.append(Skipped.of(named[0], reason))


def _merge(step: Merge, work: _Work) -> str | None:
    refs = (step.survivor, *step.members)
    originals = [work.target.by_key[ref.key] for ref in refs]
    survivor = _with_result(originals[0], step.result)
    key = _kept_under(survivor, originals, work)
    if isinstance(key, str):
        return key
    survivor = survivor.with_key(key)
    if step.result.vector is VectorRule.MEAN:
        info = work.target.collection(step.survivor.key.collection)
        vectors = _alike(record.embedding for record in originals)
        if vectors:
            survivor = replace(survivor, embedding=mean_vector(vectors, info.metric if info else "cosine"))
    elif step.result.vector is VectorRule.EMBED:
        work.embed.append(key)
    _replace(refs, survivor, work)
    work.archive += originals
    work.merged += 1
    return None


def _replace(refs: Sequence[Ref], record: MemoryRecord, work: _Work) -> None:
    """Let one record stand for these."""
    present = work.target.by_key.get(record.key)
    work.put[record.key] = Put(record, record_hash(present) if present else None)
    others = [ref for ref in refs if ref.key != record.key]
    work.renamed += len(others) == len(refs) > 0
    work.delete.update((ref.key, ref) for ref in others)
    work.merges.update((ref.key, record.key) for ref in others)


def content_key(store: Store, record: MemoryRecord) -> Key:
    """The key that a store with `content_ids` would give a new record of this text."""
    bare = store.fit(record)[0].with_key(Key(record.key.collection, ""))
    return store.key_for(record.key.collection, bare)


def _kept_under(record: MemoryRecord, originals: Sequence[MemoryRecord], work: _Work) -> Key | str:
    """The key for what the originals become, the first of them with a new text; or why it cannot be had.

    Where keys are made of texts, the owning program would store a text under a key that is none of it once more.
    """
    first = originals[0]
    if not work.store.capabilities.content_ids:
        return first.key
    key = content_key(work.store, record)
    if key in (first.key, content_key(work.store, first)):
        return first.key
    if any(key == each.key for each in originals):
        return key
    present = work.target.by_key.get(key)
    if key in work.put or key in work.named:
        return f"it would become {key}, which another step of the plan writes or removes"
    if present is not None and present.state is not State.DELETED:
        return f"{key} says the same already"
    return work.store.refusal(record.with_key(key)) or key


def _alike(given: Iterable[Vector | None]) -> list[Vector]:
    """The vectors that have a direction and, of those, the ones as long as the first."""
    usable = [vector for vector in given if vector is not None and np.isfinite(vector).all() and vector.any()]
    return [vector for vector in usable if len(vector) == len(usable[0])]


def _write(step: Write, work: _Work) -> str | None:
    record = work.source.by_key.get(step.record.key)
    if record is None or record_hash(record) != step.record.hash:
        return f"{step.record.key} is no longer the same in the source"
    present = work.target.by_key.get(step.key)
    if step.expects is None and present is not None:
        return f"{step.key} exists already"
    if step.expects is not None and (present is None or record_hash(present) != step.expects):
        return f"{step.key} was changed or removed since"
    record = record.with_key(step.key)
    if step.result is not None:
        record = _with_result(record, step.result)
        key = _kept_under(record, [present], work) if present else step.key
        if isinstance(key, str):
            return key
        record = record.with_key(key)
        if step.result.vector is VectorRule.EMBED:
            work.embed.append(key)
        elif step.result.vector is VectorRule.KEEP and present is not None:
            record = replace(record, embedding=present.embedding)
    record = _as_here(record, work)
    if step.archive == "take":
        work.unarchive.append(record)
    elif step.archive == "put" and present is not None:
        work.archive.append(present)
    _replace([Ref.of(present)] if present else [], record, work)
    return None


def _as_here(record: MemoryRecord, work: _Work) -> MemoryRecord:
    """A record of the source with metadata that mean in this store what they mean there."""
    there, here = work.source.capabilities, work.store.capabilities
    if there is None or work.source is work.target:
        return record
    metadata = codec.guarded(codec.meant(record.metadata, there), here)
    return record if metadata is record.metadata else replace(record, metadata=metadata)


def _with_result(record: MemoryRecord, result: Result) -> MemoryRecord:
    return replace(
        record,
        text=result.text,
        tags=result.tags,
        created=result.created,
        updated=result.updated,
        uri=result.uri,
        metadata=result.metadata,
    )


def _mark_deleted(work: _Work) -> None:
    """Where the store itself only marks what it deletes, so do we. An undo takes away what we added, though."""
    for key, ref in list(work.delete.items()):
        record = work.target.by_key[key]
        if record.state is not State.DELETED:
            del work.delete[key]
            work.put[key] = Put(replace(record, state=State.DELETED), ref.hash)


def _embedded(work: _Work, embed: Embed | None) -> dict[Key, Vector]:
    """New vectors, collection by collection: each may have a model of its own."""
    if work.embed and embed is None:
        lacking = count(len(work.embed), "merged text")
        raise ModelUnavailable(f"New vectors are needed for {lacking}, and no model may be used.")
    vectors: dict[Key, Vector] = {}
    for name in sorted({key.collection for key in work.embed}):
        keys = [key for key in work.embed if key.collection == name]
        going = {*keys, *work.delete}
        staying = [r for r in work.target if r.key.collection == name and r.key not in going]
        rows = embed([work.put[key].record.text or "" for key in keys], staying) if embed else ()
        vectors.update(zip(keys, rows, strict=True))
    return vectors


def _check_disjoint(steps: Sequence[Step]) -> None:
    counted = Counter(key for step in steps for key in _named(step))
    key, times = counted.most_common(1)[0] if counted else (None, 0)
    if times > 1:
        raise PlanInvalid(f"{times} steps of the plan name the record {key}.")


def _named(step: Step) -> list[Key]:
    """The target keys that a step decides about, the main one first."""
    match step:
        case Merge():
            return [step.survivor.key, *(ref.key for ref in step.members)]
        case Write():
            return [step.key]
        case Relate() | Unrelate():
            return []
        case _:
            return [step.record.key]
