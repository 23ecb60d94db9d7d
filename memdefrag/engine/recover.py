"""Finishes or undoes what a crash interrupted, by looking at what stands where.

Deciding is by hash, never by guess, and may itself be interrupted and repeated:

=================  ==========================================================================
journal says       done
=================  ==========================================================================
before ``swap``    the store was not touched: the copy is thrown away
``swap``           store == new: finish; store == source: throw the copy away; store missing:
                   put the new one (else the old one) in place; neither, because its owner went on
                   writing: which of the two lies in the job's folder tells, or in a database the
                   records that were to be changed; neither, because a program made an empty store
                   between two renames: set that aside, put the new one in place; else touch
                   nothing, raise
``swap``, live     the store was written record by record: what was written is taken back
``swapped``        finish
``swap``, staged   a collection of a server gives its name to the new one (`recollect.settle`)
=================  ==========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from memdefrag.base.errors import BackupDamaged, MemdefragError, StoreDamaged, StoreInUse, UnfinishedJob, WriteError
from memdefrag.base.fsops import rename
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.base.wording import count
from memdefrag.engine import catalogue, history, images, in_place, owner, sign
from memdefrag.engine.commit import ABSENT, finish_rollback, state_hash
from memdefrag.engine.journal import Facts, Job, JobState, can_go_on, ways_on
from memdefrag.model.address import Address, parse
from memdefrag.model.capabilities import Commit
from memdefrag.model.hashing import record_hash
from memdefrag.model.records import Key
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store, resolve

STAGED_COLLECTION = "staged-collection"
APPLIED, DISCARDED, WAITING = "applied", "discarded", "waiting"


class Settled(NamedTuple):
    """How a job ended: "applied" or "discarded", and what else there is to say."""

    outcome: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an interrupted job. One that can be gone on with may be left waiting."""

    id: str
    store: str
    outcome: str
    note: str = ""

    def __str__(self) -> str:
        if self.outcome == WAITING:
            return f"The migration into {self.store} was interrupted. {self.note}"
        done = "finished" if self.outcome == APPLIED else "undone; the store is as it was before"
        return f"The interrupted write to {self.store} was {done}. {self.note}".rstrip()


def require_none(job: Job) -> None:
    """Insist that nobody is writing this store and that no interrupted write waits.

    Raises:
        StoreInUse: another memdefrag is at it.
        UnfinishedJob: an interrupted one waits to be recovered.
    """
    if job.folder.exists():
        with owner.settling(job.folder):
            _require_none(job)


def begin(job: Job, **facts: Any) -> None:
    """Begin a job where there is none. Whoever looks at the same time sees none, or all that tells whose it is.

    Raises:
        StoreInUse, UnfinishedJob: as `require_none`; of another data folder, too, where the store's own can tell
            (`sign`).
    """
    with owner.settling(job.folder):
        _require_none(job)
        job.begin(**facts)
        try:
            sign.put(facts)
        except WriteError:
            job.remove()
            raise


def _require_none(job: Job) -> None:
    if not job.folder.exists():
        return
    facts = job.facts()
    if owner.works(facts):
        raise StoreInUse(f"Another memdefrag (process {facts['pid']}) is writing {_place(job)}.", todo="Wait for it.")
    job_id = facts.get("id") or catalogue.new_id()
    if job_id not in catalogue.unfinished_jobs():
        # Begun with another data folder, or as another user: from now on `recover` knows of it.
        catalogue.record("job", id=job_id, path=str(job.target))
    raise UnfinishedJob(
        f"An earlier write to {_place(job)} was interrupted.",
        safe="Nothing was done now.",
        todo=ways_on(facts) if can_go_on(facts) else None,
    )


def set_aside_unsettled(job: Job) -> Path | None:
    """Make room for a restore where a crash left a store that is neither old nor new; nothing is thrown away.

    Returns where the interrupted job's folder was moved; None when there was none, or it could be settled.
    """
    if not job.folder.exists():
        return None
    with owner.settling(job.folder):
        facts = job.facts()
        if not job.folder.exists() or owner.works(facts):
            return None
        try:
            settle(job, facts.get("id"))
        except StoreDamaged:
            kept = job.folder.with_name(f"{job.folder.name}-kept-{catalogue.new_id()}")
            rename(job.folder, kept)
            forget(facts["id"])
            return kept
    return None


