"""memdefrag junk: memories that hardly are any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.base.errors import UsageError
from memdefrag.base.wording import count
from memdefrag.cli.output import as_typed, preview, styled, table
from memdefrag.cli.read import Store
from memdefrag.cli.run import Run, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from memdefrag.analysis.junk import Junk

SHOWN = 50


class Kind(StrEnum):
    """What a memory may be instead of one."""

    EMPTY = "empty"
    NEARLY_EMPTY = "nearly-empty"
    TEST = "test"
    OVERSIZED = "oversized"
    BAD_VECTOR = "bad-vector"


Kinds = Annotated[
    list[Kind] | None, typer.Option("--kind", help="Only this kind; may be repeated. All kinds without it.")
]
Save = Annotated[
    Path | None,
    typer.Option("--save", metavar="PLAN", help="Write a plan that drops all memories of the named kinds."),
]

_TITLES = {
    Kind.EMPTY: "Empty",
    Kind.NEARLY_EMPTY: "Nearly empty",
    Kind.TEST: "Left over from a test",
    Kind.OVERSIZED: "Oversized",
    Kind.BAD_VECTOR: "With a vector that no search can use",
}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "junk")(junk)


def junk(run: Run, store: Store, kind: Kinds = None, save: Save = None) -> None:
    """List memories that are empty, left over from tests, oversized or without a usable vector. Changes nothing."""
    from memdefrag.analysis import junk as looking
    from memdefrag.base.fsops import write_durable
    from memdefrag.engine.planning import drop_plan
    from memdefrag.engine.steady import read_steadily
    from memdefrag.model.plan import dump

    if save and not kind:
        raise UsageError(
            "A plan that drops memories needs to be told which.", todo="Look at the lists, then name each --kind."
        )
    if save and not save.expanduser().resolve().parent.is_dir():
        raise UsageError(f"There is no folder {save.parent}.", todo="Make it, or name another one.")
    wanted = {each.value for each in kind or Kind}
    snapshot, state = read_steadily(store, run.progress)
    run.tell_state(state)
    found = [each for each in looking.junk(snapshot) if each.kind.value in wanted]
    lines = list(_lists(found))
    if save:
        plan = drop_plan(snapshot, found)
        write_durable(save.expanduser().resolve(), dump(plan))
        lines.append(f"The plan that drops them: {save}. To carry it out: {as_typed('apply', save)}")
    run.answer(
        {
            "store": snapshot.address,
            "counts": {each: sum(one.kind.value == each for one in found) for each in sorted(wanted)},
            "junk": [
                {
                    "kind": each.kind,
                    "collection": each.record.key.collection,
                    "id": each.record.key.id,
                    "why": each.why,
                    "text": each.record.text,
                }
                for each in found
            ],
        },
        *lines,
    )


def _lists(found: Sequence[Junk]) -> Iterator[RenderableType]:
    """One table for each kind, its longest part cut."""
    if not found:
        yield "Nothing here is empty, left over from a test, oversized or without a usable vector."
    for kind, title in _TITLES.items():
        of_kind = [each for each in found if each.kind.value == kind.value]
        if not of_kind:
            continue
        yield styled(f"{title}: {count(len(of_kind), 'memory', 'memories')}", "bold")
        shown = of_kind[:SHOWN]
        yield table(
            "Id", "Why", "Text", rows=[(each.record.key, each.why, preview(each.record.text, 60)) for each in shown]
        )
        if len(of_kind) > SHOWN:
            yield f"… and {len(of_kind) - SHOWN:,} more (--json lists all)."
        yield ""
