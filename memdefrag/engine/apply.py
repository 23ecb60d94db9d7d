"""Carries out a plan: preflight, backup, stage, write, verify, commit, report. The only code that writes
stores.

Nothing is changed in the store before the copy that replaces it has been written, pushed to the disk and
proved to hold exactly what the plan promises. A crash at any moment leaves the old store or the new one;
`recover` tells which and tidies up.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

from memdefrag.base.errors import (
    MemdefragError,
    NotPermitted,
    StoreChanged,
    StoreDamaged,
    StoreInUse,
    UnfinishedJob,
    UnsupportedFormat,
    UsageError,
)
from memdefrag.base.fsops import bytes_of, make_private_dir, probe_writable
from memdefrag.base.progress import Progress, shows_waits
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue, guards, history, images, in_use, live, recover, resume, search_proof
from memdefrag.engine.advice import next_steps
from memdefrag.engine.backups.create import create
from memdefrag.engine.backups.shelf import Backup, find
from memdefrag.engine.commit import state_hash, swap
from memdefrag.engine.embedding import Embed, rehearsed
from memdefrag.engine.failures import disk_error, told_with
from memdefrag.engine.journal import Facts, Job, JobState
from memdefrag.engine.losses import require_no_loss
from memdefrag.engine.owner import Owner
from memdefrag.engine.resolve import Resolution, resolve
from memdefrag.engine.shortcut import ready_made
from memdefrag.engine.staging import Staging
from memdefrag.engine.writers import WriterOptions, choose
from memdefrag.model.address import parse
from memdefrag.model.migration import Pace
from memdefrag.model.plan import Changes, Plan, StoreStep, expected, touched
from memdefrag.model.records import Snapshot
from memdefrag.model.report import ApplyReport
from memdefrag.stores.base import Store, StoreSettings, read_snapshot
from memdefrag.stores.registry import open_store
from memdefrag.stores.unreadable import Unreadable

NEW_IN_PLACE = "The write is done: the new store is in place, and the backup from before is kept."
HALF_WAY = "What was written until then is taken back now, or by the next start of memdefrag; the backup is kept."


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How a plan is carried out.

    Attributes:
        dry_run: work everything out and report, write nothing anywhere.
        writer: the choice for stores that an older library made.
        confirm_shrink: go on although more than 30 % of the store's records are removed.
        embed: makes vectors for texts that need one; None: such plans are refused.
        proof: what searches must still find; a rehearsal tells what is lost, a write is refused.
        pace: how fast a store is written that is written live, record by record.
        resume: go on with the copy that an interrupted migration left beside the store.
    """

    dry_run: bool = False
    writer: WriterOptions = field(default_factory=WriterOptions)
    confirm_shrink: bool = False
    embed: Embed | None = None
    proof: search_proof.ProofOptions = field(default_factory=search_proof.ProofOptions)
    pace: Pace = field(default_factory=Pace)
    resume: bool = False


def apply(
    plan: Plan,
    options: ApplyOptions | None = None,
    progress: Progress | None = None,
    *,
    source: Snapshot | None = None,
) -> ApplyReport:
    """Carry out a plan.

    Args:
        source: what the plan's source holds, where the caller has read it already, under the keys that the steps name.

    Raises:
        WriteError, StoreError, PlanInvalid, …: as their messages say. Whatever is raised before the commit
            leaves the store as it was; `safe` says so, or that the new one is in place.
    """
    progress = progress or Progress()
    application = _Application(plan, options or ApplyOptions(), progress, source)
    try:
        with shows_waits(progress):
            return application.run()
    except OSError as error:
        raise disk_error(error, application.safe) from error


