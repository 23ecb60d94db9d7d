"""The options that say which model makes the vectors that are missing, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from memdefrag.engine.compare import ModelOptions


@dataclass(frozen=True)
class Modelling:
    """What may be done for memories without a vector."""

    no_model: Annotated[
        bool, typer.Option("--no-model", help="Load no model: memories without a vector are compared by text.")
    ] = False
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model (a name or a folder) for memories without a vector.")
    ] = None
    yes: Annotated[bool, typer.Option("--yes", help="Go on although making vectors takes more than two minutes.")] = (
        False
    )
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Cores that make vectors (all of them, at low priority, if not said)."),
    ] = None

    def options(self) -> ModelOptions:
        """The same for the engine."""
        from memdefrag.engine.compare import ModelOptions

        return ModelOptions(use=not self.no_model, name=self.model, long_work=self.yes, threads=self.threads)
