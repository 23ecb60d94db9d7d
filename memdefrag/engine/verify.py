"""Proof that a staged copy holds exactly what the plan promises."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from memdefrag.base.errors import VerificationFailed
from memdefrag.base.progress import Progress
from memdefrag.engine import relations
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, expected, touched
from memdefrag.model.records import Key, MemoryRecord, Snapshot, Vector
from memdefrag.stores.base import Store, StoreSettings
from memdefrag.stores.registry import open_store

COSINE_TOLERANCE = 1e-6
NORM_TOLERANCE = 1e-5
PROBES = 50


def verify_content(before: Snapshot, changes: Changes, after: Snapshot, *, empty_collections: bool = True) -> None:
    """Compare every record and every link of the staged copy with what it must be.

    Text, metadata and all other content exactly; vectors within a cosine of 1e-6 and a norm of 1e-5, since
    cosine stores do not give back the stored bits.

    Args:
        empty_collections: see `Capabilities`.

    Raises:
        VerificationFailed: naming the first record that is missing, left over or different.
    """
    promised = expected(before, changes)
    present = after.by_key
    if len(present) != len(after.records):
        raise VerificationFailed("The written copy holds a record twice.")
    _complain("are missing from", promised.keys() - present.keys())
    _complain("should be gone from", present.keys() - promised.keys())
    changed = set(touched(changes))
    for key, record in promised.items():
        found = present[key]
        if record_hash(found) != record_hash(record):
            raise VerificationFailed(f"{_which(key, changed)} reads back differently in {_differs(record, found)}.")
        if not same_vector(record.embedding, found.embedding):
            raise VerificationFailed(f"The vector of {_which(key, changed)} reads back differently.")
    _verify_links(before, changes, after)
    _verify_collections(before, changes, after, None if empty_collections else {key.collection for key in promised})


def verify_probes(
    store: Store, before: Snapshot, changes: Changes, after: Snapshot, progress: Progress, probes: int = PROBES
) -> None:
    """Ask the store's own search for written and untouched records; each must find itself, if it did before.

    Args:
        probes: how many of the written ones are asked for, and how many of all.

    Raises:
        VerificationFailed: less than 99 % do.
    """
    with_vector = [record for record in after.records if record.embedding is not None and np.any(record.embedding)]
    written = {put.record.key for put in changes.put}
    chosen = [record for record in with_vector if record.key in written][:probes]
    step = max(1, len(with_vector) // probes)
    chosen += with_vector[::step][:probes]
    if not chosen:
        return
    lost = store.lost_in_search(chosen, progress)
    if len(lost) > len(chosen) // 100:
        # An index that always missed a record has lost nothing by missing it again.
        lost = sorted(set(lost) - _never_found(before, lost, store.settings, progress))
    if len(lost) > len(chosen) // 100:
        raise VerificationFailed(f"{len(lost)} of {len(chosen)} records are not found by the store's own search.")


def _never_found(before: Snapshot, keys: Iterable[Key], settings: StoreSettings, progress: Progress) -> set[Key]:
    """Those that the search of the store as it was missed, too; what was not there is not among them."""
    asked = [record for key in keys if (record := before.by_key.get(key)) and record.embedding is not None]
    if not asked:
        return set()
    with open_store(before.address, settings) as original:
        return set(original.lost_in_search(asked, progress))


def same_vector(one: Vector | None, other: Vector | None) -> bool:
    """Equal within the tolerances; non-finite vectors must be equal bit for bit."""
    if one is None or other is None:
        return one is other
    if one.shape != other.shape:
        return False
    if np.array_equal(one, other, equal_nan=True):
        return True
    a, b = one.astype(np.float64), other.astype(np.float64)
    norm_a, norm_b = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not np.isfinite(norm_a + norm_b) or norm_a == 0 or norm_b == 0:
        return False
    cosine = float(a @ b) / (norm_a * norm_b)
    return cosine >= 1 - COSINE_TOLERANCE and abs(norm_a - norm_b) <= NORM_TOLERANCE * norm_a


def _verify_collections(before: Snapshot, changes: Changes, after: Snapshot, held: set[str] | None) -> None:
    """`held`: the collections that have a record, where only those are there."""
    for info in (*before.collections, *changes.collections):
        found = after.collection(info.name)
        if found is None and held is not None and info.name not in held:
            continue
        if found is None:
            raise VerificationFailed(f"The collection {info.name} is missing from the written copy.")
        if found.metric != info.metric:
            raise VerificationFailed(f"The collection {info.name} changed its metric to {found.metric}.")
        kept = {"id", "metadata"} & info.settings.keys() if info in before.collections else set()
        if any(found.settings.get(name) != info.settings[name] for name in kept):
            raise VerificationFailed(f"The settings of the collection {info.name} were not kept.")


def _verify_links(before: Snapshot, changes: Changes, after: Snapshot) -> None:
    promised = relations.hashes(relations.expected(before.relations, changes))
    found = relations.hashes(after.relations)
    if promised != found:
        missing, more = (promised - found).total(), (found - promised).total()
        raise VerificationFailed(f"{missing} links are missing from the written copy, and {more} should not be there.")


def _complain(how: str, keys: set[Key]) -> None:
    if keys:
        raise VerificationFailed(f"{len(keys)} records {how} the written copy, the first is {min(keys)}.")


def _which(key: Key, changed: set[Key]) -> str:
    return f"The {'written' if key in changed else 'untouched'} record {key}"


def _differs(one: MemoryRecord, other: MemoryRecord) -> str:
    names = ("text", "uri", "metadata", "tags", "created", "updated", "owner", "state", "extras")
    return ", ".join(name for name in names if getattr(one, name) != getattr(other, name)) or "the type of a value"
