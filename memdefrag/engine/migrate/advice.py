"""What a person should know about a migration before and after it: names that a program will not look at, the way to
switch over. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from memdefrag.base.errors import MemdefragError
from memdefrag.base.wording import count
from memdefrag.engine.migrate.classify import REMOVED
from memdefrag.engine.migrate.routing import Route
from memdefrag.model.address import Address
from memdefrag.model.migration import Entry, MigrateOptions, MigrationReport, Outcome
from memdefrag.model.report import ApplyReport

SERVICE_COLLECTION = "memory_collection"
"""The one collection that Memory Service reads, unless MCP_MEMORY_COLLECTION_NAME says otherwise."""

SERVICE_STORE = "default"
"""The one of its stores that it searches where it is told of none (since its version 11)."""

PORTABLE = ("jsonl", "parquet", "memory-export", "memory-service-json")
"""Files that are handed on; nobody switches over to them."""

_HANDED_ON = (*PORTABLE, "backup", "mem0")
"""No program goes on writing to these."""

_SERVICE = ("memory-service", "memory-service-json")
_CHROMA = ("chroma", "chroma+http", "chroma+https")


def warnings(way: Route, target: Address) -> Iterator[str]:
    """What somebody may not expect."""
    renamed = SERVICE_COLLECTION in way.names and way.names[SERVICE_COLLECTION] != SERVICE_COLLECTION
    if target.kind in _CHROMA and renamed:
        yield (
            f"Memory Service reads {SERVICE_COLLECTION}: it will not see {way.names[SERVICE_COLLECTION]} unless "
            "MCP_MEMORY_COLLECTION_NAME names it."
        )

    others = [name for name in dict.fromkeys(way.names.values()) if name != SERVICE_STORE]
    if target.kind in _SERVICE and others:
        yield (
            f"Memory Service searches its store {SERVICE_STORE!r} unless a client names another: it will not find what "
            f"goes into {', '.join(others)}. To change that: --target-collection {SERVICE_STORE}, from the first "
            "migration on, since the service keeps a text in one store only."
        )


def older_service(version: str | None) -> tuple[str, ...]:
    """What the service of a Chroma folder cannot do with a new one; `version`: that it needs, if not the built-in."""
    if version is None:
        return ()
    return (
        f"The source belongs to a service with chromadb {version} or its like, which cannot open the new folder: it is "
        "made by the built-in chromadb. To make one that it can open: --chroma-python PATH, its own Python.",
    )


def removed_meanwhile(entries: Sequence[Entry]) -> tuple[str, ...]:
    """What somebody removed from the target since it was migrated does not come back by catching up."""
    removed = sum(entry.reason == REMOVED for entry in entries)
    if not removed:
        return ()
    were = count(removed, "memory was", "memories were")
    return (f"{were} removed from the target since the last migration. Without --catch-up they are copied again.",)


def next_steps(
    source: Address, target: Address, report: MigrationReport, options: MigrateOptions | None = None
) -> tuple[str, ...]:
    """The way from the old store to the new one, in order, and the way back where the history has none. Catching up
    takes the options that say what goes where."""
    return (*_way_on(source, target, report, options), *_way_back(report, target))


def went_on(finished: ApplyReport) -> tuple[str, ...]:
    """That an interrupted migration was brought to its end first, whatever comes of the rest."""
    done = f"Went on with the interrupted migration: {finished.written:,} memories are there now."
    return (done, f"To take that back: memdefrag undo {finished.step}")


def given_up(source: str) -> str:
    """That the copy of an interrupted migration from elsewhere, of which nothing was in place, is not gone on with."""
    return f"The interrupted migration from {source} was given up for this one; nothing of it had been put in place."


def emptied(report: MigrationReport, target: Address) -> tuple[str, ...]:
    """What is left of a store that a migration made and took back."""
    left = f"The store that was made stays, with what others wrote there. To remove that, too: delete {_place(target)}"
    return () if report.step else (left,)


def not_taken_back(error: MemdefragError, report: MigrationReport) -> MemdefragError:
    """What failed in taking a migration back, told with why it was to be."""
    refused = (f"{entry.source}: {entry.reason}" for entry in report.entries if entry.outcome is Outcome.FAIL)
    why = next(iter(report.checked.differences if report.checked else ()), None) or next(refused, "")
    error.message = f"Not everything came to be as it should ({why}), and taking all back failed: {error.message}"
    if report.step:
        error.todo = f"{error.todo} Then take it back: memdefrag undo {report.step}".lstrip()
    return error


def _way_back(report: MigrationReport, target: Address) -> Iterator[str]:
    """Of a store that was made no step tells what it was before."""
    if report.copied and report.step is None and target.is_local:
        yield f"To take all back, as long as nobody else wrote into the new store: delete {_place(target)}"


def _way_on(
    source: Address, target: Address, report: MigrationReport, options: MigrateOptions | None
) -> tuple[str, ...]:
    if report.failed or (report.checked and report.checked.differences):
        return ("Look at what failed, mend it, and migrate again: what is there already is not copied twice.",)
    if target.kind in PORTABLE or source.kind in _HANDED_ON:
        return ()
    again = shlex.join(["memdefrag", "migrate", str(source), str(target), *_again(options or MigrateOptions())])
    return (
        f"Stop the programs that write to {_place(source)}.",
        f"Catch up with what they wrote since: {again}",
        f"Compare the two once more: {again} --dry-run finds nothing to copy.",
        f"Let your programs use {_place(target)} from now on.",
        f"Keep {_place(source)} as it is, unused, until you are sure.",
    )


def _again(options: MigrateOptions) -> Iterator[str]:
    """The options of a migration that its repetition needs, as they are typed."""
    named = {
        "--target-collection": [options.target_collection or ""],
        "--rename-collection": [f"{old}={new}" for old, new in options.rename.items()],
        "--re-embed": [options.re_embed or ""],
        "--prefix": [options.selection.prefix],
        "--where": [f"{key}={value}" for key, value in options.selection.where.items()],
        "--tag": sorted(options.selection.tags),
    }
    for name, values in named.items():
        for value in filter(None, values):
            yield from (name, value)
    if options.skip_duplicates:
        yield "--skip-duplicates"
    yield "--catch-up"


def _place(address: Address) -> str:
    return address.location if address.is_local else address.url
