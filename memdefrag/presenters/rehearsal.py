"""A plan tried before it is carried out, and all figures that the person is shown of it. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memdefrag.base.errors import ConfirmationNeeded
from memdefrag.base.progress import Progress

if TYPE_CHECKING:
    from memdefrag.engine.in_use import Holder
    from memdefrag.engine.search_proof import ProofOptions
    from memdefrag.engine.writers import WriterOptions
    from memdefrag.model.plan import Plan
    from memdefrag.model.report import ApplyReport
    from memdefrag.presenters.proof import Wanted
    from memdefrag.stores.base import Sizes, Store


@dataclass(frozen=True, slots=True)
class WriterChoice:
    """A way to write a folder that an older chromadb made.

    Attributes:
        kind: "python", "environment", "output" or "upgrade".
        value: the interpreter, or the new folder, once it is known.
        warning: what stops working.
        asks: "python" or "folder" where the person has to name it.
    """

    kind: str
    label: str
    detail: str
    value: str = ""
    warning: str = ""
    asks: str = ""


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What a look at the store says about a plan, read in the background.

    Attributes:
        concerns: why the person has to agree first: much goes, or has gone, or more than was ticked, or searches lose.
        loses: searches lose more than is let through unless the person agrees.
        wanted: what they must still find.
        texts: what the memories say that searches lose, by their names.
        backups: how much room all backups take and where; `backup_warning` if that is too much.
        live: the store is written memory by memory, not replaced by a copy.
        thins: so much of one collection is removed that its index should be built anew.
    """

    rehearsal: ApplyReport
    sizes: Sizes
    backups: str
    backup_warning: str
    concerns: tuple[str, ...]
    loses: bool
    wanted: Wanted
    texts: dict[str, str]
    thins: bool
    live: bool
    writers: tuple[WriterChoice, ...] = ()
    remembered: str = ""


def look(plan: Plan, wanted: Wanted | None, by_words: bool, progress: Progress) -> PlanFacts:
    """Rehearse the plan and read all figures of the page. Changes nothing.

    Args:
        wanted: what searches must still find, which is remembered for the store; None: what is remembered.
        by_words: load no model for the person's questions.
    """
    from memdefrag.engine import workspace, writers
    from memdefrag.engine.guards import SHRINK_GUARD
    from memdefrag.engine.search_proof import shortfall
    from memdefrag.model.address import parse
    from memdefrag.presenters import proof
    from memdefrag.presenters.shelf import room_of_backups
    from memdefrag.stores.registry import open_store

    target = parse(plan.target)
    if wanted is None:
        wanted = proof.remembered(target)
    else:
        proof.remember(target, wanted)
    options = wanted.options(by_words=by_words)
    rehearsal, concerns = _rehearse(plan, options, progress)
    loss = shortfall(rehearsal.recall, options)
    with open_store(plan.target) as store:
        progress.phase("Looking for a fitting chromadb")
        removed = _removed(plan)
        counts = {info.name: info.count for info in store.collections()}
        remembered = str(workspace.load(store.address, writers.TOPIC).get("python", ""))
        backups, warning = room_of_backups()
        return PlanFacts(
            rehearsal=rehearsal,
            sizes=store.sizes(removed),
            backups=backups,
            backup_warning=warning,
            concerns=(*concerns, loss) if loss else concerns,
            loses=bool(loss),
            wanted=wanted,
            texts={str(record.key): record.text or "" for record in store.fetch(proof.named(rehearsal.recall))},
            live=store.capabilities.commit.is_live,
            thins=any(gone > SHRINK_GUARD * counts[name] for name, gone in removed.items()),
            writers=ways_to_write(store) if store.capabilities.written_by else (),
            remembered=remembered,
        )


def _rehearse(plan: Plan, proof: ProofOptions, progress: Progress) -> tuple[ApplyReport, tuple[str, ...]]:
    """Try the plan, and everything that the engine wants the person's agreement to."""
    from memdefrag.engine.apply import ApplyOptions, apply
    from memdefrag.engine.embedding import with_model
    from memdefrag.engine.losses import require_no_loss
    from memdefrag.stores.base import read_snapshot
    from memdefrag.stores.registry import open_store

    options = ApplyOptions(dry_run=True, embed=with_model(progress), proof=proof)
    concerns = []
    try:
        return apply(plan, options, progress), ()
    except ConfirmationNeeded as error:
        concerns.append(error.message)
    rehearsal = apply(plan, replace(options, confirm_shrink=True), progress)
    # The engine stops at the first concern; the person is to know of both before agreeing.
    with open_store(rehearsal.store) as store:
        try:
            require_no_loss(store, read_snapshot(store, progress))
        except ConfirmationNeeded as error:
            concerns.append(error.message)
    return rehearsal, tuple(dict.fromkeys(concerns))


def who_holds(address: str) -> list[Holder]:
    """The programs that have the store's files open; of a server nobody can tell, nor is it asked."""
    from memdefrag.engine.in_use import holders
    from memdefrag.model.address import parse
    from memdefrag.stores.registry import open_store

    if not parse(address).is_local:
        return []
    with open_store(address) as store:
        return holders(store.raw_files())


def writer_options(choice: WriterChoice | None) -> WriterOptions:
    """The engine's options for a choice."""
    from memdefrag.engine.writers import WriterOptions

    match choice:
        case WriterChoice(kind="python", value=value):
            return WriterOptions(python=Path(value))
        case WriterChoice(kind="environment"):
            return WriterOptions(make_environment=True)
        case WriterChoice(kind="output", value=value):
            return WriterOptions(output=Path(value))
        case WriterChoice(kind="upgrade"):
            return WriterOptions(upgrade=True)
    return WriterOptions()


def _removed(plan: Plan) -> dict[str, int]:
    from memdefrag.model.plan import Drop, Merge

    removed: dict[str, int] = {}
    for step in plan.steps:
        refs = step.members if isinstance(step, Merge) else (step.record,) if isinstance(step, Drop) else ()
        for ref in refs:
            removed[ref.key.collection] = removed.get(ref.key.collection, 0) + 1
    return removed


def ways_to_write(store: Store) -> tuple[WriterChoice, ...]:
    """The ways to write a folder that an older chromadb made; the one that was chosen the last time comes first."""
    from memdefrag.engine import workspace, writers

    remembered = str(workspace.load(store.address, writers.TOPIC).get("python", ""))
    version = store.capabilities.written_by
    found = [
        WriterChoice("python", f"Use {candidate.python}", str(candidate.where), str(candidate.python))
        for candidate in writers.candidates(store)
    ]
    if remembered and Path(remembered).exists() and all(way.value != remembered for way in found):
        found.insert(0, WriterChoice("python", f"Use {remembered}", "You chose it the last time.", remembered))
    return (
        *found,
        WriterChoice(
            "python",
            "Use another Python…" if found else "Use the Python of the service…",
            f"An interpreter with chromadb {version} or its like, such as the one that runs the service.",
            asks="python",
        ),
        WriterChoice(
            "environment",
            f"Make a private environment ({writers.megabytes(store)} MB)",
            f"Installs chromadb {version} for memdefrag alone, from the network. The folder keeps its format.",
        ),
        WriterChoice(
            "output",
            "Write a new folder…",
            "Leaves this folder as it is and writes the result elsewhere, in the newer format.",
            asks="folder",
        ),
        WriterChoice(
            "upgrade",
            "Upgrade the format",
            "Writes this folder with the built-in, newer chromadb.",
            warning="One way: the service that owns this folder cannot open it until it is upgraded to "
            "chromadb 1.5 or newer too.",
        ),
    )
