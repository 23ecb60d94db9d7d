"""Private copies of stores, to try the whole job on before the real store is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from memdefrag.base.errors import StoreChanged, UsageError
from memdefrag.base.fsops import copy_file, fsync_tree, make_private_dir
from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.plan import Plan
from memdefrag.stores.base import Store


def copy_store(store: Store, folder: Path, progress: Progress) -> Address:
    """Copy a store's raw files into a new folder below `folder` and return the copy's address.

    Raises:
        UsageError: the copy's place is taken.
        StoreChanged: somebody wrote to the store meanwhile.
    """
    root = store.address.path
    target = make_private_dir(folder.expanduser().resolve()) / root.name
    if target.exists():
        raise UsageError(f"{target} exists already.", todo="Name another folder for the copy.")
    stamps = store.file_stamps()
    files = store.raw_files()
    progress.phase("Copying", sum(path.stat().st_size for path in files))
    for path in files:
        copy_file(path, target / path.relative_to(root) if root.is_dir() else target)
        progress.step(path.stat().st_size)
    fsync_tree(target if target.is_dir() else target.parent)
    if store.file_stamps() != stamps:
        raise StoreChanged("Somebody wrote to the store while it was copied.", todo="Try again.")
    return store.address.at(target)


def for_store(plan: Plan, address: Address) -> Plan:
    """The same plan, meant for another copy of the same store."""
    return replace(plan, source=str(address), target=str(address))
