"""The options of an analysis, and carrying it out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.base.errors import UsageError
from memdefrag.base.settings import DEFAULT_THRESHOLD
from memdefrag.cli.modelling import Modelling
from memdefrag.cli.run import Run
from memdefrag.cli.scoping import Scoping

if TYPE_CHECKING:
    from memdefrag.analysis.merge import SurvivorRule
    from memdefrag.analysis.result import Analysis
    from memdefrag.engine.planning import Choice
    from memdefrag.model.address import Address
    from memdefrag.model.plan import Plan
    from memdefrag.model.records import Snapshot


class Survivor(StrEnum):
    """Which memory of a group stays."""

    OLDEST = "oldest"
    NEWEST = "newest"
    LONGEST = "longest"
    MOST_METADATA = "most-metadata"


class Created(StrEnum):
    """Whose time of creation a merged memory carries."""

    EARLIEST = "earliest"
    LATEST = "latest"


class By(StrEnum):
    """What makes memories alike; the values of `analysis.options.Method`, which loads too much for a start."""

    COMBINED = "combined"
    EXACT = "exact"
    NORMALISED = "normalised"
    VECTOR = "vector"
    FUZZY = "fuzzy"


@dataclass(frozen=True)
class Looking:
    """The options of every command that looks for what says the same."""

    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, metavar="SCORE",
            help=f"Pairs from this score on are suggested (if not said: {DEFAULT_THRESHOLD:g}, or as calibrated).",
        ),
    ] = None
    method: Annotated[By, typer.Option(metavar="METHOD", help="What makes memories alike.")] = By.COMBINED
    survivor: Annotated[Survivor, typer.Option(metavar="RULE", help="Which memory of a group stays.")] = Survivor.OLDEST
    created: Annotated[
        Created, typer.Option(metavar="WHICH", help="The time of creation that a merged memory carries.")
    ] = Created.EARLIEST
    def sure(self, found: Analysis) -> list[Choice]:
        """What surely says the same."""
        from memdefrag.engine.planning import sure_choices

        return sure_choices(found, self._rule)

    def choice(self, found: Analysis, members: Sequence[int]) -> Choice:
        """Merge these memories into the one that is to stay."""
        from memdefrag.engine.planning import choice_of

        return choice_of(found, members, self._rule)

    def merged_text(self, found: Analysis, choice: Choice) -> str | None:
        """What the memories of a choice would say as one."""
        from memdefrag.analysis.merge import merge_records

        records = [found.records[member] for member in choice.members]
        return merge_records(records, choice.members.index(choice.survivor), now=time.time(), text=choice.text).text

    @property
    def _rule(self) -> SurvivorRule:
        from memdefrag.analysis.merge import SurvivorRule

        return SurvivorRule(self.survivor.value)


def look(
    run: Run,
    stores: Sequence[str],
    looking: Looking,
    scoping: Scoping,
    modelling: Modelling,
    *,
    across_collections: bool = False,
    against: str | None = None,
) -> tuple[list[Snapshot], Analysis]:
    """Read the stores and find what says the same.

    Args:
        across_collections: whether memories of different collections of one store are compared, too.
        against: the store that all others are compared with; it is read last.
    """
    from memdefrag.analysis.options import AnalysisOptions, Method
    from memdefrag.engine import apart
    from memdefrag.engine.compare import compare
    from memdefrag.engine.steady import read_steadily
    from memdefrag.stores.registry import resolve

    scope = scoping.scope()
    if against and any(_overlap(resolve(against), resolve(each)) for each in stores):
        raise UsageError("--against names a store that is compared with it.", todo="Name another one, or leave it out.")
    snapshots = []
    for each in (*stores, against) if against else stores:
        snapshot, state = read_steadily(each, run.progress)
        run.tell_state(state)
        snapshots.append(snapshot)
    scoping.require_collections(snapshots)
    options = AnalysisOptions(
        threshold=_line(run, snapshots, looking),
        use_vectors=looking.method in (By.COMBINED, By.VECTOR),
        # Each collection has its own readers; only stores that are compared on purpose are one heap.
        across_collections=across_collections or len(snapshots) > 1,
        method=Method(looking.method.value),
        scope=scope,
        apart=apart.load(),
        against=len(stores) if against else None,
    )
    found, notes = compare(snapshots, options, modelling.options(), run.progress)
    for note in notes:
        run.note(note)
    if scoping != Scoping():
        run.note(f"{len(found.records):,} of {sum(map(len, snapshots)):,} memories are looked at.")
    return snapshots, found


def _line(run: Run, snapshots: Sequence[Snapshot], looking: Looking) -> float:
    """From which score on: as was said now, else as the person calibrated the one store, else as usual."""
    from memdefrag.engine import calibration
    from memdefrag.model.address import parse

    if looking.threshold is not None:
        return looking.threshold
    remembered = calibration.recall(parse(snapshots[0].address)) if len(snapshots) == 1 else None
    if remembered is None:
        return DEFAULT_THRESHOLD
    run.note(f"Threshold {remembered.fitted.threshold:g}, as calibrated on {remembered.day}.")
    return remembered.fitted.threshold


def _overlap(one: Address, other: Address) -> bool:
    """Whether two addresses mean one store, and not two collections of it."""
    chosen = {one.collection, other.collection}
    return one.whole() == other.whole() and (len(chosen) == 1 or None in chosen)


def plan_of(found: Analysis, snapshot: Snapshot, choices: Sequence[Choice], looking: Looking) -> Plan:
    """The plan of what was chosen."""
    from memdefrag.analysis.merge import CreatedRule
    from memdefrag.engine.planning import build_plan

    return build_plan(
        found,
        choices,
        now=time.time(),
        settings={"threshold": found.options.threshold, "survivor": looking.survivor.value},
        fingerprint=snapshot.fingerprint.content if snapshot.fingerprint else "",
        created=CreatedRule(looking.created.value),
    )
