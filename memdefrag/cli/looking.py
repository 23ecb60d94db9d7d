"""The options of an analysis, and carrying it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.base.settings import DEFAULT_THRESHOLD
from memdefrag.cli.run import Run

if TYPE_CHECKING:
    from memdefrag.analysis.result import Analysis, Group


class Survivor(StrEnum):
    """Which memory of a group stays."""

    OLDEST = "oldest"
    NEWEST = "newest"
    LONGEST = "longest"
    MOST_METADATA = "most-metadata"


@dataclass(frozen=True)
class Looking:
    """The options of every command that looks for what says the same."""

    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, metavar="SCORE", help="Pairs from this score on are suggested.")
    ] = DEFAULT_THRESHOLD
    survivor: Annotated[Survivor, typer.Option(help="Which memory of a group stays.")] = Survivor.OLDEST
    no_model: Annotated[
        bool, typer.Option("--no-model", help="Load no model: memories without a vector are compared by text.")
    ] = False
    model: Annotated[str | None, typer.Option(metavar="NAME", help="The model for memories without a vector.")] = None
    yes: Annotated[bool, typer.Option("--yes", help="Start also work that will take minutes.")] = False


def look(run: Run, stores: Sequence[str], looking: Looking) -> Analysis:
    """Read the stores and find what says the same."""
    from memdefrag.analysis.detect import analyze
    from memdefrag.analysis.result import AnalysisOptions
    from memdefrag.stores.base import read_snapshot
    from memdefrag.stores.registry import open_store

    with ExitStack() as opened:
        snapshots = [read_snapshot(opened.enter_context(open_store(each)), run.progress) for each in stores]
    options = AnalysisOptions(threshold=looking.threshold)
    return analyze(snapshots, options, run.progress)


def survivor_of(found: Analysis, looking: Looking) -> Callable[[Group], int]:
    """Tells which member of a group stays."""
    from memdefrag.analysis.merge import SurvivorRule, choose_survivor

    rule = SurvivorRule(looking.survivor.value)

    def choose(group: Group) -> int:
        return group.members[choose_survivor([found.records[member] for member in group.members], rule)]

    return choose
