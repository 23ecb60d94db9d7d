"""Finishes or undoes what a crash interrupted, by looking at what stands where.

Deciding is by hash, never by guess, and may itself be interrupted and repeated:

=================  ==========================================================================
journal says       done
=================  ==========================================================================
before ``swap``    the store was not touched: the copy is thrown away
``swap``           store == new: finish; store == source: throw the copy away; store missing:
                   put the new one (else the old one) in place; neither, because its owner went on
                   writing: which of the two lies in the job's folder tells; else touch nothing, raise
``swapped``        finish
=================  ==========================================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from memdefrag.base.errors import StoreDamaged, StoreInUse, UnfinishedJob
from memdefrag.base.fsops import rename
from memdefrag.engine import catalogue, history
from memdefrag.engine.commit import ABSENT, finish_rollback, state_hash
from memdefrag.engine.journal import Job, JobState
from memdefrag.model.capabilities import Commit

APPLIED, DISCARDED = "applied", "discarded"
CLOCK_TOLERANCE = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an interrupted job."""

    id: str
    store: str
    outcome: str

    def __str__(self) -> str:
        done = "finished" if self.outcome == APPLIED else "undone; the store is as it was before"
        return f"The interrupted write to {self.store} was {done}."


def owner() -> dict[str, Any]:
    """Facts that tell later whether the process that began a job still runs."""
    process = psutil.Process()
    return {"pid": process.pid, "process_created": process.create_time()}


def require_none(job: Job) -> None:
    """Insist that nobody is writing this store and that no interrupted write waits.

    Raises:
        StoreInUse: another memdefrag is at it.
        UnfinishedJob: an interrupted one waits to be recovered.
    """
    if not job.folder.exists():
        return
    facts = job.facts()
    if _runs(facts):
        raise StoreInUse(f"Another memdefrag (process {facts['pid']}) is writing {job.target}.", todo="Wait for it.")
    job_id = facts.get("id") or catalogue.new_id()
    if job_id not in catalogue.unfinished_jobs():
        # Begun with another data folder, or as another user: from now on `recover` knows of it.
        catalogue.record("job", id=job_id, path=str(job.target))
    raise UnfinishedJob(f"An earlier write to {job.target} was interrupted.")


def set_aside_unsettled(job: Job) -> Path | None:
    """Make room for a restore where a crash left a store that is neither old nor new; nothing is thrown away.

    Returns where the interrupted job's folder was moved; None when there was none, or it could be settled.
    """
    facts = job.facts()
    if not job.folder.exists() or _runs(facts):
        return None
    try:
        settle(job, facts.get("id"))
    except StoreDamaged:
        kept = job.folder.with_name(f"{job.folder.name}-kept-{catalogue.new_id()}")
        rename(job.folder, kept)
        forget(facts["id"])
        return kept
    return None


def recover_all() -> list[Outcome]:
    """Settle every interrupted job in the catalogue whose process is gone.

    Raises:
        StoreDamaged: a store is neither the old nor the new one; it was not touched, the others are settled.
    """
    found = []
    damaged: StoreDamaged | None = None
    for event in catalogue.unfinished_jobs().values():
        try:
            outcome = recover_path(Path(event["path"]), event)
        except StoreDamaged as error:
            damaged = damaged or error
            continue
        if outcome:
            found.append(outcome)
    if damaged:
        raise damaged
    return found


def recover_path(target: Path, event: dict[str, Any] | None = None) -> Outcome | None:
    """Settle the interrupted job beside `target`; None when there is none or its process still runs.

    Args:
        event: how the catalogue announced the job. A crash may have come before the journal's first line.
    """
    job = Job(target)
    facts = {**(event or {}), **job.facts()}
    if _runs(facts):
        return None
    if not job.folder.exists() or (event and facts["id"] != event["id"]):
        # Without the folder around the store its disk is not here; the job waits for it.
        if event and target.parent.exists():
            forget(event["id"])
        return None
    outcome = settle(job, facts.get("id"))
    return Outcome(facts.get("id", ""), str(target), outcome)


def settle(job: Job, job_id: str | None = None) -> str:
    """Bring a job to its end and tell which: "applied" or "discarded". Repeating it changes nothing.

    The outcome is written down before the journal that proves it disappears.

    Raises:
        StoreDamaged: the store is neither the old nor the new one; nothing was touched.
    """
    outcome = _decide(job, job.facts())
    if job_id and job_id not in catalogue.outcomes():
        if outcome == DISCARDED:
            history.discard(job_id)
        catalogue.record("outcome", id=job_id, outcome=outcome)
    job.remove()
    if job_id:
        catalogue.record("tidied", id=job_id)
    return outcome


def forget(job_id: str) -> None:
    """Close a job of which nothing is left beside the store."""
    if job_id not in catalogue.outcomes():
        history.discard(job_id)
        catalogue.record("outcome", id=job_id, outcome=DISCARDED)
    catalogue.record("tidied", id=job_id)


def _decide(job: Job, facts: dict[str, Any]) -> str:
    decided = catalogue.outcomes().get(facts.get("id", ""))
    if decided:
        return decided
    state = facts.get("state")
    if state == JobState.SWAPPED:
        return APPLIED
    if state != JobState.SWAP:
        return DISCARDED
    try:
        kind, known = Commit(facts["kind"]), {facts["new_hash"]: APPLIED, facts["source_hash"]: DISCARDED}
    except (KeyError, ValueError) as error:
        raise StoreDamaged(f"The journal in {job.folder} is not one this memdefrag wrote.") from error
    if kind is Commit.SQLITE:
        finish_rollback(job.target)
    present = state_hash(job.target, kind)
    if present == ABSENT and facts["source_hash"] != ABSENT:
        return _put_in_place(job, kind, facts)
    if present in known:
        return known[present]
    beside = {state_hash(job.new, kind), state_hash(job.old, kind)} - {ABSENT} if kind is not Commit.SQLITE else set()
    if beside == {facts["source_hash"]}:
        return APPLIED
    if beside == {facts["new_hash"]}:
        return DISCARDED
    raise StoreDamaged(
        f"{job.target} is neither the store from before the interrupted write nor the one after it.",
        safe=f"Nothing was touched; the copies are kept in {job.folder}.",
        todo=f"Restore the backup from before: memdefrag backup restore {facts.get('backup')}.",
    )


def _put_in_place(job: Job, kind: Commit, facts: dict[str, Any]) -> str:
    """The crash came between two renames: roll forward if the new copy is whole, else back."""
    choices: list[tuple[Path, str, str]] = [
        (job.new, facts["new_hash"], APPLIED),
        (job.old, facts["source_hash"], DISCARDED),
    ]
    for place, wanted, outcome in choices:
        if state_hash(place, kind) == wanted:
            rename(place, job.target)
            return outcome
    raise StoreDamaged(
        f"{job.target} is missing and neither copy of it in {job.folder} is whole.",
        todo=f"Restore the backup from before: memdefrag backup restore {facts.get('backup')}.",
    )


def _runs(facts: dict[str, Any]) -> bool:
    """Whether the process that began the job is another one, and alive."""
    pid = facts.get("pid")
    if pid is None or pid == os.getpid():
        return False
    try:
        process = psutil.Process(pid)
        # The time of a process's start moves when the clock is set; a memdefrag is taken for the one that began.
        moved = abs(process.create_time() - facts["process_created"])
        return moved < CLOCK_TOLERANCE or "memdefrag" in " ".join(process.cmdline())
    except psutil.Error:
        return False
