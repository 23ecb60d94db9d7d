"""The work behind the pages, to be run away from the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memdefrag.base.progress import Progress
from memdefrag.presenters.autosave import TOPIC, saved_count
from memdefrag.presenters.looking import WITH_VECTORS, Looking

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


def find(address: Address, looking: Looking, progress: Progress) -> Found:
    """Read and analyse a store, alone or against another one, and prepare the results.

    Raises:
        UsageError: the other store is this one, or a date is none.
        ConfirmationNeeded: making vectors takes long, and the person did not agree to that.
    """
    from memdefrag.analysis.options import AnalysisOptions, Method
    from memdefrag.engine import apart
    from memdefrag.engine.calibration import threshold_of
    from memdefrag.engine.compare import ModelOptions, compare
    from memdefrag.engine.steady import read_steadily
    from memdefrag.presenters.arrange import prepare

    against = looking.against.strip()
    read = [read_steadily(each, progress) for each in (address, against) if each]
    snapshots = [snapshot for snapshot, _ in read]
    _require_two_stores(snapshots)
    # What was decided is about this store alone; beside another one nothing is decided.
    saved = {} if against else _decided(address, snapshots[0])
    options = AnalysisOptions(
        threshold=threshold_of(address),
        use_vectors=looking.method in WITH_VECTORS,
        # A collection has its own readers: they must not lose a memory because another collection holds it too.
        across_collections=looking.across or bool(against),
        method=Method(looking.method),
        scope=looking.scope(),
        apart=apart.load(),
        against=1 if against else None,
    )
    model = ModelOptions(not looking.no_model, looking.model or None, looking.long_work, looking.threads or None)
    analysis, notes = compare(snapshots, options, model, progress)
    if looking.is_narrow:
        notes = (*notes, f"{len(analysis.records):,} of {sum(map(len, snapshots)):,} memories are looked at.")
    notes = (*notes, *(f"A private copy of the store was read: {state}." for _, state in read if state.was_copied))
    fingerprint = snapshots[0].fingerprint
    return Found(prepare(analysis, fingerprint.content if fingerprint else "", progress), saved, notes)


def _require_two_stores(snapshots: Sequence[Snapshot]) -> None:
    from memdefrag.base.errors import UsageError
    from memdefrag.model.address import parse

    if len({parse(snapshot.address).whole() for snapshot in snapshots}) < len(snapshots):
        raise UsageError("The store to compare with is this store itself.", todo="Choose another one, or none.")


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