def recover_all(*, asked: bool = False) -> list[Outcome]:
    """Settle every interrupted job in the catalogue whose process is gone.

    Args:
        asked: the person wants all of them settled; else a migration that can be gone on with is only told of.

    Raises:
        StoreDamaged: a store is neither the old nor the new one; it was not touched, the others are settled.
        MemdefragError: a store that is written live cannot be reached; it is tried again the next time.
    """
    found = []
    unsettled: MemdefragError | None = None
    for event in catalogue.unfinished_jobs().values():
        try:
            outcome = recover_path(Path(event["path"]), event, asked=asked)
        except MemdefragError as error:
            unsettled = unsettled or error
            continue
        if outcome:
            found.append(outcome)
    if unsettled:
        raise unsettled
    return found


def recover_path(target: Path, event: Facts | None = None, *, asked: bool = True) -> Outcome | None:
    """Settle the interrupted job beside `target`; None when there is none or its process still runs.

    Args:
        event: how the catalogue announced the job. A crash may have come before the journal's first line.
        asked: as in `recover_all`.

    Raises:
        StoreInUse: another memdefrag is settling it, and takes long.
    """
    job = Job(target)
    with owner.settling(job.folder):
        return _recovered(job, event, asked)


def _recovered(job: Job, event: Facts | None, asked: bool) -> Outcome | None:
    facts = {**(event or {}), **job.facts()}
    if owner.works(facts):
        return None
    if not job.folder.exists() or (event and facts["id"] != event["id"]):
        # Without the folder around the store its disk is not here; the job waits for it.
        if event and job.target.parent.exists():
            forget(event["id"])
        return None
    place = _place(job)
    if can_go_on(facts) and not asked:
        return Outcome(facts["id"], place, WAITING, ways_on(facts))
    settled = settle(job, facts.get("id"))
    return Outcome(facts.get("id", ""), place, *settled)


def settle(job: Job, job_id: str | None = None) -> Settled:
    """Bring a job to its end. Repeating it changes nothing.

    The outcome is written down before the journal that proves it disappears.

    Raises:
        StoreDamaged: the store is neither the old nor the new one; nothing was touched.
        MemdefragError: what was written into a live store cannot be taken back yet.
    """
    facts = job.facts()
    if job_id and facts.get("id", job_id) != job_id:
        # Somebody else's, who was quicker.
        forget(job_id)
        return Settled(DISCARDED)
    settled = _decide(job, facts)
    if job_id and job_id not in catalogue.outcomes():
        if settled.outcome == DISCARDED:
            history.discard(job_id)
        catalogue.record("outcome", id=job_id, outcome=settled.outcome)
    sign.take_away(facts)
    job.remove()
    if job_id:
        catalogue.record("tidied", id=job_id)
    return settled


def forget(job_id: str) -> None:
    """Close a job of which nothing is left beside the store."""
    if job_id not in catalogue.outcomes():
        history.discard(job_id)
        catalogue.record("outcome", id=job_id, outcome=DISCARDED)
    catalogue.record("tidied", id=job_id)


def _decide(job: Job, facts: Facts) -> Settled:
    decided = catalogue.outcomes().get(facts.get("id", ""))
    if decided:
        return Settled(decided)
    if facts.get("kind") == STAGED_COLLECTION:
        from memdefrag.engine import recollect

        return Settled(*recollect.settle(job, facts))
    state = facts.get("state")
    if state == JobState.SWAPPED:
        if facts.get("kind") == Commit.SQLITE:
            # The disk may have failed when the journal of the finished transaction was to go.
            finish_rollback(job.target)
        return Settled(APPLIED)
    if state != JobState.SWAP:
        return Settled(DISCARDED)
    try:
        kind = Commit(facts["kind"])
        if kind.is_live and job.target.parent.resolve() == (data_dir() / "jobs").resolve():
            return _take_back(job, facts)
        if kind.is_live:
            # A journal that came with somebody's files must not make us write into another store.
            raise ValueError("a live job outside of the data folder")
        return _look(job, kind, source=facts["source_hash"], new=facts["new_hash"], backup=facts.get("backup"))
    except (KeyError, ValueError) as error:
        raise StoreDamaged(f"The journal in {job.folder} is not one this memdefrag wrote.") from error


