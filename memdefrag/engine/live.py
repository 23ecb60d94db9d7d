"""A plan's changes written into the store itself, with the images of what is touched as the way back."""

from __future__ import annotations

from dataclasses import replace

from memdefrag.base.progress import Progress
from memdefrag.engine import in_place, relations
from memdefrag.engine.resolve import Resolution
from memdefrag.engine.verify import verify_probes
from memdefrag.model.migration import Pace
from memdefrag.model.plan import expected
from memdefrag.model.records import Snapshot
from memdefrag.stores.base import Store


def write(
    store: Store, before: Snapshot, resolution: Resolution, progress: Progress, pace: Pace
) -> tuple[Snapshot, Resolution]:
    """Write the changes and read them back; the caller has saved the images.

    Returns:
        What the store holds now, and what was done: units that somebody touched meanwhile are among the skipped.

    Raises:
        VerificationFailed, MemdefragError: as `in_place.write` and `verify_probes`; the images tell how to take it
            back.
    """
    done, left_out = in_place.write(
        store, resolution.changes, resolution.units, progress, resolution.links, pace
    )
    links = relations.expected(before.relations, done)
    after = replace(before, records=tuple(expected(before, done).values()), relations=links)
    verify_probes(store, before, done, after, progress)
    written = {put.record.key for put in done.put}
    return after, replace(
        resolution,
        changes=done,
        merged=sum(len(unit) > 1 and unit[0] in written for unit in resolution.units),
        skipped=(*resolution.skipped, *left_out),
    )
