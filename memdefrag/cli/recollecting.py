"""`memdefrag migrate STORE#C STORE#C`: a collection on a Chroma server is made anew under its own name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.base.errors import UsageError
from memdefrag.cli.applying import answer
from memdefrag.cli.run import Run

if TYPE_CHECKING:
    from memdefrag.engine.compare import ModelOptions
    from memdefrag.model.migration import MigrateOptions

ITSELF = "For a collection on a Chroma server, migrated into itself: "


@dataclass(frozen=True)
class Renewing:
    """What is only for a collection that is migrated into itself."""

    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help=ITSELF + "make it anew under cosine, l2 or ip.")
    ] = None
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help=ITSELF + "remove the old collection, which is kept otherwise.")
    ] = False

    def __bool__(self) -> bool:
        return bool(self.metric or self.drop_old)


def is_meant(sources: list[str], target: str, renewing: Renewing, options: MigrateOptions) -> bool:
    """Whether a collection is to be made anew rather than copied.

    Raises:
        UsageError: it is, but not on a Chroma server, or with options that mean nothing there.
    """
    from memdefrag.engine.migrate.places import is_same
    from memdefrag.model.migration import MigrateOptions
    from memdefrag.stores.registry import resolve_new

    if not (renewing or options.re_embed):
        return False
    one, other = resolve_new(sources[0]), resolve_new(target)
    into_itself = len(sources) == 1 and is_same(one, other) and one.collection == other.collection
    if not into_itself:
        if renewing:
            raise UsageError("--metric and --drop-old are for a collection on a Chroma server, migrated into itself.")
        return False
    if not one.kind.startswith("chroma+"):
        raise UsageError(
            f"{one.location} cannot be made anew in its own place.",
            todo="Migrate into a new one, and let the programs use that: memdefrag migrate STORE NEW --re-embed MODEL",
        )
    given = replace(options, re_embed=None, dry_run=False, pace=MigrateOptions().pace, verify=MigrateOptions().verify)
    if given != MigrateOptions():
        raise UsageError("A collection that is migrated into itself stays whole: name only --re-embed and --metric.")
    return True


def carry_out(run: Run, address: str, renewing: Renewing, options: MigrateOptions, model: ModelOptions) -> None:
    """Make the collection anew; where only --drop-old is said, remove what was kept of earlier times."""
    from memdefrag.engine.recollect import kept, let_go, recollect, with_named

    if not (renewing.metric or options.re_embed):
        gone = kept(address)
        for each in gone if not options.dry_run else ():
            let_go(each)
        would = "would be " if options.dry_run else ""
        said = [f"{each} {would}removed." for each in gone] or ["No old collection is kept."]
        run.answer({"removed": gone, "dry_run": options.dry_run}, *said)
        return
    embed, function = None, None
    if options.re_embed:
        embed, function = with_named(address, replace(model, name=options.re_embed), run.progress)
    if not options.dry_run:
        run.keep_log()
    report = recollect(
        address,
        metric=renewing.metric,
        embed=embed,
        function=function,
        drop_old=renewing.drop_old,
        dry_run=options.dry_run,
        progress=run.progress,
    )
    answer(run, report)
