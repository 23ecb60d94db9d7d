"""Goes on with an interrupted migration, where nothing that was written already is written again.

A store that is written live is brought to what the after-images say: the mirror image of taking it back, with the
same guards. Of a folder that trades places with a finished copy, the copy is taken over as far as it had come
(`staging`). Everything else begins again, which costs little. Jobs that are no migrations are settled by `recover`
as ever.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from memdefrag.base.errors import BackupDamaged, Cancelled, ServerUnreachable, StoreDamaged, StoreInUse
from memdefrag.base.fsops import bytes_of, write_durable
from memdefrag.base.progress import Progress, shows_waits
from memdefrag.engine import catalogue, history, images, in_place, owner, recover
from memdefrag.engine.advice import next_steps
from memdefrag.engine.backups.shelf import all_backups, find
from memdefrag.engine.commit import state_hash
from memdefrag.engine.images import Images
from memdefrag.engine.journal import Facts, Job, JobState, can_go_on, ways_on
from memdefrag.engine.verify import verify_probes
from memdefrag.model.address import Address, parse
from memdefrag.model.capabilities import Commit
from memdefrag.model.hashing import record_hash
from memdefrag.model.migration import Pace
from memdefrag.model.plan import Changes, Merge, Plan, Put, Ref, dump, load
from memdefrag.model.records import Key, Snapshot
from memdefrag.model.report import ApplyReport, Skipped
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store

MIGRATION = "migrate"
"""The reason of the plans that can be gone on with."""

PLAN = "plan.json"
KEPT = "What was written until then stays; nothing of it will be written twice."
CHANGED = "it was changed by another program meanwhile and left alone"


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A migration that was interrupted and can be gone on with.

    Attributes:
        source, target: the addresses of its plan.
        ways: what the person can do, in words.
    """

    id: str
    source: str
    target: str
    ways: str


def facts(plan: Plan) -> Facts:
    """What the journal notes of a plan, so that it can be gone on with."""
    whole = not any(isinstance(step, Merge) for step in plan.steps)
    reason = str(plan.settings.get("reason", ""))
    return {
        "reason": reason, "source": plan.source, "target": plan.target, "resumable": reason == MIGRATION and whole,
    }  # fmt: skip


def save_plan(job: Job, plan: Plan) -> None:
    """Keep a plan that can be gone on with in its job's folder; its step in the history will tell it."""
    if facts(plan)["resumable"]:
        write_durable(job.folder / PLAN, dump(plan))


def pending(store: Address) -> Interrupted | None:
    """The interrupted migration into a store; None when there is none that can be gone on with, or it still runs."""
    for job in (Job.of_live(store.whole()), Job(store.path)):
        noted = job.facts()
        if _is_left(job, noted) and not owner.works(noted):
            return Interrupted(noted["id"], noted["source"], noted["target"], ways_on(noted))
    return None


def go_on(store: Address, progress: Progress | None = None, pace: Pace | None = None) -> ApplyReport | None:
    """Finish the interrupted migration into a store that is written live, as it was planned then.

    Returns:
        What it did in all, before and after the interruption. None when there is none, or the store is not written
        live: then `apply` with `resume` takes the copy over.

    Raises:
        StoreInUse: it is still running.
        VerificationFailed, ServerUnreachable, …: it could not be finished; it can be tried again, or taken back.
        StoreDamaged: what it had saved of itself is damaged; `recover` says more.
    """
    job = Job.of_live(store.whole())
    if not job.folder.exists():
        return None
    with owner.settling(job.folder):
        noted = job.facts()
        if owner.works(noted):
            raise StoreInUse(f"The migration into {store.location} is still running (process {noted['pid']}).")
        if not _is_left(job, noted):
            return None
        # From here on it is told to be at work, and nobody has to wait for that.
        own = owner.Owner(noted["id"])
        job.note(JobState.SWAP, **own.facts)
    progress = progress or Progress()
    try:
        with shows_waits(progress):
            report = _finished(job, noted, progress, pace)
        job.note(JobState.SWAPPED)
        recover.settle(job, noted["id"])
        return report
    finally:
        own.leave()


def left_copy(job: Job) -> Facts:
    """What is noted of an interrupted migration beside a store, if its copy is of the store as it is now; else nothing.

    Any other write that was interrupted there is settled.

    Raises:
        StoreInUse: it is still running.
    """
    if not job.folder.exists():
        return {}
    with owner.settling(job.folder):
        noted = job.facts()
        if owner.works(noted):
            raise StoreInUse(f"The migration into {job.target} is still running (process {noted['pid']}).")
        unchanged = _is_left(job, noted) and state_hash(job.target, Commit.DIRECTORY) == noted["source_hash"]
        if unchanged and noted.get("backup") in (None, *(each.id for each in all_backups())):
            return noted
        if noted.get("id") in catalogue.unfinished_jobs():
            recover.settle(job, noted["id"])
        return {}


