"""memdefrag analyze: what says the same, what contradicts, and what another store holds already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memdefrag.base.errors import UsageError
from memdefrag.cli.looking import By, Looking, look, plan_of
from memdefrag.cli.modelling import Modelling
from memdefrag.cli.output import as_typed
from memdefrag.cli.run import Run
from memdefrag.cli.scoping import Scoping

if TYPE_CHECKING:
    from rich.console import RenderableType

    from memdefrag.analysis.result import Analysis, Group

Stores = Annotated[
    list[str], typer.Argument(metavar="STORE...", help="One store, or several to compare with each other.")
]
Save = Annotated[
    Path | None, typer.Option("--save", metavar="PLAN", help="Write a plan of all sure merges to this file.")
]
ReportFile = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Also write what was found to this .csv or .html file.")
]
Against = Annotated[
    str | None, typer.Option(metavar="STORE", help="Compare with this store only: what is there already?")
]
Across = Annotated[
    bool, typer.Option("--across-collections", help="Also compare memories of different collections.")
]
CompareMethods = Annotated[bool, typer.Option("--compare-methods", help="Also say what each method comes to.")]


def analyze(
    run: Run,
    looking: Looking,
    scoping: Scoping,
    modelling: Modelling,
    stores: Stores,
    save: Save = None,
    report: ReportFile = None,
    against: Against = None,
    across_collections: Across = False,
    compare_methods: CompareMethods = False,
) -> None:
    """Find memories that say the same thing, and those that contradict each other. Changes nothing."""
    from memdefrag.base.fsops import write_durable
    from memdefrag.cli import reporting
    from memdefrag.model.plan import dump
    from memdefrag.reports.files import as_bytes, require_known

    if report:
        require_known(report)
    if save and (len(stores) > 1 or against):
        raise UsageError("A plan is about one store; --save takes no more.")
    if compare_methods and looking.method is not By.COMBINED:
        raise UsageError("--compare-methods compares all methods; leave --method out.")
    for file in filter(None, (save, report)):
        if not file.expanduser().resolve().parent.is_dir():
            raise UsageError(f"There is no folder {file.parent}.", todo="Make it, or name another one.")
    snapshots, found = look(
        run, stores, looking, scoping, modelling, across_collections=across_collections, against=against
    )

    def survivor(group: Group) -> int:
        return looking.choice(found, group.members).survivor

    answer, lines = _told(run, found, looking, survivor, compare_methods)
    if save:
        plan = plan_of(found, snapshots[0], looking.sure(found), looking)
        write_durable(save.expanduser().resolve(), dump(plan))
        lines.append(f"The plan of all sure merges: {save}. To carry it out: {as_typed('apply', save)}")
    if report:
        told = as_bytes(reporting.report(found, survivor, found.options.threshold), report)
        write_durable(report.expanduser().resolve(), told)
        lines.append(f"The report: {report}")
    run.answer(answer, *lines)


def _told(
    run: Run, found: Analysis, looking: Looking, survivor: Callable[[Group], int], compare_methods: bool
) -> tuple[dict[str, Any], list[RenderableType]]:
    """What was found, as one object and for a person."""
    from memdefrag.analysis import known, methods
    from memdefrag.cli import show, show_looking

    # To tell apart every two that contradict each other takes long, and without --json only some are shown.
    answer = found.as_dict(survivor=survivor) if run.as_json else {}
    if found.options.against is None:
        lines = [] if run.as_json else list(show.analysis(found, survivor, found.options.threshold))
    else:
        listed = known.known(found, found.options.threshold)
        lines = list(show_looking.known(found, listed))
        answer |= {"against": found.stores[found.options.against], "known": known.as_dict(found, listed)}
    if compare_methods:
        rows = methods.compared(found, found.options.threshold, run.progress)
        answer["methods"] = [row.as_dict() for row in rows]
        lines += ["", show_looking.methods(rows)]
    return answer, lines