class _Application:
    """One run of the phases over one plan."""

    def __init__(
        self, plan: Plan, options: ApplyOptions, progress: Progress, source: Snapshot | None
    ) -> None:
        self.plan, self.options, self.progress, self.source = plan, options, progress, source
        self.started = time.monotonic()
        self.address = parse(plan.target).whole()
        output = options.writer.output
        self.job = Job(output.expanduser().resolve() if output else self.address.path)
        self.id = catalogue.new_id()
        self.safe = MemdefragError.default_safe
        self.restores = StoreStep.REPLACE in plan.store_steps
        self.ready: Backup | None = None
        self.left: Facts = {}

    def run(self) -> ApplyReport:
        if self.options.resume and not self.options.dry_run:
            self.left = resume.left_copy(self.job)
            self.id = self.left.get("id", self.id)
        store, before = self._opened()
        with store:
            self.kind = store.capabilities.commit
            if self.kind.is_live:
                self.job = Job.of_live(self.address)
            if self.restores:
                resolution = Resolution(Changes(), 0, (), {})
            else:
                source = self._source(before)
                embed = rehearsed if self.options.embed and self.options.dry_run else self.options.embed
                resolution = resolve(self.plan, store, before, source, embed)
            self._guard(store, before, resolution)
            writer, older = self.options.writer, store.capabilities.written_by is not None
            asked = bool(self.plan.store_steps or writer.output or (writer.upgrade and older))
            nothing = not resolution.changes and not asked
            self.recall = search_proof.proved(self.plan, before, resolution, self.options, self.progress)
            if self.options.dry_run or nothing:
                return self._report(store, before, resolution, None)
            self._preflight(store)
            self.source_hash = "" if self.kind.is_live else state_hash(self.job.target, self.kind)
            if not asked:
                self.ready = ready_made(self.plan, resolution.changes, before, self.source_hash, self.progress)
            # Whole files are put back as they are; no library has to write them.
            as_they_are = self.restores or self.ready
            settings = StoreSettings() if as_they_are else choose(store, writer, self.progress)
            return self._write(store, before, resolution, settings)

    def _opened(self) -> tuple[Store, Snapshot]:
        """The target and its content. What is to be replaced by a backup may be damaged."""
        store = open_store(self.address, must_exist=not (self.plan.collections or self.restores))
        try:
            return store, read_snapshot(store, self.progress) if store.exists else Snapshot(str(self.address), ())
        except (StoreDamaged, UnsupportedFormat):
            if not self.restores:
                raise
            store = Unreadable(self.address, StoreSettings())
            return store, read_snapshot(store, self.progress)

    def _source(self, before: Snapshot) -> Snapshot:
        if self.source is not None:
            return self.source
        if parse(self.plan.source).whole() == self.address:
            return before
        with open_store(self.plan.source) as source:
            return read_snapshot(source, self.progress)

    def _guard(self, store: Store, before: Snapshot, resolution: Resolution) -> None:
        """Stop where so much disappears, or has disappeared, that a person should look first."""
        if self.options.confirm_shrink or self.restores:
            return
        guards.require_agreement(
            resolution.removed, len(before.records), self.plan.settings.get("agreed_removals")
        )
        if self.plan.settings.get("undoes") is None and not self._brings_back:
            require_no_loss(store, before)

    def _preflight(self, store: Store) -> None:
        """Whether all is there that a write needs. The store itself is not touched."""
        self.progress.phase("Checking")
        output = bool(self.options.writer.output)
        if not store.capabilities.writable and not self.restores:
            export = "Export its memories and work on those: memdefrag export STORE FILE.jsonl"
            needed = store.needed_to_write
            todo = f"Install what writes it: {needed}" if needed else export
            why = f": {store.obstacle}" if store.obstacle else ""
            raise NotPermitted(f"{store.format} can only be read{why}.", todo=todo)
        if self.kind.is_live and (self.restores or output):
            raise UsageError(f"{self.address} is written record by record; its files cannot be replaced as a whole.")
        if self._brings_back:
            recover.set_aside_unsettled(self.job)
        if not self.left:
            recover.require_none(self.job)
        guards.require_place(store, self.job.target, new=output)

    def _write(self, store: Store, before: Snapshot, resolution: Resolution, settings: StoreSettings) -> ApplyReport:
        probe_writable(make_private_dir(data_dir()))
        owner = Owner(self.id)
        try:
            facts = {"id": self.id, **owner.facts, **({"store": str(self.address)} if self.kind.is_live else {})}
            facts |= {**resume.facts(self.plan), "bytes": bytes_of(self.address.path)}
            catalogue.record("job", path=str(self.job.target), **{"store": str(self.address), **facts})
            return self._settled(store, before, resolution, settings, facts)
        finally:
            owner.leave()

    def _settled(
        self, store: Store, before: Snapshot, resolution: Resolution, settings: StoreSettings, facts: dict[str, Any]
    ) -> ApplyReport:
        """Carry out, and whatever comes of that: leave the store old or new and nothing beside it."""
        existed = store.exists if self.kind.is_live else self.job.target.exists()
        try:
            if self.left:
                resume.take_up(self.job, self.left, facts)
            else:
                recover.begin(self.job, **facts, kind=self.kind, source_hash=self.source_hash)
                resume.save_plan(self.job, self.plan)
            # In the job's own folder: a probe that a crash leaves there is tidied up with it.
            probe_writable(self.job.folder)
            report = self._carry_out(store, before, resolution, settings, existed)
        except UnfinishedJob:
            recover.forget(self.id)
            raise
        except BaseException as error:
            if resume.stays(self.job, error):
                raise
            settled = self._settle(error)
            if settled.outcome == recover.APPLIED:
                self.safe = NEW_IN_PLACE
                raise told_with(error, NEW_IN_PLACE) from error
            self.safe = MemdefragError.default_safe
            if settled.note:
                # Not all is as it was: what reads as neither the old nor the new may be somebody's.
                self.safe = f"All else was taken back. {settled.note}"
                raise told_with(error, self.safe) from error
            raise
        self.safe = NEW_IN_PLACE
        recover.settle(self.job, self.id)
        return self._finished(report, existed)

    def _settle(self, error: BaseException) -> recover.Settled:
        """Bring the failed job to its end; what cannot be taken back yet is told with the error that led to it."""
        try:
            return recover.settle(self.job, self.id)
        except MemdefragError as trouble:
            trouble.safe = HALF_WAY if self.kind.is_live else self.safe
            raise trouble from error

    def _carry_out(
        self, store: Store, before: Snapshot, resolution: Resolution, settings: StoreSettings, existed: bool
    ) -> ApplyReport:
        """From the backup to the commit, each state announced in the journal."""
        reason = f"before {self._reason}"
        backup = find(self.left["backup"]) if self.left.get("backup") else None
        if store.exists and not backup:
            backup = create(store, before, reason, self.progress, job=self.id)
        if not self.left:
            self.job.note(JobState.BACKED_UP, backup=backup.id if backup else None)
        if self.kind.is_live:
            return self._write_live(store, before, resolution, backup)
        after = self._write_staged(backup, resolution, before, settings)
        report = self._report(store, before, resolution, backup)
        new_hash = state_hash(self.job.new, self.kind)
        if existed:
            made = replace(self._history_step(store, report), left=new_hash)
            step = history.save(made, self.plan, before, after, resolution.changes)
            report = replace(report, added_since=step.added)
        self.job.note(JobState.VERIFIED, new_hash=new_hash)
        self._commit(store)
        return report

    def _write_live(
        self, store: Store, before: Snapshot, resolution: Resolution, backup: Backup | None
    ) -> ApplyReport:
        """Write into the store itself, with the images of what is touched as the way back."""
        changes = resolution.changes
        images.save(
            self.job.folder, touched(changes), before.by_key, expected(before, changes),
            related=changes.relate, unrelated=changes.unrelate,
        )  # fmt: skip
        self.safe = HALF_WAY
        self.job.note(JobState.SWAP)
        after, resolution = live.write(store, before, resolution, self.progress, self.options.pace)
        report = self._report(store, before, resolution, backup)
        history.save(self._history_step(store, report), self.plan, before, after, resolution.changes)
        self.job.note(JobState.SWAPPED)
        return report

    def _history_step(self, store: Store, report: ApplyReport) -> history.HistoryStep:
        upgraded = self.options.writer.upgrade and store.capabilities.written_by is not None
        return history.HistoryStep(
            id=self.id,
            time=catalogue.utc_now(),
            store=report.store,
            reason=report.reason,
            merged=report.merged,
            written=report.written,
            removed=report.removed,
            backup=report.backup,
            whole_store=upgraded or self.restores,
            undoes=self.plan.settings.get("undoes"),
            recall=report.recall.figures() if report.recall else None,
        )

    def _write_staged(
        self, backup: Backup | None, resolution: Resolution, before: Snapshot, settings: StoreSettings
    ) -> Snapshot:
        """Make the copy that is to take the store's place, and tell what it holds."""
        staging = Staging(self.job, self.address, settings, self.progress)
        rebuild = StoreStep.REBUILD in self.plan.store_steps
        if self.restores:
            staging.fill(find(self.plan.source.partition(":")[2]))
            if rebuild:
                staging.rebuild()
            return staging.read()
        if self.left:
            return staging.take_up(backup, before, resolution.changes, rebuild=rebuild)
        staging.fill(self.ready or backup)
        if self.ready:
            return staging.proved(before, resolution.changes)
        return staging.write(before, resolution.changes, rebuild=rebuild)

    def _commit(self, store: Store) -> None:
        facts = self.job.facts()
        files = store.raw_files() if store.exists else []
        if not self.options.writer.output:
            in_use.require_free(files)
        if state_hash(self.job.target, self.kind) != facts["source_hash"]:
            raise StoreChanged("Somebody wrote to the store while the new copy was made.")
        store.close()
        self.progress.phase("Putting the new store in place", cancellable=False)
        self.safe = "The write may have happened: the next start of memdefrag tells, and finishes or undoes it."
        self.job.note(JobState.SWAP)
        try:
            swap(self.job, self.kind, facts["source_hash"])
        except (StoreChanged, StoreInUse):
            # Nothing was moved, so that what somebody wrote is not to be taken for half a swap.
            self.job.note(JobState.VERIFIED)
            raise
        self.job.note(JobState.SWAPPED)

    @property
    def _brings_back(self) -> bool:
        """Whether it is a restore, of files or record by record: the way out of whatever went wrong before."""
        return self.restores or self._reason == "restore"

    @property
    def _reason(self) -> str:
        return str(self.plan.settings.get("reason", "apply"))

    def _report(
        self, store: Store, before: Snapshot, resolution: Resolution, backup: Backup | None
    ) -> ApplyReport:
        changes = resolution.changes
        added = sum(put.before is None for put in changes.put)
        return ApplyReport(
            store=str(self.address),
            reason=self._reason,
            dry_run=self.options.dry_run,
            records_before=len(before.records),
            records_after=len(before.records) + added - len(changes.delete),
            merged=resolution.merged,
            written=len(changes.put),
            removed=resolution.removed,
            linked=len(changes.relate),
            unlinked=len(changes.unrelate),
            bytes_before=bytes_of(self.address.path),
            backup=backup.id if backup else None,
            backup_folder=str(backup.folder) if backup else None,
            compacted=StoreStep.REBUILD in self.plan.store_steps,
            output=str(self.job.target) if self.options.writer.output else None,
            skipped=resolution.skipped,
            recall=self.recall,
            losses=resolution.losses,
            warnings=tuple(filter(None, (
                guards.network_warning(self.address.path),
                guards.long_texts(before, changes, resolution.units),
                search_proof.shortfall(self.recall, self.options.proof),
            ))),
            seconds=time.monotonic() - self.started,
        )

    def _finished(self, report: ApplyReport, existed: bool) -> ApplyReport:
        place = self.address if self.kind.is_live else self.address.at(self.job.target)
        with open_store(place) as present:
            count = sum(info.count for info in present.collections())
        return replace(
            report,
            step=self.id if existed else None,
            records_after=count,
            bytes_after=bytes_of(place.path),
            next_steps=next_steps(self.address, report),
            seconds=time.monotonic() - self.started,
        )
