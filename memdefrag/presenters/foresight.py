"""What a step back, forth or a restore would do, told and asked before it is done. Reads only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memdefrag.base.errors import StoreError, UsageError
from memdefrag.base.progress import Progress
from memdefrag.base.wording import count
from memdefrag.presenters.asking import Question
from memdefrag.presenters.wording import place_of, thousands, utc_moment

if TYPE_CHECKING:
    from memdefrag.model.plan import Plan
    from memdefrag.model.records import Key, Snapshot

KEPT = "The present state is backed up first"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A plan, and what the person has to be asked about it; None: nothing."""

    plan: Plan
    question: Question | None = None


def of_undo(step_id: str, progress: Progress) -> Foreseen:
    """Taking a step back."""
    from memdefrag.engine import history

    plan = history.undo_plan(history.find(step_id))
    return Foreseen(plan, _about_replacing(plan, "Undo", progress))


def of_redo(step_id: str, progress: Progress) -> Foreseen:
    """Carrying an undone step out again."""
    from memdefrag.engine import history

    plan = history.redo_plan(history.find(step_id))
    return Foreseen(plan, _about_replacing(plan, "Redo", progress))


def of_bringing_back(step_id: str, progress: Progress) -> Foreseen:
    """Writing back what a step took away because it had come since."""
    from memdefrag.engine import history
    from memdefrag.engine.restore import added_since

    step = history.find(step_id)
    return Foreseen(added_since(step, _required(step.store, progress), progress))


def of_restore(backup_id: str, progress: Progress) -> Foreseen:
    """Putting a whole store back."""
    from memdefrag.engine.backups.shelf import find
    from memdefrag.engine.restore import restore_plan

    backup = find(backup_id)
    present = present_in(backup.address, progress)
    plan = restore_plan(backup, present, progress=progress)
    if not plan.store_steps and present is None:
        raise _unreadable(backup.address)
    question = Question(
        f"Put {place_of(backup.address)} back as it was on {utc_moment(str(backup.manifest['created']))}, "
        f"with {count(backup.records, 'memory', 'memories')}? {_consequences(plan, present, progress)}",
        "Restore",
    )
    return Foreseen(plan, question)


def of_restoring_some(backup_id: str, keys: Collection[Key], progress: Progress) -> Foreseen:
    """Writing chosen memories of a backup over what the store holds now."""
    from memdefrag.engine.backups.shelf import find
    from memdefrag.engine.restore import restore_plan

    backup = find(backup_id)
    return Foreseen(restore_plan(backup, _required(backup.address, progress), keys=keys, progress=progress))


def present_in(address: str, progress: Progress) -> Snapshot | None:
    """What a store holds now, also while a program works with it; None where that cannot be read."""
    from memdefrag.engine.steady import read_steadily

    try:
        return read_steadily(address, progress)[0]
    except StoreError:
        return None


def _required(address: str, progress: Progress) -> Snapshot:
    present = present_in(address, progress)
    if present is None:
        raise _unreadable(address)
    return present


def _unreadable(address: str) -> UsageError:
    return UsageError(
        f"{address} cannot be read, so that no single memory can be written into it.",
        todo="Restore all of it from a backup.",
    )


def _about_replacing(plan: Plan, agree: str, progress: Progress) -> Question | None:
    """What to ask where whole files are put in the store's place and that takes something away."""
    from memdefrag.model.plan import StoreStep

    if StoreStep.REPLACE not in plan.store_steps:
        return None
    consequences = _consequences(plan, present_in(plan.target, progress), progress)
    return Question(f"This puts the whole store {place_of(plan.target)} back. {consequences}", agree)


def _consequences(plan: Plan, present: Snapshot | None, progress: Progress) -> str:
    """How many memories go, change and come when the backup that a plan names takes the place of what is there."""
    from memdefrag.engine.restore import foresee

    found = None if present is None else foresee(plan, present, progress)
    if found is None:
        return f"What stands there now cannot be compared with the backup. {KEPT}."
    told = [
        f"{count(found.going, 'memory', 'memories')} that came since will go" if found.going else "",
        f"{thousands(found.changing)} will say what they said then" if found.changing else "",
        f"{thousands(found.coming)} will come back" if found.coming else "",
    ]
    said = ", ".join(part for part in told if part) or "Nothing in it has changed since"
    undo = "; what goes can be brought back afterwards" if found.going else ""
    return f"{said}. {KEPT}{undo}."
