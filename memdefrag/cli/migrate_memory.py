"""`memdefrag migrate-memory`: hdev's command of that name, with its options, its text form and what it prints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from memdefrag.base.errors import UsageError
from memdefrag.cli.run import Run, command
from memdefrag.model.address import Address, parse
from memdefrag.model.migration import Conflict, Entry, MigrateOptions, MigrationReport, Outcome, Selection


class Backend(StrEnum):
    """Where hdev keeps memories."""

    FILESYSTEM = "filesystem"
    HTTP = "http"


TEXT_FORM = '!migrate_memory target_config="http:https://HOST" source_config="filesystem" overwrite=false dry_run=true'
ERRORS_OF_TEXT_FORM = 5
"""So many errors the text form lists; the command lists all."""

_WORDS = ("target_config", "source_config", "overwrite", "dry_run")
_PAIR = re.compile(r'\s*(?P<key>[^\s="]+)=(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]*))(?=\s|$)')
_BOOLEANS = {"true": True, "false": False}

Text = Annotated[
    list[str] | None, typer.Argument(metavar="[TEXT]", help=f"Or all of it in hdev's text form: {TEXT_FORM}")
]
Source = Annotated[Backend, typer.Option("--source", help="Where the memories are.")]
Target = Annotated[Backend | None, typer.Option("--target", help="Where they are to go.")]
SourcePath = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Default: the folder that hdev uses.")]
TargetPath = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Default: the folder that hdev uses.")]
SourceUrl = Annotated[str | None, typer.Option(metavar="URL", help="Default: the server of hdev's configuration.")]
TargetUrl = Annotated[str | None, typer.Option(metavar="URL", help="Default: the server of hdev's configuration.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write over entries that are there and differ.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count and tell, write nothing.")]
Prefix = Annotated[str, typer.Option("--prefix", metavar="PATH", help="Only entries whose path begins so.")]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done, however it was said.

    Attributes:
        shown: how many errors are listed; None: all.
    """

    source: Address
    target: Address
    overwrite: bool
    dry_run: bool
    shown: int | None = None


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "migrate-memory")(migrate_memory)


def migrate_memory(
    run: Run,
    text: Text = None,
    source: Source = Backend.FILESYSTEM,
    target: Target = None,
    source_path: SourcePath = None,
    target_path: TargetPath = None,
    source_url: SourceUrl = None,
    target_url: TargetUrl = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    prefix: Prefix = "",
) -> None:
    """Copy memories between hdev's folders and servers. Keys: --api-key for both ends, or --source-api-key and
    --target-api-key; HDEV_MEMORY_HTTP_API_KEY, ~/.hdev/config.yaml and the system's keyring are asked, too."""
    from memdefrag.engine.migrate.run import migrate

    if text:
        wanted = said_in_text(" ".join(text))
    elif target is None:
        raise UsageError("--target is required: filesystem or http.")
    else:
        ends = _end("source", source, source_path, source_url), _end("target", target, target_path, target_url)
        wanted = Wanted(*ends, overwrite, dry_run)
    if not wanted.dry_run:
        run.keep_log()
    run.print(f"Migrating memory from {_backend(wanted.source)} to {_backend(wanted.target)}")
    if wanted.dry_run:
        run.print("DRY RUN - No actual changes will be made")
    options = MigrateOptions(
        conflict=Conflict.OVERWRITE if wanted.overwrite else Conflict.SKIP,
        selection=Selection(prefix=prefix),
        dry_run=wanted.dry_run,
    )
    _answer(run, migrate(wanted.source, wanted.target, options, progress=run.progress), wanted)


