"""Carrying out a plan for any command: the options that say how, the questions, and the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from memdefrag.base.errors import Cancelled, ConfirmationNeeded, UsageError, WriterNeeded
from memdefrag.cli.proving import Proving
from memdefrag.cli.run import Run

if TYPE_CHECKING:
    from memdefrag.engine.apply import ApplyOptions
    from memdefrag.model.plan import Plan
    from memdefrag.model.report import ApplyReport

Done = TypeVar("Done")

YES = ("y", "yes")
Owner = Annotated[
    str | None,
    typer.Option(
        "--owner", metavar="ID", help="In a database of several users: to whom memories go whose owner is none of them."
    ),
]
_OLDER = "For stores of an older Chroma: "


@dataclass(frozen=True)
class Writing:
    """The options of every command that writes a store."""

    dry_run: Annotated[bool, typer.Option("--dry-run", help="Work everything out, report it, write nothing.")] = False
    confirm_shrink: Annotated[
        bool, typer.Option("--confirm-shrink", help="Go on although more than 30 % of the memories disappear.")
    ] = False
    chroma_python: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help=_OLDER + "write with the chromadb of this Python (its service's own)."),
    ] = None
    make_environment: Annotated[
        bool, typer.Option("--make-environment", help=_OLDER + "install the fitting chromadb for memdefrag alone.")
    ] = False
    upgrade_format: Annotated[
        bool, typer.Option("--upgrade-format", help=_OLDER + "upgrade it for good; its service must be upgraded too.")
    ] = False
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help=_OLDER + "leave it alone and write the result to a new folder."),
    ] = None

    def options(self, run: Run) -> ApplyOptions:
        """What the engine takes.

        Raises:
            UsageError: two ways of writing were named.
        """
        from memdefrag.engine.apply import ApplyOptions
        from memdefrag.engine.embedding import with_model
        from memdefrag.engine.writers import WriterOptions

        if sum(map(bool, (self.chroma_python, self.make_environment, self.upgrade_format, self.output))) > 1:
            raise UsageError("Name one of --chroma-python, --make-environment, --upgrade-format and --output.")
        writer = WriterOptions(self.chroma_python, self.upgrade_format, self.make_environment, self.output)
        return ApplyOptions(self.dry_run, writer, self.confirm_shrink, with_model(run.progress))


def name_owner(owner: str | None) -> None:
    """Give memories whose own owner is no user of the target to this one from now on."""
    import os

    from memdefrag.stores.postgres.tables import OWNER_VARIABLE

    if owner:
        os.environ[OWNER_VARIABLE] = owner


def carry_out(
    run: Run, plan: Plan, writing: Writing, proving: Proving | None = None, *, no_model: bool = False
) -> ApplyReport:
    """Apply a plan; where an older store needs a choice and somebody is there, ask for it.

    Args:
        no_model: the person's own queries are compared by words.
    """
    from memdefrag.engine.apply import apply
    from memdefrag.engine.planning import named_records

    proof = (proving or Proving()).options(by_words=no_model)
    report = with_writer(
        run, plan.target, writing, lambda options: apply(plan, replace(options, proof=proof), run.progress)
    )
    for line in named_records(plan):
        run.detail(line)
    return report


def with_writer(run: Run, store: str, writing: Writing, work: Callable[[ApplyOptions], Done]) -> Done:
    """Do the work; where it needs a choice or an agreement and somebody is there, ask and do it again.

    Raises:
        WriterNeeded, ConfirmationNeeded: nobody is there to choose or to agree; nothing was written.
    """
    if not writing.dry_run:
        run.keep_log()
    while True:
        try:
            return work(writing.options(run))
        except WriterNeeded as error:
            if not run.interactive:
                raise
            run.note(error.message)
            writing = _ask_for_writer(run, store, writing)
        except ConfirmationNeeded as error:
            if not run.interactive or writing.confirm_shrink:
                raise
            run.note(error.message)
            if run.ask("Go on all the same? (y/n)").lower() not in YES:
                raise Cancelled from error
            writing = replace(writing, confirm_shrink=True)


def answer(run: Run, report: ApplyReport, *hints: str, **more: Any) -> None:
    """The end of a command that wrote, or rehearsed, a store.

    Args:
        hints: lines after the report; `more`: what they say, for --json.
    """
    from memdefrag.cli import show

    for skipped in report.skipped:
        run.detail(f"skipped {skipped.record}: {skipped.reason}")
    for kept in report.kept:
        run.detail(f"kept {kept.record}: {kept.reason}")
    run.answer({**report.as_dict(), **more}, *show.report(report), *hints, failures=bool(report.skipped))


def _ask_for_writer(run: Run, store: str, writing: Writing) -> Writing:
    """Let the person choose who writes a store that an older library made."""
    from memdefrag.engine import writers
    from memdefrag.stores.registry import open_store

    with open_store(store) as opened:
        found = writers.candidates(opened)
        megabytes = writers.megabytes(opened)
    ways: list[tuple[str, Writing | None]] = [
        (f"write with {each.python} ({each.where})", replace(writing, chroma_python=Path(each.python)))
        for each in found
    ]
    ways += [
        (
            f"install the fitting chromadb for memdefrag alone (about {megabytes} MB)",
            replace(writing, make_environment=True),
        ),
        (
            "upgrade the store for good (its service stops working until it is upgraded too)",
            replace(writing, upgrade_format=True),
        ),
        ("write the result to a new folder and leave this one", None),
    ]
    for number, (what, _) in enumerate(ways, start=1):
        run.note(f"  {number}  {what}")
    chosen = run.ask("Which way (a number, Enter to stop)")
    if not chosen.isdecimal() or not 1 <= int(chosen) <= len(ways):
        raise Cancelled
    return ways[int(chosen) - 1][1] or replace(writing, output=Path(run.ask("New folder")))
