"""The work behind the pages, to be run away from the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memdefrag.base.progress import Progress
from memdefrag.presenters.autosave import TOPIC, saved_count

if TYPE_CHECKING:

    from memdefrag.analysis.calibrate import Calibration
    from memdefrag.engine.inspect import Summary
    from memdefrag.engine.recover import Outcome
    from memdefrag.model.address import Address
    from memdefrag.model.records import Snapshot
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
    from memdefrag.engine import apart
    from memdefrag.engine.calibration import threshold_of
    from memdefrag.engine.compare import ModelOptions, compare
    from memdefrag.engine.steady import read_steadily
    from memdefrag.presenters.arrange import prepare

    snapshot, state = read_steadily(address, progress)
    saved = _decided(address, snapshot)
    # A collection has its own readers: they must not lose a memory because another collection holds it too.
    options = AnalysisOptions(threshold=threshold_of(address), across_collections=False, apart=apart.load())
    model = ModelOptions(use=not no_model, long_work=long_work)
    analysis, notes = compare([snapshot], options, model, progress)
    if state.was_copied:
        notes = (*notes, f"A private copy of the store was read: {state}.")
    fingerprint = snapshot.fingerprint.content if snapshot.fingerprint else ""
    return Found(prepare(analysis, fingerprint, progress), saved, notes)


def _decided(address: Address, snapshot: Snapshot) -> dict[str, Any]:
    """The decisions about a store. What it once told apart for itself moves to the list for all stores."""
    from memdefrag.engine import apart, workspace
    from memdefrag.presenters.decisions import move_apart

    saved = workspace.load(address, TOPIC)
    pairs, left = move_apart(saved, snapshot.records)
    if pairs:
        apart.add(pairs, str(address))
        workspace.save(address, TOPIC, left)
    return left


def remember_line(address: Address, fitted: Calibration) -> None:
    """Keep the person's line for the next time the store is analysed."""
    from memdefrag.engine import calibration

    calibration.remember(address, fitted)


def recover(progress: Progress) -> list[Outcome]:
    from memdefrag.engine.recover import recover_all

    return recover_all()