def _look(job: Job, kind: Commit, *, source: str, new: str, backup: str | None) -> Settled:
    """Decide by what stands where a copy and the store were to trade places."""
    restore = f"Restore the backup from before: memdefrag backup restore {backup}."
    if kind is Commit.SQLITE:
        finish_rollback(job.target)
    present, staged, old = (state_hash(place, kind) for place in (job.target, job.new, job.old))
    if present == ABSENT and source != ABSENT:
        # The crash came between two renames: forward if the new copy is whole, else back; back, too, if somebody
        # wrote to the store in the moment before it was taken away.
        for place, found, wanted, outcome in (
            (job.old, old, old if old not in (ABSENT, source) else "", DISCARDED),
            (job.new, staged, new, APPLIED),
            (job.old, old, source, DISCARDED),
            (job.new, staged, source, DISCARDED),
        ):
            if found == wanted:
                rename(place, job.target)
                return Settled(outcome)
        raise StoreDamaged(f"{job.target} is missing and no copy in {job.folder} is whole.", todo=restore)
    if present in (new, source):
        return Settled(APPLIED if present == new else DISCARDED)
    told = _told_by_records(job, backup) if kind is Commit.SQLITE and staged == new else None
    if told:
        return Settled(told)
    beside = {staged, old} - {ABSENT} if kind is not Commit.SQLITE else set()
    if beside == {source}:
        return Settled(APPLIED)
    if beside == {new}:
        return Settled(DISCARDED)
    if (staged, old) == (new, source) and _holds_nothing_of(job):
        aside = job.folder.with_name(f"{job.target.name}.memdefrag-aside-{catalogue.new_id()}")
        rename(job.target, aside)
        rename(job.new, job.target)
        return Settled(APPLIED, f"A program had made a new store in its place meanwhile; it is kept in {aside}.")
    raise StoreDamaged(
        f"{job.target} is neither the store from before the interrupted write nor the one after it.",
        safe=f"Nothing was touched; the copies are kept in {job.folder}.",
        todo=restore,
    )


def _holds_nothing_of(job: Job) -> bool:
    """Whether the store that stands there shares no memory with the one that was to be exchanged."""
    try:
        with open_store(resolve(str(job.target))) as intruder, open_store(resolve(str(job.old))) as before:
            theirs = read_snapshot(intruder).by_key.keys()
            return theirs.isdisjoint(read_snapshot(before).by_key.keys())
    except MemdefragError:
        return False


def _told_by_records(job: Job, backup: str | None) -> str | None:
    """What became of the write to a database that was written to since, by the records that it was to change: its
    transaction made all of them new, or none. None where that does not tell."""
    try:
        present, new = (_hashes(resolve(str(place))) for place in (job.target, job.new))
        old = _hashes(Address("backup", str(backup)))
    except MemdefragError:
        return None
    changed = [key for key in old.keys() | new.keys() if old.get(key) != new.get(key)]
    is_new, is_old = (any(present.get(key) == side.get(key) for key in changed) for side in (new, old))
    if is_new is is_old:
        return None
    return APPLIED if is_new else DISCARDED


def _hashes(address: Address) -> dict[Key, str]:
    with open_store(address) as store:
        return {record.key: record_hash(record) for record in read_snapshot(store)}


def _take_back(job: Job, facts: Facts) -> Settled:
    """Make the records of a live store what they were before the interrupted write."""
    try:
        before_and_after = images.load(job.folder)
    except BackupDamaged as error:
        raise StoreDamaged(
            f"{facts['store']} may hold half of an interrupted write, and the notes to take it back are damaged.",
            safe="Nothing more was touched.",
            todo=f"Restore the backup from before: memdefrag backup restore {facts.get('backup')}.",
        ) from error
    with open_store(parse(facts["store"]), must_exist=False) as store:
        left = in_place.roll_back(store, before_and_after, Progress())
    if not left:
        return Settled(DISCARDED)
    changed = count(len(left), "memory was", "memories were")
    return Settled(DISCARDED, f"{changed} changed by another program meanwhile and left alone, the first is {left[0]}.")


def _place(job: Job) -> str:
    """The store of a job, in words."""
    facts = job.facts()
    return str(facts["store"]) if "store" in facts else str(job.target)
