"""Brings the memories of one store into another: read, decide, rehearse or write, compare, remember.

One engine for every pair of stores. A record is said in the target's terms by the target's own `adopted`, `key_for`
and `fit`; what the target has no place for travels in the metadata (`model.carried`); the rest is a plan like any
other, which `engine.apply` carries out with its backup, journal and proof.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from memdefrag.analysis.embedding.embed import Embedder
from memdefrag.base.errors import MemdefragError, StoreChanged, StoreDamaged, StoreError, UsageError
from memdefrag.base.progress import Progress
from memdefrag.base.settings import giving_up_after
from memdefrag.engine import history, resume
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.compare import ModelOptions
from memdefrag.engine.migrate import advice, ledger, links, outcome, plans, preflight, proof, vectors
from memdefrag.engine.migrate.check import Check
from memdefrag.engine.migrate.classify import Classifier, Sorted
from memdefrag.engine.migrate.duplicates import surely_said
from memdefrag.engine.migrate.estimate import estimate, remember
from memdefrag.engine.migrate.routing import Route
from memdefrag.engine.migrate.selection import chosen
from memdefrag.engine.steady import State, steadily
from memdefrag.engine.writers import WriterOptions
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Commit
from memdefrag.model.migration import MigrateOptions, MigrationReport
from memdefrag.model.plan import Relate
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot
from memdefrag.model.report import ApplyReport
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store, resolve, resolve_new


def _nobody(checks: Sequence[Check]) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a migration may use: who writes an older folder, and a model for missing vectors.

    Attributes:
        checked: called with what was looked at before the first write, also where something in it failed.
    """

    writer: WriterOptions = field(default_factory=WriterOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    confirm_shrink: bool = False
    checked: Callable[[Sequence[Check]], None] = _nobody


def migrate(
    source: Address | str,
    target: Address | str,
    options: MigrateOptions | None = None,
    means: Means | None = None,
    progress: Progress | None = None,
) -> MigrationReport:
    """Copy the memories of one store into another, which is made where it is absent. The source is only read.

    What the target has under the same name and with the same content is left alone, so that doing it again copies
    nothing twice.

    Raises:
        StoreError: an end cannot be reached, read or written; a source that cannot be reached is never an empty one.
        UsageError: the two cannot be brought together as asked.
        WriteError, …: as `apply`; the target is as it was, or its `safe` says what is.
    """
    options, means, progress = options or MigrateOptions(), means or Means(), progress or Progress()
    began = time.monotonic()
    place = resolve_new(target) if isinstance(target, str) else target

    finished: ApplyReport | None = None

    def decide(store: Store, state: State) -> tuple[_Migration, _Decided]:
        nonlocal finished
        migration = _Migration(state.address, place, options, means, progress)
        migration.finished = finished
        if state.was_copied:
            migration.notes += (f"A private copy of the source was read: {state}.",)
        try:
            return migration, migration.decided(store)
        finally:
            finished = migration.finished

    try:
        with giving_up_after(options.pace.timeout), _everything_kept(), _prepared(place, options, means):
            origin = resolve(source) if isinstance(source, str) else source
            migration, decided = steadily(origin, progress, decide)
            report = decided.report
            if not options.dry_run:
                try:
                    report = migration.carried_out(decided)
                except StoreChanged:
                    migration, decided = steadily(origin, progress, decide)
                    migration.notes += ("Somebody wrote to the target meanwhile; it was compared once more.",)
                    report = migration.carried_out(decided)
            report = replace(report, warnings=(*migration.notes, *report.warnings))
    except MemdefragError as error:
        if finished and error.safe in (error.default_safe, preflight.UNTOUCHED):
            error.safe = " ".join(advice.went_on(finished))
        raise
    seconds = time.monotonic() - began
    # The migration will read and compare as its rehearsal did.
    told = None if report.estimate is None else report.estimate + seconds
    return replace(report, seconds=seconds, estimate=told)


def _prepared(target: Address, options: MigrateOptions, means: Means) -> AbstractContextManager[None]:
    """A folder that is to be made is written in any case: what writes it is started while the source is read."""
    if options.dry_run or means.writer.python is not None:
        return nullcontext()
    with open_store(target, must_exist=False) as there:
        is_new = there.capabilities.commit is Commit.DIRECTORY and not there.exists
        return there.expecting_use() if is_new else nullcontext()


@dataclass(frozen=True, slots=True)
class _Decided:
    """All that is known before anything is written; the source is needed no more.

    Attributes:
        report: the rehearsal's.
        snapshot, present: what source and target hold.
        links: to be made.
        makers: of missing vectors, as `vectors.makers` has them.
    """

    report: MigrationReport
    snapshot: Snapshot
    present: Snapshot
    done: Sorted
    way: Route
    links: Sequence[Relate]
    makers: Mapping[str, Embedder | str]


@contextmanager
def _everything_kept() -> Iterator[None]:
    """All that is made stays until the end; looking for garbage among it would take a tenth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class _Migration:
    """One run from one store into another."""

    def __init__(
        self, source: Address, target: Address, options: MigrateOptions, means: Means, progress: Progress
    ) -> None:
        self.source, self.target = source, target
        self.options, self.means, self.progress = options, means, progress
        self.notes: tuple[str, ...] = ()
        self.finished: ApplyReport | None = None
        self.known = self._known()
        if options.catch_up and self.known is None:
            raise UsageError(
                f"Nothing was migrated from {source} to {target} yet, so that there is nothing to catch up with.",
                todo="Migrate without --catch-up first.",
            )

    def _known(self) -> ledger.Ledger | None:
        """What the last migration noted; damaged notes stop only who needs them."""
        try:
            return ledger.load(self.source, self.target)
        except StoreDamaged:
            if self.options.catch_up:
                raise
            return None

    def decided(self, store: Store) -> _Decided:
        """Read both ends and decide; an interrupted migration into a live target is brought to its end before."""
        snapshot = read_snapshot(store, self.progress)
        with open_store(self.target, must_exist=False) as there:
            self.live = there.capabilities.commit.is_live
            if self.options.resume and not self.options.dry_run:
                left = resume.pending(self.target)
                self.finished = resume.go_on(self.target, self.progress, self.options.pace) or self.finished
                if left and not self.finished and left.source != str(self.source):
                    self.notes += (advice.given_up(left.source),)
            present = Snapshot(str(self.target), ())
            if there.exists:
                present = read_snapshot(there, self.progress, only=self._concerned(snapshot, there))
            checks = preflight.checks(store, there, snapshot, self.options, origin=self.source, progress=self.progress)
            self.means.checked(checks)
            preflight.require(checks)
            done, way, makers = self._sorted(store, snapshot, there, present)
            fit = there.fit_relation if there.capabilities.writes_relations else None
            linked = links.linked(
                snapshot.relations, done.placed, present.relations, fit, parallel=there.capabilities.parallel_relations
            )
            report = MigrationReport(
                str(self.source), str(self.target), self.options.dry_run, tuple(done.entries),
                len(linked.made), linked.lost, dict(linked.losses),
                gone=tuple(done.gone),
                warnings=(
                    *preflight.warnings(checks),
                    *advice.warnings(way, self.target),
                    *advice.older_service(self._left_behind(store, there)),
                ),
            )  # fmt: skip
        if self.finished:
            report = outcome.with_finished(report, self.finished, present)
        if self.options.dry_run:
            size, seconds = estimate(done.write.values(), self.target, self.options.pace)
            report = replace(report, bytes=size, estimate=seconds, removed=len(done.stale))
        return _Decided(report, snapshot, present, done, way, linked.made, makers)

    def _concerned(self, snapshot: Snapshot, there: Store) -> set[str] | None:
        """The collections of the target in which what is copied can meet something; None: all of them."""
        if self.options.skip_duplicates or there.capabilities.content_ids:
            return None
        try:
            way = preflight.destination(self._infos(snapshot), there.collections(), there, self.options)
        except (StoreError, UsageError):
            return set()  # The checks tell it, with all else that is in the way.
        known = (self.known or {}).values() if self.options.catch_up else ()
        return {*way.names.values(), *(each.target.collection for each in known)}

    def _infos(self, snapshot: Snapshot) -> list[CollectionInfo]:
        """The source's collections that take part."""
        return [info for info in snapshot.collections if self.source.collection in (None, info.name)]

    def _left_behind(self, store: Store, there: Store) -> str | None:
        """The chromadb of a source whose service could not open the folder that is to be made."""
        is_made = self.target.kind == "chroma" and not there.exists and self.means.writer == WriterOptions()
        return store.capabilities.written_by if is_made else None

    def _sorted(
        self, store: Store, snapshot: Snapshot, there: Store, present: Snapshot
    ) -> tuple[Sorted, Route, Mapping[str, Embedder | str]]:
        """What becomes of every memory, into which collections they go, and who makes missing vectors."""
        way = preflight.destination(self._infos(snapshot), present.collections, there, self.options)
        records = chosen(snapshot.records, self.options.selection)
        long_work = self.means.model.long_work or self.options.dry_run
        model = replace(self.means.model, long_work=long_work, name=self.options.re_embed or self.means.model.name)
        self.progress.phase("Comparing", len(records))
        makers = vectors.makers(
            records, present, way, there.capabilities, model, self.progress, re_embed=bool(self.options.re_embed)
        )
        known = self.known if self.options.catch_up else None
        classifier = Classifier(present, there, way, self.options, makers, store.capabilities, known)
        classifier.take(records)
        prefix = self.options.selection.prefix
        unreadable = store.unreadable()
        classifier.fail((key, reason) for key, reason in unreadable if key.id.startswith(prefix))
        if known is not None:
            here = [record.key for record in snapshot.records] + [key for key, _ in unreadable]
            classifier.catch_up(here, mirror=self.options.mirror)
            self.notes += advice.removed_meanwhile(classifier.done.entries)
        if self.options.skip_duplicates and classifier.done.write:
            copied = Snapshot(str(self.source), snapshot.collections, tuple(_as_source(classifier.done.write).values()))
            found, notes = surely_said(classifier.staying(), copied, model, self.progress)
            self.notes += notes
            classifier.leave_out(found)
        return classifier.done, way, makers

    def carried_out(self, decided: _Decided) -> MigrationReport:
        """Write what was decided, look at the target again, and note what it holds now."""
        report, done = decided.report, decided.done
        records = vectors.made(done, decided.makers, self.progress)
        said = Snapshot(str(self.source), decided.snapshot.collections, tuple(_as_source(records).values()))
        plan = plans.copying(
            self.target, records, said, decided.present, decided.way.new, done.stale, decided.links,
            only_filled=self.options.catch_up,
        )  # fmt: skip
        if not (plan.steps or plan.collections):
            self._remember(report, decided, {})
            return replace(report, next_steps=advice.next_steps(self.source, self.target, report, self.options))
        options = ApplyOptions(
            writer=self.means.writer,
            confirm_shrink=self.means.confirm_shrink,
            pace=self.options.pace,
            resume=self.options.resume,
        )
        began = time.monotonic()
        applied = apply(plan, options, self.progress, source=said)
        if applied.output:
            self.target = self.target.at(Path(applied.output))
        report = outcome.with_applied(replace(report, target=str(self.target)), applied, done.stale)
        skipped = {each.key for each in applied.skipped}
        written = {key: record for key, record in records.items() if record.key not in skipped}
        checked = proof.checked(
            written.values(), decided.links, set(done.stale), self.target, self.options.verify, self.progress,
            searches=self.live,
        )  # fmt: skip
        report = replace(report, checked=checked)
        if not (self.options.pace.delay or self.options.pace.max_rate):
            remember(self.target, len(records), time.monotonic() - began)
        if (checked.differences or applied.skipped) and self.options.rollback_on_failure:
            return self._taken_back(report, written)
        self._remember(report, decided, written)
        return replace(report, next_steps=advice.next_steps(self.source, self.target, report, self.options))

    def _taken_back(self, report: MigrationReport, written: Mapping[Key, MemoryRecord]) -> MigrationReport:
        """The target as it was before, by the inverse plan; a store that is new is emptied."""
        plan = history.undo_plan(history.find(report.step)) if report.step else plans.emptying(self.target, written)
        # What is removed was written a moment ago; that it should go was agreed to beforehand.
        try:
            apply(plan, ApplyOptions(writer=self.means.writer, confirm_shrink=True), self.progress)
        except MemdefragError as error:
            raise advice.not_taken_back(error, report) from error
        return replace(report, rolled_back=True, next_steps=advice.emptied(report, self.target))

    def _remember(self, report: MigrationReport, decided: _Decided, written: Mapping[Key, MemoryRecord]) -> None:
        """Note what the target holds of the source now, for catching up later."""
        source, present = decided.snapshot.by_key, decided.present.by_key
        notes = outcome.notes(report, source, present, written, self.known or {})
        if self.options.mirror:
            gone = set(report.gone)
            notes = {key: note for key, note in notes.items() if key not in gone}
        ledger.save(self.source, self.target, notes)


def _as_source(records: Mapping[Key, MemoryRecord]) -> dict[Key, MemoryRecord]:
    """What is to be written, under the keys that it has in the source."""
    return {key: record.with_key(key) for key, record in records.items()}
