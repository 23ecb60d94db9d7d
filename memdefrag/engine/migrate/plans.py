"""The plans of a migration: what copies, and what takes the copying back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Drop, Plan, Ref, Relate, Step, Write
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot


def copying(
    target: Address,
    records: Mapping[Key, MemoryRecord],
    said: Snapshot,
    present: Snapshot,
    new: Sequence[CollectionInfo],
    stale: Sequence[Key],
    links: Sequence[Relate],
    *,
    only_filled: bool,
) -> Plan:
    """The plan that writes these records.

    Args:
        records: as the target will hold them, by their keys in the source.
        said: the same under those keys.
        present: what the target holds.
        new: collections that the target lacks.
        stale: keys in the target of what is to be removed.
        only_filled: of the new collections make only those into which something goes.
    """
    steps: list[Step] = []
    for source in said.records:
        key = records[source.key].key
        old = present.by_key.get(key)
        steps.append(Write(Ref.of(source), key, record_hash(old) if old else None, reason="migrate"))
    steps += [Drop(Ref.of(present.by_key[key]), "disappeared from the source", archive=False) for key in stale]
    filled = {record.key.collection for record in records.values()}
    return Plan(
        source=said.address,
        target=str(target.select(None)),
        settings={"reason": "migrate", "agreed_removals": len(stale)},
        collections=tuple(info for info in new if info.name in filled or not only_filled),
        steps=(*steps, *links),
    )


def emptying(target: Address, written: Mapping[Key, MemoryRecord]) -> Plan:
    """The plan that removes these records from a store that was made for them."""
    steps = tuple(Drop(Ref.of(record), "taken back", archive=False) for record in written.values())
    place = str(target.select(None))
    # Of no step, since a new store has none: what was added goes wholly, also where deleting only marks it.
    settings = {"reason": "take back", "agreed_removals": len(steps), "undoes": None}
    return Plan(source=place, target=place, settings=settings, steps=steps)
