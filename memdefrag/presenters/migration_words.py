"""A migration, rehearsed or done, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from memdefrag.base.wording import count, size
from memdefrag.model.migration import TAKEN_BACK, Checked, MigrationReport, Outcome
from memdefrag.presenters.migration_entries import WORDS
from memdefrag.presenters.wording import about, duration, place_of, thousands

SHOWN_FAILURES = 200


def facts(reports: Sequence[MigrationReport]) -> tuple[tuple[str, str], ...]:
    """Label and value of what would become, or became, of all memories."""
    would = "Would be " if reports[0].dry_run else ""
    counts = {
        "Found": _sum(reports, *Outcome),
        _begun(f"{would}copied"): _sum(reports, Outcome.COPY),
        "Of these over another": sum(e.replaces for each in reports for e in each.entries if e.outcome is Outcome.COPY),
        _begun(f"{would}left out"): _sum(reports, Outcome.SAME, Outcome.DUPLICATE, Outcome.DEAD),
        "Conflicts, left alone": _sum(reports, Outcome.CONFLICT),
        "Could not be copied" if not would else "Cannot be copied": _sum(reports, Outcome.FAIL),
    }
    told = [(what, thousands(number)) for what, number in counts.items() if number or what == "Found"]
    return (*told, *_links(reports), *(_to_write(reports) if would else _written(reports)))


def problems(reports: Sequence[MigrationReport]) -> tuple[str, ...]:
    """What deserves a look: differences, warnings, and what the target has no place for."""
    found = [line for each in reports for line in (each.checked.differences if each.checked else ())]
    if any(each.rolled_back for each in reports):
        found.insert(0, TAKEN_BACK)
    found += [line for each in reports for line in each.warnings]
    if not went_well(reports):
        found += [line for each in reports if not went_well([each]) for line in each.next_steps]
    lost, of_links = Counter[str](), Counter[str]()
    for each in reports:
        lost.update(each.losses)
        of_links.update(each.relation_losses)
    found += [f"The target has no place for: {what} ({_memories(number)})" for what, number in lost.items()]
    found += [f"The target has no place for: {what} ({count(number, 'link')})" for what, number in of_links.items()]
    return tuple(dict.fromkeys(found))


def title(reports: Sequence[MigrationReport]) -> str:
    """How it went, in a few words."""
    if any(each.rolled_back for each in reports):
        return "Taken back"
    if not went_well(reports):
        return "Migrated, with failures"
    wrote = any(each.copied or each.removed or each.step for each in reports)
    return "Migrated" if wrote else "Nothing had to be copied"


def went_well(reports: Sequence[MigrationReport]) -> bool:
    """Whether all is as it was to be."""
    return not any(
        each.failed or each.rolled_back or (each.checked and each.checked.differences) for each in reports
    )


def as_text(reports: Sequence[MigrationReport]) -> str:
    """A report to be handed on."""
    return "\n\n".join("\n".join(_lines(each)) for each in reports) + "\n"


def _lines(report: MigrationReport) -> Iterator[str]:
    yield f"{title([report])}: {place_of(report.source)} -> {place_of(report.target)}"
    yield from (f"{what}: {value}" for what, value in facts([report]))
    yield from problems([report])
    failed = [entry for entry in report.entries if entry.outcome in (Outcome.FAIL, Outcome.CONFLICT)]
    for entry in failed[:SHOWN_FAILURES]:
        yield f"{WORDS[entry.outcome][not report.dry_run]}: {entry.source}: {entry.reason}"
    if len(failed) > SHOWN_FAILURES:
        yield f"… and {thousands(len(failed) - SHOWN_FAILURES)} more"
    yield from (f"{number}. {step}" for number, step in enumerate(report.next_steps, 1))


def _links(reports: Sequence[MigrationReport]) -> Iterator[tuple[str, str]]:
    copied, lost = sum(each.relations for each in reports), sum(each.relations_lost for each in reports)
    if copied or lost:
        yield "Links", thousands(copied) + (f", and {thousands(lost)} have no place there" if lost else "")


def _to_write(reports: Sequence[MigrationReport]) -> Iterator[tuple[str, str]]:
    if not _sum(reports, Outcome.COPY):
        return
    yield "To write", f"about {size(sum(each.bytes for each in reports))}"
    known = [each.estimate for each in reports if each.estimate is not None]
    told = about(sum(known)) if len(known) == len(reports) else "not known yet: such a store was not written before"
    yield "It will take", told


def _written(reports: Sequence[MigrationReport]) -> Iterator[tuple[str, str]]:
    checks = [each.checked for each in reports if each.checked]
    if checks:
        yield "Compared with the source", _compared(checks)
    removed = sum(each.removed for each in reports)
    if removed:
        yield "Removed, as at the source", thousands(removed)
    backups = [each.backup for each in reports if each.backup]
    if backups:
        yield "Backup from before", ", ".join(backups)
    yield "Took", duration(sum(each.seconds for each in reports))


def _compared(checks: Sequence[Checked]) -> str:
    parts = [_memories(sum(each.records for each in checks))]
    again, differ = sum(each.again for each in checks), sum(len(each.differences) for each in checks)
    if again:
        parts[0] += f" ({thousands(again)} of them once more in the end)"
    numbers = {
        "vector": sum(each.vectors for each in checks),
        "link": sum(each.relations for each in checks),
        "search": sum(each.probes for each in checks),
    }
    parts += [count(number, one, "searches" if one == "search" else None) for one, number in numbers.items() if number]
    return f"{', '.join(parts)}: {f'{thousands(differ)} not as they should be' if differ else 'all the same'}"


def _sum(reports: Sequence[MigrationReport], *outcomes: Outcome) -> int:
    return sum(each.count(*outcomes) for each in reports)


def _memories(number: int) -> str:
    return count(number, "memory", "memories")


def _begun(words: str) -> str:
    return words[0].upper() + words[1:]
