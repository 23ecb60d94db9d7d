"""`memdefrag migrate-memory`: hdev's command of that name, with its options, its text form and what it prints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from memdefrag.base.errors import UsageError
from memdefrag.base.wording import count
from memdefrag.cli import output, text_form
from memdefrag.cli.run import Run, command
from memdefrag.model.address import Address, parse
from memdefrag.model.migration import Conflict, Entry, MigrateOptions, MigrationReport, Outcome, Selection

if TYPE_CHECKING:
    from memdefrag.stores.hdev.files import HdevFiles


class Backend(StrEnum):
    """Where hdev keeps memories."""

    FILESYSTEM = "filesystem"
    HTTP = "http"


TEXT_FORM = '!migrate_memory target_config="http:https://HOST" source_config="filesystem" overwrite=false dry_run=true'
ERRORS_OF_TEXT_FORM = 5
"""So many errors the text form lists; the command lists all."""

NAMED = 5
"""So many names stand in a hint."""

_KEYS = ("target_config", "source_config", "overwrite", "dry_run")
_CONFIG = re.compile(r"filesystem(?::.*)?|http(?::https?://.+)?", re.S)
_BOOLEANS = {"true": True, "false": False}

Text = Annotated[
    list[str] | None, typer.Argument(metavar="[TEXT]", help=f"Or all of it in hdev's text form: {TEXT_FORM}")
]
Source = Annotated[Backend | None, typer.Option("--source", help="Where the memories are; filesystem if not said.")]
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
    overwrite: bool = False
    dry_run: bool = False
    shown: int | None = None


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "migrate-memory")(migrate_memory)


def migrate_memory(
    run: Run,
    text: Text = None,
    source: Source = None,
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
    from memdefrag.stores.hdev import config

    for warning in config.load().warnings:
        run.note(warning)
    if text:
        if source or target or source_path or target_path or source_url or target_url:
            raise UsageError("The text form says both ends itself: it goes with no --source or --target option.")
        wanted = said_in_text(text)
    elif target is None:
        raise UsageError("--target is required: filesystem or http.")
    else:
        here = _end("source", source or Backend.FILESYSTEM, source_path, source_url)
        wanted = Wanted(here, _end("target", target, target_path, target_url))
    wanted = replace(wanted, overwrite=wanted.overwrite or overwrite, dry_run=wanted.dry_run or dry_run)
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


def said_in_text(text: Sequence[str]) -> Wanted:
    """What hdev's text form asks for: ``!migrate_memory key=value …``, in one piece or several.

    Raises:
        UsageError: a key or value that it does not know, or no target.
    """
    values = text_form.pairs(text, _KEYS)
    if not values.get("target_config"):
        raise UsageError("The text form needs target_config.", todo=f"As in: {TEXT_FORM}")
    return Wanted(
        _configured("source_config", values.get("source_config") or Backend.FILESYSTEM),
        _configured("target_config", values["target_config"]),
        _boolean("overwrite", values),
        _boolean("dry_run", values),
        ERRORS_OF_TEXT_FORM,
    )


def _configured(key: str, value: str) -> Address:
    if not _CONFIG.fullmatch(value):
        raise UsageError(
            f"{key} is filesystem, filesystem:FOLDER or http:URL, not {value!r}.", todo=f"As in: {TEXT_FORM}"
        )
    backend, _, place = value.partition(":")
    side = key.removesuffix("_config")
    if backend == Backend.FILESYSTEM:
        return _end(side, Backend.FILESYSTEM, Path(place) if place else None, None)
    return _end(side, Backend.HTTP, None, place or None)


def _boolean(key: str, values: dict[str, str]) -> bool:
    said = values.get(key, "false").lower()
    if said not in _BOOLEANS:
        raise UsageError(f"{key} is true or false, not {said!r}.")
    return _BOOLEANS[said]


def _end(side: str, backend: Backend, path: Path | None, url: str | None) -> Address:
    """The store that one side's options name."""
    from memdefrag.stores.hdev.config import load

    if backend is Backend.FILESYSTEM:
        if url:
            raise UsageError(f"--{side}-url goes with --{side} http.")
        return _full(Address("hdev", str(path.expanduser().absolute()) if path else ""))
    if path:
        raise UsageError(f"--{side}-path goes with --{side} filesystem.")
    url = url or load().url
    if not url:
        raise UsageError(f"--{side}-url is required for HTTP {side}")
    if not url.lower().startswith(("http://", "https://")):
        raise UsageError(f"--{side}-url is no URL of a server: it begins with http:// or https://.")
    return _full(parse(f"hdev+{url}"))


def _full(address: Address) -> Address:
    from memdefrag.stores.registry import store_class

    return store_class(address.kind).located(address)


def _backend(address: Address) -> Backend:
    return Backend.FILESYSTEM if address.is_local else Backend.HTTP


def _answer(run: Run, report: MigrationReport, wanted: Wanted) -> None:
    ignored = _tell_of_folder(run, wanted.source)
    for warning in report.warnings:
        run.note(warning)
    for entry in report.entries:
        if entry.outcome is not Outcome.COPY:
            run.detail(f"{entry.source.id}: {entry.outcome}: {entry.reason}")
    copied = (entry for entry in report.entries if entry.outcome is Outcome.COPY)
    renamed = [f"{each.source.id} as {each.target.id}" for each in copied if each.source.id != each.target.id]
    if renamed:
        run.note(f"{count(len(renamed), 'entry goes', 'entries go')} by another name there: {_some(renamed)}.")
    for loss, concerned in report.losses.items():
        run.note(f"Has no place there: {loss} ({count(concerned, 'entry', 'entries')}).")
    if report.backup:
        run.note(f"Backup from before: {report.backup}")
    if report.step:
        run.note(f"To take it back: {output.as_typed('undo', report.step)}")
    errors = [_error(entry) for entry in report.entries if entry.outcome is Outcome.FAIL]
    errors += report.checked.differences if report.checked else ()
    said = {**report.as_dict(), "ignored": ignored}
    run.answer(said, *statistics(report, errors, wanted.shown), failures=bool(errors))


def _tell_of_folder(run: Run, source: Address) -> list[str]:
    """Say what a folder has that is no entry, or only half of one. Returns the paths that were left out."""
    from memdefrag.stores.registry import open_store

    if not source.is_local:
        return []
    with open_store(source) as store:
        folder = cast("HdevFiles", store)
        bare, ignored = folder.without_metadata(), folder.ignored()
    if bare:
        have = count(len(bare), "entry has", "entries have")
        run.note(f"{have} no metadata file and goes with empty metadata: {_some(bare)}.")
    for path, what in ignored:
        run.detail(f"{path}: ignored: {what}")
    return [path for path, _ in ignored]


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


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
