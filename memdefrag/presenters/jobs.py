"""The work behind the pages, to be run away from the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memdefrag.base.progress import Progress
from memdefrag.presenters.autosave import TOPIC, saved_count

if TYPE_CHECKING:

    from memdefrag.engine.inspect import Summary
    from memdefrag.engine.recover import Outcome
    from memdefrag.model.address import Address
    from memdefrag.presenters.arrange import ReviewData


@dataclass(frozen=True, slots=True)
class Opened:
    """A store that was just looked at; `decided` counts the decisions of earlier sittings."""

    address: Address
    summary: Summary
    decided: int
    is_copy: bool


def look(text: str, progress: Progress) -> Opened:
    """Open a store, read its summary and the decisions about it, and remember it as recent."""
    from memdefrag.base.settings import data_dir
    from memdefrag.engine import workspace
    from memdefrag.engine.inspect import inspect
    from memdefrag.engine.steady import steadily

    summary, address = steadily(text, progress, lambda store, state: (inspect(store, state), state.address))
    decided = saved_count(workspace.load(address, TOPIC))
    inside = address.is_local and address.path.is_relative_to(data_dir())
    is_copy = inside and summary.kind != "backup"
    if not inside:
        workspace.add_recent(str(address))
    return Opened(address, summary, decided, is_copy)


def copy_of(address: Address, progress: Progress) -> Address:
    """A private copy of a store, in a folder of its own."""
    from memdefrag.base.settings import data_dir
    from memdefrag.engine.catalogue import new_id
    from memdefrag.engine.copies import copy_store
    from memdefrag.stores.registry import open_store

    with open_store(address) as store:
        return copy_store(store, data_dir() / "copies" / new_id(), progress)


@dataclass(frozen=True, slots=True)
class Found:
    """An analysis ready to be shown, the decisions about it, and what the person should know of how it was made."""

    data: ReviewData
    saved: dict[str, Any]
    notes: tuple[str, ...]


def find(address: Address, no_model: bool, long_work: bool, progress: Progress) -> Found:
    """Read and analyse a store and prepare the results.

    Raises:
        ConfirmationNeeded: making vectors takes long, and `long_work` is False.
    """
    from memdefrag.analysis.options import AnalysisOptions
    from memdefrag.engine import workspace
    from memdefrag.engine.compare import ModelOptions, compare
    from memdefrag.engine.steady import read_steadily
    from memdefrag.presenters.arrange import prepare

    snapshot, state = read_steadily(address, progress)
    # A collection has its own readers: they must not lose a memory because another collection holds it too.
    options = AnalysisOptions(across_collections=False)
    model = ModelOptions(use=not no_model, long_work=long_work)
    analysis, notes = compare([snapshot], options, model, progress)
    if state.was_copied:
        notes = (*notes, f"A private copy of the store was read: {state}.")
    if analysis.nearest is not None:
        many = f"Very many memories are alike: of each one only the {analysis.nearest} nearest were compared."
        notes = (*notes, many)
    fingerprint = snapshot.fingerprint.content if snapshot.fingerprint else ""
    return Found(prepare(analysis, fingerprint, progress), workspace.load(address, TOPIC), notes)


def recover(progress: Progress) -> list[Outcome]:
    from memdefrag.engine.recover import recover_all

    return recover_all()
