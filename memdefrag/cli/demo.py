"""memdefrag demo: the whole job on a private copy of invented memories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from memdefrag.base.wording import count
from memdefrag.cli.applying import Writing, carry_out
from memdefrag.cli.looking import Looking, look, plan_of
from memdefrag.cli.modelling import Modelling
from memdefrag.cli.output import preview, styled
from memdefrag.cli.run import Run, command
from memdefrag.cli.scoping import Scoping

if TYPE_CHECKING:
    from rich.console import RenderableType

    from memdefrag.analysis.result import Analysis

CONFLICTS_SHOWN = 3


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "demo")(demo)


def demo(run: Run) -> None:
    """Show the whole job on a copy of 61 invented memories. Nothing of yours is touched."""
    from memdefrag.cli import show
    from memdefrag.engine import history
    from memdefrag.engine.demo import fresh_copy
    from memdefrag.engine.inspect import inspect
    from memdefrag.model.hashing import content_hash
    from memdefrag.stores.base import read_snapshot
    from memdefrag.stores.registry import open_store

    run.keep_log()
    looking = Looking()
    address = fresh_copy()
    with open_store(address) as store:
        summary = inspect(store)
    run.print(_title(f"1  What is there: memdefrag inspect {address.path}"), *show.summary(summary))

    [before], found = look(run, [str(address)], looking, Scoping(), Modelling())
    run.print(_title("2  What says the same, and why: memdefrag analyze STORE"), *_groups(found, looking))
    run.print(_title("3  What contradicts, and is never merged by itself"), *_conflicts(found, looking))

    plan = plan_of(found, before, looking.sure(found), looking)
    merged = carry_out(run, plan, Writing())
    run.print(_title("4  Merging what is sure: memdefrag optimize STORE --auto sure"), *show.report(merged))

    undone = carry_out(run, history.undo_plan(history.latest(address)), Writing())
    with open_store(address) as store:
        same = content_hash(read_snapshot(store, run.progress)) == content_hash(before)
    closing = [
        _title("5  And back: memdefrag undo last STORE"),
        f"{undone.records_before} memories before, {undone.records_after} after; "
        + ("every one of them is what it was at first." if same else "but they are not what they were at first!"),
        "",
        "Now with your own: memdefrag inspect STORE changes nothing. memdefrag --help lists all commands.",
    ]
    told = {
        "inspect": summary.as_dict(),
        "groups": len(found.groups()),
        "conflicts": len(found.conflicts()),
        "optimize": merged.as_dict(),
        "undo": undone.as_dict(),
        "as_before": same,
    }
    run.answer(told, *closing, failures=not same)


def _title(text: str) -> RenderableType:
    return styled(f"\n{text}", "bold")


def _groups(found: Analysis, looking: Looking) -> Iterator[RenderableType]:
    """The surest and the least sure group, and how many there are."""
    from memdefrag.cli import show

    groups = found.groups()
    for group in (groups[0], groups[-1]):
        yield from show.group(found, group, looking.choice(found, group.members).survivor, "A group")
    sure = sum(group.tier == "sure" for group in groups)
    yield styled(f"… {count(sure, 'sure group')} and {count(len(groups) - sure, 'likely one')} in all", "dim")


def _conflicts(found: Analysis, looking: Looking) -> Iterator[RenderableType]:
    conflicts = found.conflicts()
    for conflict in conflicts[:CONFLICTS_SHOWN]:
        newer, older = (preview(found.records[member].text, 60) for member in conflict.members)
        yield f"  {newer}  /  {older}"
        yield styled(f"          {'; '.join(conflict.differs_in)}", "yellow")
    yield styled(f"… {len(conflicts)} of them", "dim")
