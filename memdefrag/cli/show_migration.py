"""A migration, rehearsed or done, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from memdefrag.base.wording import count, size
from memdefrag.cli.output import styled, table
from memdefrag.model.migration import TAKEN_BACK, Entry, MigrationReport, Outcome

if TYPE_CHECKING:
    from rich.console import RenderableType

    from memdefrag.cli.run import Run

SHOWN = 50
"""Entries of each class that are shown without --verbose."""

_TITLES = {
    Outcome.FAIL: ("cannot be copied", "could not be copied"),
    Outcome.CONFLICT: ("would be left alone, since the target has another of that name", "left alone: another there"),
    Outcome.COPY: ("would be copied", "copied"),
    Outcome.DUPLICATE: ("would be left out as duplicates", "left out as duplicates"),
    Outcome.DEAD: ("would be left out: deleted or replaced in the source", "left out: deleted or replaced"),
    Outcome.SAME: ("would be skipped: they are there already", "skipped: they are there already"),
}


def answer(run: Run, reports: Sequence[MigrationReport]) -> None:
    """The end of the command."""
    parts = [part for report in reports for part in _report(report, every=run.verbose)]
    run.answer(as_answer(reports), *parts, failures=any(is_failure(report) for report in reports))


def answer_checks(run: Run, stores: Sequence[str]) -> None:
    """The end of ``migrate --check``."""
    from memdefrag.engine.migrate.environment import check_environment

    checks = check_environment(stores)
    marks = {True: "pass", False: "FAIL", None: "?"}
    rows = [(marks[check.passed], check.name, check.detail, "" if check.passed else check.remedy) for check in checks]
    told = [
        {"name": check.name, "passed": check.passed, "detail": check.detail, "remedy": check.remedy} for check in checks
    ]
    failed = any(check.passed is False for check in checks)
    run.answer({"passed": not failed, "checks": told}, table("", "What", "Found", "To do", rows=rows), failures=failed)


def as_answer(reports: Sequence[MigrationReport]) -> dict[str, Any]:
    """The one JSON object: a single report as it is, of several all, with what they come to together."""
    told = [report.as_dict() for report in reports]
    if len(told) == 1:
        return told[0]
    sums = {name: sum(each[name] for each in told) for name in ("found", "copied", "skipped", "conflicts", "failed")}
    return {"target": reports[0].target, "dry_run": reports[0].dry_run, **sums, "migrations": told}


def is_failure(report: MigrationReport) -> bool:
    """Whether something is not as it was to be."""
    return bool(report.failed or (report.checked and report.checked.differences))


def _report(report: MigrationReport, *, every: bool) -> Iterator[RenderableType]:
    yield styled(f"{'Rehearsal: ' if report.dry_run else ''}{report.source} -> {report.target}", "bold")
    yield table("What", "Memories", rows=[row for row in _counts(report) if row[1]] or [("found", 0)])
    for outcome, titles in _TITLES.items():
        entries = [
            entry for entry in report.entries if entry.outcome is outcome and (every or _is_worth(entry, report))
        ]
        if entries:
            yield from _listed(titles[not report.dry_run], entries, every=every)
    if report.losses:
        yield table("The target has no place for", "Memories", rows=report.losses.items())
    if report.relations or report.relations_lost:
        lost = f", {report.relations_lost:,} have no place there" if report.relations_lost else ""
        yield f"Links: {report.relations:,} {'would be ' if report.dry_run else ''}copied{lost}."
    if report.relation_losses:
        yield table("The target has no place for", "Links", rows=report.relation_losses.items())
    if report.gone:
        would = "would be " if report.dry_run else ""
        removed = f"; {report.removed} of them {would}removed" if report.removed else ""
        names = ", ".join(str(key) for key in report.gone[: None if every else SHOWN])
        yield f"Disappeared from the source since the last migration{removed}: {names}"
    yield from _outcome(report)
    for warning in report.warnings:
        yield styled(f"Note: {warning}")
    for number, step in enumerate(report.next_steps, start=1):
        yield f"{number}. {step}"


def _counts(report: MigrationReport) -> list[tuple[str, int]]:
    would = "would be " if report.dry_run else ""
    overwritten = sum(entry.replaces for entry in report.entries if entry.outcome is Outcome.COPY)
    return [
        ("found", report.found),
        (f"{would}copied", report.copied),
        ("  of which over something that is there", overwritten),
        (f"{would}skipped", report.skipped),
        ("conflicts, left alone", report.conflicts),
        ("failed", report.failed),
    ]


def _is_worth(entry: Entry, report: MigrationReport) -> bool:
    """Whether an entry is news: of a migration that is done, what went as it should is not."""
    return report.dry_run or (entry.outcome is not Outcome.SAME and bool(entry.reason))


def _listed(title: str, entries: Sequence[Entry], *, every: bool) -> Iterator[RenderableType]:
    shown = entries if every else entries[:SHOWN]
    rows = [_row(entry) for entry in shown]
    titles = (title[0].upper() + title[1:], "As", "Why")
    told = [0, *(column for column in (1, 2) if any(row[column] for row in rows))]
    yield table(*(titles[column] for column in told), rows=[tuple(row[column] for column in told) for row in rows])
    if len(entries) > len(shown):
        yield f"… and {len(entries) - len(shown):,} more (--verbose or --json tells all)."


def _row(entry: Entry) -> tuple[str, str, str]:
    as_name = str(entry.target) if entry.target != entry.source else ""
    return str(entry.source), as_name, entry.reason or ("loses " + ", ".join(entry.losses) if entry.losses else "")


def _to_write(report: MigrationReport) -> str:
    if not (report.copied or report.gone or report.relations):
        return "There is nothing to write."
    if report.estimate is None:
        how_long = "how long that takes is not known before the first time"
    else:
        how_long = f"that takes about {max(1, round(report.estimate)):,} s"
    return f"To write: about {size(report.bytes)}; {how_long}. Nothing was written."


def _outcome(report: MigrationReport) -> Iterator[RenderableType]:
    if report.dry_run:
        yield _to_write(report)
        return
    if report.rolled_back:
        yield styled(TAKEN_BACK, "bold red")
    checked = report.checked
    if checked is None:
        yield "Nothing had to be written."
    elif checked.differences:
        for difference in checked.differences:
            yield styled(difference, "bold red")
    else:
        vectors = f", {count(checked.vectors, 'vector')}" if checked.vectors else ""
        links = f", {count(checked.relations, 'link')}" if checked.relations else ""
        yield (
            f"Read back and compared: {count(checked.records, 'memory', 'memories')}{vectors}{links}; "
            f"{checked.again:,} once more in the end. All the same."
        )
    if report.backup:
        yield f"Backup from before: {report.backup}"
    if report.step:
        yield f"To take it back: memdefrag undo {report.step}"
    yield f"Done in {report.seconds:.1f} s."
