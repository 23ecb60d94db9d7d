"""`memdefrag migrate`: the memories of one or more stores into another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.base.errors import UsageError
from memdefrag.cli import recollecting
from memdefrag.cli.applying import Owner, Writing, name_owner, with_writer
from memdefrag.cli.modelling import Modelling
from memdefrag.cli.recollecting import Renewing
from memdefrag.cli.run import Run, command
from memdefrag.model.migration import GENTLE, Conflict, Depth, MetadataMap, MigrateOptions, Pace, Selection

if TYPE_CHECKING:
    from memdefrag.engine.apply import ApplyOptions
    from memdefrag.model.migration import MigrationReport

Stores = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE... TARGET", help="The stores to read, and last the one to write.", show_default=False
    ),
]
Check = Annotated[bool, typer.Option("--check", help="Only look whether all is there that the migration needs.")]


@dataclass(frozen=True)
class Choosing:
    """Which memories, and what they are called over there."""

    prefix: Annotated[str, typer.Option(metavar="TEXT", help="Only memories whose id begins so.")] = ""
    where: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only those with this in their metadata. Repeatable.")
    ] = None
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Only those with this tag. Repeatable.")] = None
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only those made or changed since: a date, a moment, or 7d, 24h.")
    ] = None
    map_metadata: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Drop, rename and set metadata as this JSON file says.")
    ] = None
    target_collection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where all go; otherwise each into a collection of its own name.")
    ] = None
    rename_collection: Annotated[
        list[str] | None, typer.Option(metavar="OLD=NEW", help="Another name in the target. Repeatable.")
    ] = None
    skip_duplicates: Annotated[
        bool, typer.Option("--skip-duplicates", help="Leave out what surely says the same as another memory.")
    ] = False


@dataclass(frozen=True)
class Meeting:
    """What happens where the target has something already."""

    on_conflict: Annotated[
        Conflict, typer.Option(help="Where a name is taken by another memory.", case_sensitive=False)
    ] = Conflict.SKIP
    overwrite: Annotated[bool, typer.Option("--overwrite", help="The same as --on-conflict overwrite.")] = False
    catch_up: Annotated[
        bool, typer.Option("--catch-up", help="Only what was added or changed since the last migration of the two.")
    ] = False
    mirror: Annotated[
        bool, typer.Option("--mirror", help="With --catch-up: also remove what disappeared from the source since.")
    ] = False


@dataclass(frozen=True)
class Vectoring:
    """Whose vectors the target gets."""

    preserve_embeddings: Annotated[
        bool, typer.Option("--preserve-embeddings", help="Keep the source's vectors. This is the default.")
    ] = False
    re_embed: Annotated[str | None, typer.Option(metavar="MODEL", help="Make all vectors anew with this model.")] = None


@dataclass(frozen=True)
class Pacing:
    """How fast a server is written, and how much is compared afterwards."""

    batch_size: Annotated[int | None, typer.Option(min=1, metavar="N", help="Memories in one request.")] = None
    delay: Annotated[float, typer.Option(min=0.0, metavar="SECONDS", help="Between two requests.")] = 0.0
    max_rate: Annotated[float | None, typer.Option(min=0.01, metavar="N", help="Memories in a second at most.")] = None
    timeout: Annotated[
        float | None, typer.Option(min=1.0, metavar="SECONDS", help="When a server that says nothing is given up.")
    ] = None
    gentle: Annotated[
        bool, typer.Option("--gentle", help="10 memories at once and a second between, for a server that is in use.")
    ] = False
    verify: Annotated[Depth, typer.Option(help="How much is compared once more in the end.")] = Depth.SAMPLE
    rollback_on_failure: Annotated[
        bool,
        typer.Option("--rollback-on-failure", help="Take everything back where a memory is refused or differs."),
    ] = False
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a migration that was interrupted.")] = False


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "migrate")(migrate)


def migrate(
    run: Run,
    choosing: Choosing,
    meeting: Meeting,
    vectoring: Vectoring,
    renewing: Renewing,
    pacing: Pacing,
    modelling: Modelling,
    writing: Writing,
    stores: Stores = None,
    check: Check = False,
    owner: Owner = None,
) -> None:
    """Copy the memories of a store into another one, compare, and be able to go back. The source is only read."""
    from memdefrag.cli import show_migration

    if pacing.timeout:
        set_timeout(pacing.timeout)
    name_owner(owner)
    if check:
        show_migration.answer_checks(run, stores or [])
        return
    *sources, target = stores or [""]
    if not sources:
        raise UsageError("A migration needs a source and a target.", todo="Say: memdefrag migrate SOURCE TARGET")
    if len(sources) > 1 and writing.dry_run and meeting.catch_up is False:
        run.note("Each store is rehearsed by itself; what one of them brings the next will find there.")
    options = migrate_options(choosing, meeting, vectoring, pacing, dry_run=writing.dry_run)
    if recollecting.is_meant(sources, target, renewing, options):
        recollecting.carry_out(run, target, renewing, options, modelling.options())
        return
    reports = [carry_out(run, source, target, options, modelling, writing) for source in sources]
    show_migration.answer(run, reports)


def carry_out(
    run: Run, source: str, target: str, options: MigrateOptions, modelling: Modelling, writing: Writing
) -> MigrationReport:
    """Migrate one store; where an older Chroma folder or a removal needs a choice and somebody is there, ask."""
    from memdefrag.engine.migrate.run import Means, migrate

    def work(given: ApplyOptions) -> MigrationReport:
        means = Means(given.writer, modelling.options(), given.confirm_shrink)
        return migrate(source, target, options, means, run.progress)

    return with_writer(run, target, writing, work)


def migrate_options(
    choosing: Choosing, meeting: Meeting, vectoring: Vectoring, pacing: Pacing, *, dry_run: bool
) -> MigrateOptions:
    """What the engine takes.

    Raises:
        UsageError: two options contradict each other, or one cannot be understood.
    """
    from memdefrag.engine.migrate import mapping, selection

    if vectoring.preserve_embeddings and vectoring.re_embed:
        raise UsageError("--preserve-embeddings and --re-embed contradict each other.")
    if meeting.overwrite and meeting.on_conflict not in (Conflict.SKIP, Conflict.OVERWRITE):
        raise UsageError(f"--overwrite and --on-conflict {meeting.on_conflict} contradict each other.")
    if meeting.mirror and not meeting.catch_up:
        raise UsageError("--mirror goes with --catch-up: only then it is known what disappeared.")
    if choosing.target_collection and choosing.rename_collection:
        raise UsageError("Name either --target-collection or --rename-collection.")
    since = selection.parse_since(choosing.since) if choosing.since else None
    pace = Pace(pacing.batch_size, pacing.delay, pacing.max_rate)
    if pacing.gentle:
        pace = replace(GENTLE, max_rate=pacing.max_rate)
    return MigrateOptions(
        conflict=Conflict.OVERWRITE if meeting.overwrite else meeting.on_conflict,
        selection=Selection(
            choosing.prefix, selection.parse_where(choosing.where or ()), frozenset(choosing.tag or ()), since
        ),
        metadata=mapping.load(choosing.map_metadata) if choosing.map_metadata else MetadataMap(),
        target_collection=choosing.target_collection,
        rename=_pairs(choosing.rename_collection or []),
        re_embed=vectoring.re_embed,
        skip_duplicates=choosing.skip_duplicates,
        verify=pacing.verify,
        pace=pace,
        dry_run=dry_run,
        resume=pacing.resume,
        catch_up=meeting.catch_up,
        mirror=meeting.mirror,
        rollback_on_failure=pacing.rollback_on_failure,
    )


def set_timeout(seconds: float) -> None:
    """Give servers so long from now on."""
    import os

    from memdefrag.base.settings import TIMEOUT_VARIABLE

    os.environ[TIMEOUT_VARIABLE] = str(seconds)


def _pairs(given: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in given:
        old, equals, new = each.partition("=")
        if not equals or not old or not new:
            raise UsageError(f"--rename-collection wants OLD=NEW, not {each!r}.")
        pairs[old] = new
    return pairs
