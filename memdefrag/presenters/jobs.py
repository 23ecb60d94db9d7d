"""The work behind the pages, to be run away from the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memdefrag.base.progress import Progress
from memdefrag.presenters.autosave import TOPIC, saved_count

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from memdefrag.engine.inspect import Summary
    from memdefrag.engine.recover import Outcome
    from memdefrag.engine.resolve import Embed
    from memdefrag.model.address import Address
    from memdefrag.model.plan import Plan
    from memdefrag.presenters.arrange import ReviewData


@dataclass(frozen=True, slots=True)
class Opened:
    """A store that was just looked at; `decided` counts the decisions of earlier sittings."""

    address: Address
    summary: Summary
    decided: int
    is_copy: bool


def look(text: str) -> Opened:
    """Open a store, read its summary and the decisions about it, and remember it as recent."""
    from memdefrag.base.settings import data_dir
    from memdefrag.engine import workspace
    from memdefrag.engine.inspect import inspect
    from memdefrag.stores.registry import open_store

    with open_store(text) as store:
        summary = inspect(store)
        decided = saved_count(workspace.load(store.address.path, TOPIC))
        is_copy = store.address.path.is_relative_to(data_dir())
        if not is_copy:
            workspace.add_recent(str(store.address))
        return Opened(store.address, summary, decided, is_copy)


def copy_of(address: Address, progress: Progress) -> Address:
    """A private copy of a store, in a folder of its own."""
    from memdefrag.base.settings import data_dir
    from memdefrag.engine.catalogue import new_id
    from memdefrag.engine.copies import copy_store
    from memdefrag.stores.registry import open_store

    with open_store(address) as store:
        return copy_store(store, data_dir() / "copies" / new_id(), progress)


def find(address: Address, texts_only: bool, progress: Progress) -> tuple[ReviewData, dict[str, Any]]:
    """Read and analyse a store and prepare the results; with what was decided about it before."""
    from memdefrag.analysis.detect import analyze
    from memdefrag.analysis.result import AnalysisOptions
    from memdefrag.engine import workspace
    from memdefrag.presenters.arrange import prepare
    from memdefrag.stores.base import read_snapshot
    from memdefrag.stores.registry import open_store

    with open_store(address) as store:
        snapshot = read_snapshot(store, progress)
    # A collection has its own readers: they must not lose a memory because another collection holds it too.
    options = AnalysisOptions(use_vectors=not texts_only, across_collections=False)
    analysis = analyze([snapshot], options, progress)
    fingerprint = snapshot.fingerprint.content if snapshot.fingerprint else ""
    return prepare(analysis, fingerprint, progress), workspace.load(address.path, TOPIC)


def embed_with(progress: Progress) -> Embed:
    """Makes vectors with the default model, which is loaded when the first text needs one."""

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        from memdefrag.analysis.embed import load

        return load().embed(texts, progress)

    return embed


def restore_plan(backup_id: str) -> Plan:
    """The plan that puts a whole store back."""
    from memdefrag.engine import backup as backups
    from memdefrag.model.plan import Plan, StoreStep

    backup = backups.find(backup_id)
    return Plan(
        source=f"backup:{backup.id}",
        target=backup.address,
        store_steps=(StoreStep.REPLACE,),
        settings={"reason": "restore"},
    )


def recover(progress: Progress) -> list[Outcome]:
    from memdefrag.engine.recover import recover_all

    return recover_all()
