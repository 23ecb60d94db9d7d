"""Memory Service's script `mcp-migration.py`, as its guide types it: from one Chroma to another, local or remote.

Same options, same configurations, same function `migrate_memories`; underneath, the engine of `memdefrag migrate`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from memdefrag.base.errors import UsageError
from memdefrag.base.progress import Progress
from memdefrag.base.secrets import keep
from memdefrag.cli import secrets
from memdefrag.cli.applying import Writing, with_writer
from memdefrag.cli.main import run_app
from memdefrag.cli.run import Run, command
from memdefrag.model.address import Address
from memdefrag.model.migration import Conflict, MigrateOptions, MigrationReport, Pace

if TYPE_CHECKING:
    from memdefrag.engine.apply import ApplyOptions
    from memdefrag.engine.migrate.run import Means

NAME = "mcp-migration.py"
BATCH = 500
"""Memories in one request; the guide's own is 10."""

Config = str | Path | Mapping[str, Any]

_KEYS = ("token", "api_key")
_KNOWN = ("path", "host", "port", "ssl", *_KEYS, "tenant", "database", "collection")
_SERVER = re.compile(r"https?://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\]]+):\S+", re.I)


class Type(StrEnum):
    """Where a Chroma is."""

    LOCAL = "local"
    REMOTE = "remote"


SourceType = Annotated[Type | None, typer.Option("--source-type", help="May stand in the configuration, too.")]
TargetType = Annotated[Type | None, typer.Option("--target-type", help="May stand in the configuration, too.")]
SourceConfig = Annotated[
    str | None, typer.Option("--source-config", metavar="PATH|JSON", help="The Chroma that is read: a folder, or JSON.")
]
TargetConfig = Annotated[
    str | None, typer.Option("--target-config", metavar="PATH|JSON", help="The Chroma that is written, likewise.")
]
SourceCollection = Annotated[
    str | None, typer.Option(metavar="NAME", help="Default: memory_collection, or the only one.")
]
TargetCollection = Annotated[str | None, typer.Option(metavar="NAME", help="Default: the source's name.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, metavar="N", help="Memories in one request.")]
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
    source_config: Config,
    target_type: str | None,
    target_config: Config,
    *,
    source_collection: str | None = None,
    options: MigrateOptions | None = None,
    means: Means | None = None,
    progress: Progress | None = None,
) -> MigrationReport:
    """Copy the memories of one Chroma into another; each is a folder's path or a configuration as the guide has it.

    Args:
        source_collection: None: memory_collection, or the only one.
        options, means: as `memdefrag.engine.migrate.run.migrate` takes them.

    Raises:
        MemdefragError: whatever failed; nothing is swallowed.
    """
    from memdefrag.engine.migrate.run import migrate

    source = _source(place("source", source_type, source_config), source_collection)
    options = options or MigrateOptions(pace=Pace(BATCH))
    return migrate(source, place("target", target_type, target_config), options, means, progress)


def place(side: str, type: str | None, config: Config) -> Address:
    """The store that a type and a configuration name.

    Args:
        side: source or target.
        config: a path; ``{"path"}``; ``{"host", "port", "ssl", "token", "tenant", "database"}``, of which only `host`
            must be there; JSON of either; or the whole object ``{"type", "config"}``. A `collection` may stand in it.

    Raises:
        UsageError: it cannot be understood.
    """
    said = _parsed(side, config)
    if isinstance(said, Mapping) and "config" in said:
        named = said.get("type", type)
        if type not in (None, named):
            raise UsageError(f"--{side}-type says {type}, the {side}'s configuration says {named}.")
        type, said = named, _parsed(side, said["config"])
    if type not in tuple(Type):
        raise UsageError(f"--{side}-type is local or remote{f', not {type!r}' if type else ''}.")
    wanted = "path" if type == Type.LOCAL else "host"
    values = {wanted: said} if isinstance(said, str) else said
    unknown = [name for name in values if name not in _KNOWN]
    if unknown:
        raise _unclear(side, f"The {side}'s configuration has a {unknown[0]!r}, which means nothing here.")
    if not isinstance(values.get(wanted), str) or not values[wanted].strip():
        raise _unclear(side, f"A {type} {side} needs {wanted!r}.")
    collection = values.get("collection") or None
    if type == Type.LOCAL:
        return Address("chroma", str(Path(values["path"]).expanduser().absolute()), collection)
    return _server(side, values, collection)


def _server(side: str, values: Mapping[str, Any], collection: str | None) -> Address:
    if values.get("ssl") not in (None, True, False):
        raise UsageError(f"The ssl of the {side} is true or false.")
    url = secrets.server_url(values)
    if not _SERVER.fullmatch(url):
        raise UsageError(f"The host of the {side} is no name of a server: {values['host']!r}.")
    if not _is_port(values.get("port")):
        raise UsageError(f"The port of the {side} is no port: {values['port']!r}.")
    for name in _KEYS:
        if values.get(name):
            keep(url, str(values[name]))
    scheme, _, host = url.partition(":")
    query = urlencode({name: values[name] for name in ("tenant", "database") if values.get(name)})
    return Address(f"chroma+{scheme}", f"{host}/{'?' * bool(query)}{query}", collection)


def _is_port(port: object) -> bool:
    """Whether it is a port's number, as number or text, or none was said."""
    return port is None or (str(port).isascii() and str(port).isdecimal() and 0 < int(str(port)) < 65_536)


def _parsed(side: str, config: object) -> str | Mapping[str, Any]:
    """A path, or the object that JSON says."""
    if isinstance(config, Path):
        return str(config)
    if isinstance(config, str) and config.lstrip().startswith("{"):
        try:
            config = json.loads(config)
        except (ValueError, RecursionError) as error:
            raise _unclear(side, f"--{side}-config is not JSON: {error}.") from error
    if not isinstance(config, str | Mapping):
        raise _unclear(side, f"The {side}'s configuration is neither a path nor an object.")
    return config


def _unclear(side: str, message: str) -> UsageError:
    return UsageError(
        message,
        todo=f'--{side}-config is a path, or JSON such as {{"host": "HOST", "port": 8000}} or {{"path": "FOLDER"}}.',
    )


def _source(address: Address, collection: str | None) -> Address:
    """The source with the collection that is meant.

    Raises:
        NotAStore, ServerError: it is not there, or does not answer: that is no empty source.
    """
    from memdefrag.engine.exchange import choose_collection
    from memdefrag.stores.registry import open_store

    with open_store(address) as store:
        return address.select(choose_collection(store.collections(), collection or address.collection, str(address)))


def _migrate(
    run: Run,
    writing: Writing,
    source_config: SourceConfig = None,
    target_config: TargetConfig = None,
    source_type: SourceType = None,
    target_type: TargetType = None,
    source_collection: SourceCollection = None,
    target_collection: TargetCollection = None,
    batch_size: BatchSize = BATCH,
    delay: Delay = 0.0,
    overwrite: Overwrite = False,
    resume: Resume = False,
    check: Check = False,
) -> None:
    """Copy the memories of one Chroma into another, compare, and be able to go back. The source is only read."""
    from memdefrag.cli import show_migration
    from memdefrag.engine.migrate.run import Means, migrate

    given = {"source": (source_type, source_config), "target": (target_type, target_config)}
    ends = {side: place(side, type, config) for side, (type, config) in given.items() if config}
    if check:
        show_migration.answer_checks(run, [str(end) for end in ends.values()])
        return
    for side in given:
        if side not in ends:
            raise _unclear(side, f"--{side}-config is missing.")
    source, target = ends["source"], ends["target"]
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
