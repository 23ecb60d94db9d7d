"""Whether a store lost memories since its last backup that nothing we know of took away."""

from __future__ import annotations

from memdefrag.analysis.merge import MERGED_FROM
from memdefrag.base.errors import MemdefragError
from memdefrag.engine import guards, history, images
from memdefrag.engine.backups.shelf import Backup, all_backups
from memdefrag.model.address import Address
from memdefrag.model.codec import unfit
from memdefrag.model.records import Key, Snapshot
from memdefrag.stores.base import Store
from memdefrag.stores.registry import open_store


def require_no_loss(store: Store, present: Snapshot) -> None:
    """Stop before a store that something else has emptied is tidied, backed up and taken for what it should be.

    Raises:
        ConfirmationNeeded: as `guards.require_no_loss`.
    """
    newest = next((backup for backup in all_backups(store.address) if backup.manifest["selected"] is None), None)
    if newest is None or len(present.records) >= (1 - guards.SHRINK_GUARD) * newest.records:
        return
    held = _keys(newest)
    lost = held - present.by_key.keys() - _merged_away(present) - _removed_since(store.address, newest, held)
    archived = store.archived()
    guards.require_no_loss({key for key in lost if key.id not in archived}, newest.records, newest.id)


def _keys(backup: Backup) -> set[Key]:
    """What the backup holds; nothing where it cannot be looked into, so that it stops nobody."""
    try:
        with open_store(Address("backup", str(backup.folder))) as store:
            return {
                record.key
                for info in store.collections()
                for batch in store.scan(info.name, vectors=False)
                for record in batch
            }
    except MemdefragError:
        return set()


def _merged_away(present: Snapshot) -> set[Key]:
    """What the survivors of merges say they hold."""
    named = set()
    for record in present.records:
        if MERGED_FROM in record.metadata:
            for name in unfit(record.metadata).get(MERGED_FROM, ()):
                named |= {Key(record.key.collection, str(name)), Key(*str(name).partition("/")[::2])}
    return named


def _removed_since(address: Address, backup: Backup, held: set[Key]) -> set[Key]:
    """What our own steps removed since the backup was made, which `held` these."""
    removed: set[Key] = set()
    for step in history.steps(address):
        if step.time < backup.manifest["created"]:
            break
        try:
            before, after, *_ = images.load(step.folder)
            removed |= before.keys() - after.keys()
            if step.whole_store:
                removed |= held - history.present(step).keys()
        except MemdefragError:
            continue
    return removed
