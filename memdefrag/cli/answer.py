"""memdefrag answer: whether the assistant works with what a step made of its store."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from memdefrag.cli.run import Run, command


class Works(StrEnum):
    YES = "yes"
    NO = "no"


StepName = Annotated[str, typer.Argument(metavar="STEP", help="A step of history (or its beginning).")]
Answer = Annotated[Works, typer.Argument(metavar="yes|no", help="Whether your assistant works with the result.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "answer", asks=False)(answer)


def answer(run: Run, step: StepName, works: Answer) -> None:
    """Say whether your assistant works with a step's result; until then no backup since is pruned."""
    from memdefrag.engine.backups import acceptance

    found = acceptance.answer(step, works is Works.YES)
    lines = [f"Noted: your assistant works with what step {found.id} made of {found.store}."]
    if works is Works.NO:
        lines = [f"Noted. To take step {found.id} back: memdefrag undo {found.id}"]
        if found.backup:
            lines.append(f"To have the whole store as it was before it: memdefrag backup restore {found.backup}")
    run.answer({"step": found.id, "store": found.store, "works": works is Works.YES}, *lines)
