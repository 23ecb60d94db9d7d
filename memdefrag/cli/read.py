"""Commands that only read: inspect, analyze (which has a file of its own), search, history, show."""

from __future__ import annotations

from typing import Annotated

import typer

from memdefrag.base.errors import ModelUnavailable
from memdefrag.cli.analyze import analyze
from memdefrag.cli.run import Run, command

Store = Annotated[str, typer.Argument(metavar="STORE", help="A path or an address (see docs/addresses.md).")]
OnlyOf = Annotated[str | None, typer.Argument(metavar="STORE", help="Only what was done to this store.")]
StepName = Annotated[str, typer.Argument(metavar="STEP", help="A step of history (or its beginning).")]
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
        "links": {"made": list(map(asdict, found.linked)), "removed": list(map(asdict, found.unlinked))},
    }
    run.answer({"step": told}, *show.step(found))
