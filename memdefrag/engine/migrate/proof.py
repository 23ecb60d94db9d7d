"""Does the target hold what was to be copied? Asked of a store that is opened anew, after everything is done."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from memdefrag.base.progress import Progress
from memdefrag.engine.migrate.links import missing
from memdefrag.engine.verify import PROBES, same_vector
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash
from memdefrag.model.migration import Checked, Depth
from memdefrag.model.plan import Relate
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import Store
from memdefrag.stores.registry import open_store

SAMPLE = 200
TOLD = 20


def checked(
    written: Iterable[MemoryRecord],
    relations: Sequence[Relate],
    removed: Collection[Key],
    target: Address,
    depth: Depth,
    progress: Progress,
    *,
    searches: bool,
) -> Checked:
    """Look at the target with fresh eyes: all that was written was read back on the way; is it there now, too?

    Ids, texts, metadata and all else must be equal, vectors within `engine.verify`'s tolerance; links must be there,
    and the store's own search must find what was written.

    Args:
        written: the records under their keys in the target.
        removed: keys that must be gone.
        depth: whether all are looked at, or a sample of `SAMPLE`.
        searches: whether the target's own search is asked; where it was while a copy was staged, that is enough.
    """
    everything = {record.key: record for record in written}
    wanted = everything
    if depth is Depth.SAMPLE and len(wanted) > SAMPLE:
        wanted = {key: wanted[key] for key in random.Random(0).sample(sorted(wanted), SAMPLE)}
    progress.phase("Comparing with the source", len(wanted))
    missed = set(wanted)
    differences: list[str] = []
    with open_store(target) as store, store.frozen():
        for batch in _read(store, wanted, depth):
            for record in batch:
                missed.discard(record.key)
                differences += _differences(record, wanted[record.key])
            progress.step(len(batch))
        differences += [f"{key} is missing." for key in sorted(missed)]
        differences += [f"{record.key} should be gone." for record in store.fetch(removed)]
        lost = missing(relations, list(store.relations())) if relations else 0
        pointing = [record for record in wanted.values() if record.embedding is not None and record.embedding.any()]
        probed = pointing[:: max(1, len(pointing) // PROBES)][:PROBES] if searches else []
        unfound = store.lost_in_search(probed, progress) if probed else []
    if lost:
        differences.append(f"{lost} links are missing.")
    if len(unfound) > len(probed) // 100:
        differences.append(f"{len(unfound)} of {len(probed)} memories are not found by the target's own search.")
    vectors = sum(record.embedding is not None for record in everything.values())
    return Checked(len(everything), vectors, len(relations), len(probed), len(wanted), tuple(differences[:TOLD]))


def _read(store: Store, wanted: Mapping[Key, MemoryRecord], depth: Depth) -> Iterator[list[MemoryRecord]]:
    """The wanted records as the store holds them."""
    if depth is Depth.SAMPLE:
        yield store.fetch(wanted)
        return
    for collection in sorted({key.collection for key in wanted} & {info.name for info in store.collections()}):
        for batch in store.scan(collection):
            yield [record for record in batch if record.key in wanted]


def _differences(found: MemoryRecord, wanted: MemoryRecord) -> list[str]:
    if record_hash(found) != record_hash(wanted):
        return [f"{found.key} reads back differently."]
    same = same_vector(found.embedding, wanted.embedding)
    return [] if same else [f"The vector of {found.key} reads back differently."]
