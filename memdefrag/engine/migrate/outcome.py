"""What came of a migration: its report after the writing, and the notes for catching up later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from memdefrag.engine import history
from memdefrag.engine.migrate import advice
from memdefrag.engine.migrate.ledger import Ledger, Written
from memdefrag.model.hashing import record_hash
from memdefrag.model.migration import Checked, MigrationReport, Outcome
from memdefrag.model.plan import Drop
from memdefrag.model.records import Key, MemoryRecord, Snapshot
from memdefrag.model.report import ApplyReport


def with_finished(report: MigrationReport, finished: ApplyReport, present: Snapshot) -> MigrationReport:
    """The report with what the interrupted migration wrote, before and after the interruption, as copied."""
    if finished.step is None:
        return report
    undo = history.undo_plan(history.find(finished.step))
    there = {step.record.key for step in undo.steps if isinstance(step, Drop)}
    entries = [
        replace(entry, outcome=Outcome.COPY, reason="was written by the interrupted migration")
        if entry.outcome is Outcome.SAME and entry.target in there
        else entry
        for entry in report.entries
    ]
    found = [record for record in present if record.key in there]
    vectors = sum(record.embedding is not None for record in found)
    return replace(
        report,
        entries=tuple(entries),
        # Each was just found to be the source's own.
        checked=Checked(len(found), vectors, 0, 0, len(found)),
        step=finished.step,
        backup=finished.backup,
        warnings=(*advice.went_on(finished), *report.warnings),
    )


def with_applied(report: MigrationReport, applied: ApplyReport, stale: Sequence[Key]) -> MigrationReport:
    """The report with what came of the plan: steps that could not be taken are failures.

    Args:
        stale: what was to be removed from the target.
    """
    skipped = {each.key: each.reason for each in applied.skipped}
    entries = [
        replace(entry, outcome=Outcome.FAIL, reason=skipped[entry.target])
        if entry.outcome is Outcome.COPY and entry.target in skipped
        else entry
        for entry in report.entries
    ]
    return replace(
        report,
        entries=tuple(entries),
        removed=sum(key not in skipped for key in stale),
        backup=applied.backup,
        step=applied.step,
        warnings=(*report.warnings, *applied.warnings),
    )


def notes(
    report: MigrationReport,
    source: Mapping[Key, MemoryRecord],
    present: Mapping[Key, MemoryRecord],
    written: Mapping[Key, MemoryRecord],
    known: Ledger,
) -> dict[Key, Written]:
    """What the target holds of the source now. Pure.

    Args:
        source: all that the source holds; `present`: what the target held before.
        written: what was written, by its key in the source.
        known: the notes of the migrations before.
    """
    noted = dict(known)
    for entry in report.entries:
        if entry.outcome not in (Outcome.COPY, Outcome.SAME):
            continue
        record = written.get(entry.source) or present.get(entry.target)
        said, before = record_hash(source[entry.source]), noted.get(entry.source)
        if entry.outcome is Outcome.SAME and before and (before.source, before.target) == (said, entry.target):
            continue  # What the target has made of it since is no work of ours that may be written over.
        if record is not None:
            noted[entry.source] = Written(said, entry.target, record_hash(record), entry.outcome is Outcome.COPY)
    return noted
