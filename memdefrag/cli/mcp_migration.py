"""Memory Service's script `mcp-migration.py`, as its guide types it: from one Chroma to another, local or remote.

Same options, same configurations, same function `migrate_memories`; underneath, the engine of `memdefrag migrate`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memdefrag.base.errors import UsageError
from memdefrag.base.progress import Progress
from memdefrag.base.secrets import keep
from memdefrag.cli.applying import Writing, with_writer
from memdefrag.cli.main import run_app
from memdefrag.cli.run import Run, command
from memdefrag.model.address import Address
from memdefrag.model.migration import Conflict, MigrateOptions, MigrationReport, Pace

if TYPE_CHECKING:
    from memdefrag.engine.apply import ApplyOptions

NAME = "mcp-migration.py"
PORT = 8000
_CONFIG = '--{side}-config is a path, or JSON such as {{"host": "HOST", "port": 8000}} or {{"path": "FOLDER"}}.'
_KEYS = ("token", "api_key")


class Type(StrEnum):
    """Where a Chroma is."""

    LOCAL = "local"
    REMOTE = "remote"


SourceType = Annotated[Type | None, typer.Option("--source-type", help="May stand in the configuration, too.")]
TargetType = Annotated[Type | None, typer.Option("--target-type", help="May stand in the configuration, too.")]
SourceConfig = Annotated[str, typer.Option("--source-config", metavar="PATH|JSON", help="The Chroma that is read.")]
TargetConfig = Annotated[str, typer.Option("--target-config", metavar="PATH|JSON", help="The Chroma that is written.")]
SourceCollection = Annotated[
    str | None, typer.Option(metavar="NAME", help="Default: memory_collection, or the only one.")
]
TargetCollection = Annotated[str | None, typer.Option(metavar="NAME", help="Default: the source's name.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", min=1, metavar="N", help="Memories in one request.")]
Delay = Annotated[float, typer.Option("--delay", min=0.0, metavar="SECONDS", help="Between two requests.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write over memories that are there and differ.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a migration that was interrupted.")]
Check = Annotated[bool, typer.Option("--check", "--verify-only", help="Only verify the environment.")]


def main(arguments: Sequence[str]) -> int:
    """Run the script and return its exit code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command(app, NAME)(_migrate)
    return run_app(app, arguments, NAME)


def migrate_memories(
    source_type: str | None,
    source_config: str | Mapping[str, Any],
    target_type: str | None,
    target_config: str | Mapping[str, Any],
    *,
    source_collection: str | None = None,
    options: MigrateOptions | None = None,
    progress: Progress | None = None,
) -> MigrationReport:
    """Copy the memories of one Chroma into another; each is a folder's path or a configuration as the guide has it.

    Raises:
        MemdefragError: whatever failed; nothing is swallowed.
    """
    from memdefrag.engine.migrate.run import migrate

    source = _source(place("source", source_type, source_config), source_collection)
    return migrate(source, place("target", target_type, target_config), options, progress=progress)


def place(side: str, type: str | None, config: str | Mapping[str, Any]) -> Address:
    """The store that a type and a configuration name.

    Args:
        config: a path; ``{"path"}``; ``{"host", "port", "ssl", "token", "tenant", "database", "collection"}``, of which
            only `host` must be there; JSON of either; or the whole object ``{"type", "config"}``.

    Raises:
        UsageError: it cannot be understood.
    """
    said = _parsed(side, config)
    if isinstance(said, Mapping) and "config" in said:
        type, said = str(said.get("type") or type), _parsed(side, said["config"])
    if type not in tuple(Type):
        raise UsageError(f"--{side}-type is local or remote.")
    wanted = "path" if type == Type.LOCAL else "host"
    values = {wanted: said} if isinstance(said, str) else said
    if not isinstance(values.get(wanted), str) or not values[wanted]:
        raise UsageError(f"A {type} {side} needs {wanted!r}.", todo=_CONFIG.format(side=side))
    collection = values.get("collection") or None
    if type == Type.LOCAL:
        return Address("chroma", str(Path(values["path"]).expanduser().absolute()), collection)
    return _server(side, values, collection)


def _server(side: str, values: Mapping[str, Any], collection: str | None) -> Address:
    try:
        port = int(values.get("port") or PORT)
    except (TypeError, ValueError):
        raise UsageError(f"The port of the {side} is no number.") from None
    host = f"{values['host']}:{port}"
    for name in _KEYS:
        if values.get(name):
            keep(host, str(values[name]))
    query = "&".join(f"{name}={values[name]}" for name in ("tenant", "database") if values.get(name))
    kind = "chroma+https" if values.get("ssl") else "chroma+http"
    return Address(kind, f"//{host}/{'?' + query if query else ''}", collection)


def _parsed(side: str, config: str | Mapping[str, Any]) -> str | Mapping[str, Any]:
    """A path, or the object that JSON says."""
    if isinstance(config, Mapping) or not config.lstrip().startswith("{"):
        return config
    try:
        said = json.loads(config)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--{side}-config is not JSON: {error}.", todo=_CONFIG.format(side=side)) from error
    return dict(said)


def _source(address: Address, collection: str | None) -> Address:
    """The source with the collection that is meant."""
    from memdefrag.engine.exchange import choose_collection
    from memdefrag.stores.registry import open_store

    with open_store(address) as store:
        # Asked first: a server that does not answer has no collections to choose from.
        assert store.exists
        return address.select(choose_collection(store.collections(), collection or address.collection, str(address)))


def _migrate(
    run: Run,
    writing: Writing,
    source_config: SourceConfig,
    target_config: TargetConfig,
    source_type: SourceType = None,
    target_type: TargetType = None,
    source_collection: SourceCollection = None,
    target_collection: TargetCollection = None,
    batch_size: BatchSize = None,
    delay: Delay = 0.0,
    overwrite: Overwrite = False,
    resume: Resume = False,
    check: Check = False,
) -> None:
    """Copy the memories of one Chroma into another, compare, and be able to go back. The source is only read."""
    from memdefrag.cli import show_migration
    from memdefrag.engine.migrate.run import Means, migrate

    source, target = place("source", source_type, source_config), place("target", target_type, target_config)
    if check:
        show_migration.answer_checks(run, [str(source), str(target)])
        return
    options = MigrateOptions(
        conflict=Conflict.OVERWRITE if overwrite else Conflict.SKIP,
        target_collection=target_collection,
        pace=Pace(batch_size, delay),
        dry_run=writing.dry_run,
        resume=resume,
    )
    chosen = _source(source, source_collection)

    def work(given: ApplyOptions) -> MigrationReport:
        return migrate(chosen, target, options, Means(given.writer, confirm_shrink=given.confirm_shrink), run.progress)

    show_migration.answer(run, [with_writer(run, str(target), writing, work)])