def take_up(job: Job, left: Facts, own: Facts) -> None:
    """Make an interrupted job this process's own.

    Args:
        left: what was noted of it when it was looked at.
        own: what tells that this process works on it.

    Raises:
        StoreInUse: somebody else was quicker.
    """
    with owner.settling(job.folder):
        if job.facts() != left:
            raise StoreInUse(f"Another memdefrag went on with the migration into {job.target}.")
        history.discard(left["id"])
        job.note(JobState.STAGED, **own)


def stays(job: Job, error: BaseException) -> bool:
    """Whether what was written into a live store stays there after such an end, to be gone on with; the error then
    says so. After any other failure it is taken back."""
    noted = job.facts()
    if noted.get("kind") == Commit.DIRECTORY or not can_go_on(noted):
        return False
    if not isinstance(error, Cancelled | ServerUnreachable):
        return False
    error.safe, error.todo = KEPT, ways_on(noted)
    return True


def _is_left(job: Job, noted: Facts) -> bool:
    """Whether it can be gone on with, and is ours: a copy that came with somebody's files is not to be believed."""
    event = catalogue.unfinished_jobs().get(noted.get("id", ""))
    return can_go_on(noted) and event is not None and event["path"] == str(job.target)


def _finished(job: Job, noted: Facts, progress: Progress, pace: Pace | None) -> ApplyReport:
    began = time.monotonic()
    try:
        saved, plan = images.load(job.folder), load(job.folder / PLAN)
    except BackupDamaged as error:
        raise StoreDamaged(error.message, safe="Nothing more was touched.", todo="Run `memdefrag recover`.") from error
    before = _before(noted)
    with open_store(noted["store"], must_exist=False) as store:
        present = {info.name for info in store.collections()} if store.exists else set()
        missing = tuple(info for info in plan.collections if info.name not in present)
        if missing:
            store.write(Changes(collections=missing), progress)
        foreign = in_place.roll_forward(store, saved, progress, pace)
        progress.phase("Verifying")
        after = read_snapshot(store, progress)
        done = _done(saved, foreign)
        verify_probes(store, before, done, after, progress)
    report = _report(noted, before, after, done, foreign, time.monotonic() - began)
    step = history.HistoryStep(
        id=noted["id"],
        time=catalogue.utc_now(),
        store=noted["store"],
        reason=noted["reason"],
        merged=0,
        written=report.written,
        removed=report.removed,
        backup=noted.get("backup"),
    )
    # The crash may have come when the step was half saved.
    history.discard(step.id)
    history.save(step, plan, before, after, done)
    return report


def _before(noted: Facts) -> Snapshot:
    """What the store held before the migration, as the backup has it."""
    if noted.get("backup") is None:
        return Snapshot(noted["store"], ())
    with open_store(Address("backup", noted["backup"])) as backup:
        return replace(read_snapshot(backup), address=noted["store"])


def _done(saved: Images, foreign: Collection[Key]) -> Changes:
    """What was changed in all, but for what somebody else had changed meanwhile."""
    before, after = saved.before, saved.after
    put = (Put(record, record_hash(before[key]) if key in before else None) for key, record in after.items())
    return Changes(
        put=tuple(each for each in put if each.record.key not in foreign),
        delete=tuple(Ref.of(before[key]) for key in before if key not in after and key not in foreign),
        relate=saved.related,
        unrelate=saved.unrelated,
    )


def _report(
    noted: Facts, before: Snapshot, after: Snapshot, done: Changes, foreign: Collection[Key], seconds: float
) -> ApplyReport:
    backup = noted.get("backup")
    address = parse(noted["store"])
    report = ApplyReport(
        store=noted["store"],
        reason=noted["reason"],
        dry_run=False,
        records_before=len(before.records),
        records_after=len(after.records),
        merged=0,
        written=len(done.put),
        removed=done.removed,
        bytes_before=noted.get("bytes", 0),
        bytes_after=bytes_of(address.path),
        linked=len(done.relate),
        unlinked=len(done.unrelate),
        step=noted["id"],
        backup=backup,
        backup_folder=str(find(backup).folder) if backup else None,
        skipped=tuple(Skipped.of(key, CHANGED) for key in foreign),
        seconds=seconds,
    )
    return replace(report, next_steps=next_steps(address, report))
