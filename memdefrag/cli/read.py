"""Commands that only read: inspect, analyze, search, history, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.base.errors import ModelUnavailable, UsageError
from memdefrag.cli.looking import Looking, look, plan_of
from memdefrag.cli.output import as_typed
from memdefrag.cli.run import Run, command

if TYPE_CHECKING:
    from memdefrag.analysis.result import Group

Store = Annotated[str, typer.Argument(metavar="STORE", help="A path or an address (see docs/addresses.md).")]
Stores = Annotated[
    list[str], typer.Argument(metavar="STORE...", help="One store, or several to compare with each other.")
]
OnlyOf = Annotated[str | None, typer.Argument(metavar="STORE", help="Only what was done to this store.")]
StepName = Annotated[str, typer.Argument(metavar="STEP", help="A step of history (or its beginning).")]
Save = Annotated[
    Path | None, typer.Option("--save", metavar="PLAN", help="Write a plan of all sure merges to this file.")
]
ReportFile = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Also write what was found to this .csv or .html file.")
]
Query = Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many memories to show.")]
NoModel = Annotated[bool, typer.Option("--no-model", help="Compare words instead of meanings.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    command(app, "inspect")(inspect)
    command(app, "analyze")(analyze)
    command(app, "search")(search)
    command(app, "history")(history)
    command(app, "show")(show_step)


def inspect(run: Run, store: Store) -> None:
    """Show what a store holds and how it is, without changing anything."""
    from memdefrag.cli import show
    from memdefrag.engine.inspect import inspect as look_at
    from memdefrag.engine.steady import steadily

    summary = steadily(store, run.progress, look_at)
    run.tell_state(summary.state)
    run.answer(summary.as_dict(), *show.summary(summary))


def analyze(run: Run, looking: Looking, stores: Stores, save: Save = None, report: ReportFile = None) -> None:
    """Find memories that say the same thing, and those that contradict each other. Changes nothing."""
    from memdefrag.base.fsops import write_durable
    from memdefrag.cli import reporting, show
    from memdefrag.model.plan import dump
    from memdefrag.reports.rows import as_bytes, require_known

    if report:
        require_known(report)
    if save and len(stores) > 1:
        raise UsageError("A plan is about one store; --save takes no more.")
    for file in filter(None, (save, report)):
        if not file.expanduser().resolve().parent.is_dir():
            raise UsageError(f"There is no folder {file.parent}.", todo="Make it, or name another one.")
    snapshots, found = look(run, stores, looking)

    def survivor(group: Group) -> int:
        return looking.choice(found, group.members).survivor

    lines = list(show.analysis(found, survivor, looking.threshold))
    if save:
        plan = plan_of(found, snapshots[0], looking.sure(found), looking)
        write_durable(save.expanduser().resolve(), dump(plan))
        lines.append(f"The plan of all sure merges: {save}. To carry it out: {as_typed('apply', save)}")
    if report:
        told = as_bytes(reporting.report(found, survivor, looking.threshold), report)
        write_durable(report.expanduser().resolve(), told)
        lines.append(f"The report: {report}")
    run.answer(found.as_dict(looking.threshold, survivor), *lines)


def search(run: Run, store: Store, query: Query, limit: Limit = 10, no_model: NoModel = False) -> None:
    """Find the memories nearest to a query, by meaning or (without a model) by their words."""
    from memdefrag.cli import show
    from memdefrag.engine.embedding import with_model
    from memdefrag.engine.search import search as find
    from memdefrag.engine.steady import read_steadily

    snapshot, state = read_steadily(store, run.progress)
    run.tell_state(state)
    try:
        hits = find(snapshot, query, limit, None if no_model else with_model(run.progress))
    except ModelUnavailable as error:
        run.note(f"{error.message} Searching by words instead.")
        hits = find(snapshot, query, limit)
    listed = [
        {
            "collection": hit.record.key.collection,
            "id": hit.record.key.id,
            "score": round(hit.score, 4),
            "method": hit.method,
            "text": hit.record.text,
        }
        for hit in hits
    ]
    run.answer({"store": store, "query": query, "hits": listed}, *show.hits(hits))


def history(run: Run, store: OnlyOf = None) -> None:
    """List what was changed, newest first, and what of it was undone."""
    from dataclasses import asdict

    from memdefrag.cli import show
    from memdefrag.engine import history as past
    from memdefrag.stores.registry import resolve

    of = resolve(store) if store else None
    steps, states, damaged = past.steps(of), past.states(of), past.damaged(of)
    left = {step.id: len(past.left(step)) for step in steps if states[step.id] is past.StepState.PARTLY}
    listed = [
        {
            **asdict(step),
            "state": states[step.id],
            "undone": states[step.id] is past.StepState.UNDONE,
            "left": left.get(step.id, 0),
        }
        for step in steps
    ]
    run.answer({"steps": listed, "damaged": damaged}, *show.history(steps, states, left, damaged))


def show_step(run: Run, step: StepName) -> None:
    """Show what a step did to each memory, before and after."""
    from dataclasses import asdict

    from memdefrag.cli import show
    from memdefrag.engine import history as past
    from memdefrag.engine.step_details import show as look_into

    found = look_into(past.find(step))
    told = {
        **asdict(found.step),
        "state": found.state,
        "left": [list(key) for key in found.left],
        "records": [change.as_dict() for change in found.records],
    }
    run.answer({"step": told}, *show.step(found))
