"""Commands that change stores: apply, undo, redo, recover. (optimize stands in its own file.)"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memdefrag.base.errors import HistoryNotFound, UsageError
from memdefrag.cli import restoring
from memdefrag.cli.applying import Owner, Writing, answer, carry_out, name_owner
from memdefrag.cli.proving import Proving
from memdefrag.cli.run import Run, command

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="A file written by analyze --save.")]
To = Annotated[str | None, typer.Option("--to", metavar="STORE", help="Apply it to this copy of the store instead.")]
StepName = Annotated[str, typer.Argument(metavar="STEP", help="A step of history (or its beginning), or: last.")]
StoreOfLast = Annotated[str | None, typer.Argument(metavar="STORE", help="With last: the store it was done to.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    command(app, "apply")(apply)
    command(app, "undo")(undo)
    command(app, "redo")(redo)
    command(app, "recover", recovers=False)(recover)


def apply(run: Run, writing: Writing, proving: Proving, plan: PlanFile, to: To = None, owner: Owner = None) -> None:
    """Carry out a saved plan; steps that no longer fit are skipped and listed."""
    from memdefrag.engine.copies import for_store
    from memdefrag.model.plan import load
    from memdefrag.stores.registry import resolve

    name_owner(owner)
    chosen = load(plan)
    if to:
        chosen = for_store(chosen, resolve(to))
    answer(run, carry_out(run, chosen, writing, proving))


def undo(run: Run, writing: Writing, step: StepName, store: StoreOfLast = None) -> None:
    """Take back one step; memories that were changed since stay as they are and are listed."""
    from memdefrag.engine import history
    from memdefrag.stores.registry import resolve

    _require_clear("undo", step, store)
    found = history.latest(resolve(store)) if store else history.find(step)
    restoring.replace(run, writing, history.undo_plan(found))


def redo(run: Run, writing: Writing, step: StepName, store: StoreOfLast = None) -> None:
    """Carry out again what was undone; memories that were changed since stay as they are and are listed."""
    from memdefrag.engine import history
    from memdefrag.stores.registry import resolve

    _require_clear("redo", step, store)
    if store:
        undone = history.redoable(resolve(store))
        if not undone:
            raise HistoryNotFound(f"Nothing that was undone in {store} is left to redo.")
        found = undone[0]
    else:
        named = history.find(step)
        found = history.find(named.undoes) if named.undoes else named
    restoring.replace(run, writing, history.redo_plan(found))


def _require_clear(command: str, step: str, store: str | None) -> None:
    if (step == "last") != bool(store):
        told = f"Say either `{command} STEP` or `{command} last STORE`."
        raise UsageError(told, todo="memdefrag history lists the steps.")


def recover(run: Run) -> None:
    """Finish or undo what a crash interrupted. Every other command does so, too, before it begins."""
    from memdefrag.engine import catalogue
    from memdefrag.engine.recover import recover_all

    if catalogue.unfinished_jobs():
        run.keep_log()
    outcomes = recover_all(asked=True)
    lines = [str(outcome) for outcome in outcomes] or ["Nothing was interrupted."]
    listed = [{"id": each.id, "store": each.store, "outcome": each.outcome} for each in outcomes]
    run.answer({"recovered": listed}, *lines)