def said_in_text(text: str) -> Wanted:
    """What hdev's text form asks for: ``!migrate_memory key=value …``; values may stand in double quotes.

    Raises:
        UsageError: a key or value that it does not know, or no target.
    """
    rest = re.sub(r"^\s*[!/]?migrate[_-]memory\b", "", text)
    values: dict[str, str] = {}
    while rest.strip():
        pair = _PAIR.match(rest)
        if pair is None:
            raise UsageError("The text form is key=value, with spaces between.", todo=f"As in: {TEXT_FORM}")
        if pair["key"] not in _WORDS:
            raise UsageError(f"The text form does not know {pair['key']!r}.", todo=f"It knows {', '.join(_WORDS)}.")
        values[pair["key"]] = pair["plain"] if pair["quoted"] is None else pair["quoted"]
        rest = rest[pair.end() :]
    if not values.get("target_config"):
        raise UsageError("The text form needs target_config.", todo=f"As in: {TEXT_FORM}")
    return Wanted(
        _configured("source_config", values.get("source_config") or "filesystem"),
        _configured("target_config", values["target_config"]),
        _boolean("overwrite", values),
        _boolean("dry_run", values),
        ERRORS_OF_TEXT_FORM,
    )


def _configured(key: str, value: str) -> Address:
    address = parse(value)
    if not address.kind.startswith("hdev"):
        raise UsageError(f"{key} is either filesystem, filesystem:FOLDER or http:URL.", todo=f"As in: {TEXT_FORM}")
    return _full(address)


def _boolean(key: str, values: dict[str, str]) -> bool:
    said = values.get(key, "false").lower()
    if said not in _BOOLEANS:
        raise UsageError(f"{key} is true or false, not {said!r}.")
    return _BOOLEANS[said]


def _end(side: str, backend: Backend, path: Path | None, url: str | None) -> Address:
    """The store that one side's options name."""
    from memdefrag.stores.hdev.config import load

    if backend is Backend.FILESYSTEM:
        return _full(Address("hdev", str(path.expanduser()) if path else ""))
    url = url or load().url
    if not url:
        raise UsageError(f"--{side}-url is required for HTTP {side}")
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--{side}-url is no URL of a server: it begins with http:// or https://.")
    return _full(parse(f"hdev+{url}"))


def _full(address: Address) -> Address:
    from memdefrag.stores.registry import store_class

    return store_class(address.kind).located(address)


def _backend(address: Address) -> Backend:
    return Backend.FILESYSTEM if address.is_local else Backend.HTTP


def _answer(run: Run, report: MigrationReport, wanted: Wanted) -> None:
    for warning in report.warnings:
        run.note(warning)
    for entry in report.entries:
        if entry.outcome is not Outcome.COPY:
            run.detail(f"{entry.source.id}: {entry.reason}")
    if report.backup:
        run.note(f"Backup from before: {report.backup}")
    if report.step:
        run.note(f"To take it back: memdefrag undo {report.step}")
    errors = [*(_error(entry) for entry in report.entries if entry.outcome is Outcome.FAIL)]
    errors += report.checked.differences if report.checked else ()
    run.answer(report.as_dict(), *statistics(report, errors, wanted.shown), failures=bool(errors))


def statistics(report: MigrationReport, errors: Sequence[str], shown: int | None = None) -> Iterator[str]:
    """What hdev's own command prints at its end."""
    skipped = report.skipped + report.conflicts
    counts = f"{report.copied} entries {'would be' if report.dry_run else 'were'} copied, {skipped} skipped"
    done = "simulation completed" if report.dry_run else "completed with errors" if errors else "completed"
    if report.found:
        yield f"Migration {done}. {counts}, {report.failed} failed."
    else:
        yield "No entries found to migrate"
    yield ""
    yield "Migration Statistics:"
    yield f"  Total entries found: {report.found}"
    yield f"  Entries copied: {report.copied}"
    yield f"  Entries skipped: {skipped}"
    if report.conflicts:
        yield f"    of which {report.conflicts} differ"
    yield f"  Entries failed: {report.failed}"
    if errors:
        yield ""
        yield "Errors:"
        yield from (f"  {error}" for error in errors[:shown])
        if shown is not None and len(errors) > shown:
            yield f"  ... and {len(errors) - shown} more errors"


def _error(entry: Entry) -> str:
    return f"{entry.source.id}: {entry.reason}"
