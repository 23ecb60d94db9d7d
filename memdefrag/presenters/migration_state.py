"""What the migration page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from memdefrag.presenters.migration_entries import ALL, Entries
from memdefrag.presenters.migration_form import Form
from memdefrag.presenters.rehearsal import WriterChoice
from memdefrag.presenters.welcome import StoreCard
from memdefrag.presenters.wording import place_of

if TYPE_CHECKING:
    from memdefrag.engine.migrate.check import Check
    from memdefrag.model.profiles import Profile


class Step(IntEnum):
    SOURCE = 0
    TARGET = 1
    NAMES = 2
    OPTIONS = 3
    REHEARSAL = 4
    RESULT = 5


NEXT = {
    Step.SOURCE: "Next: Target",
    Step.TARGET: "Next: Collections",
    Step.NAMES: "Next: Options",
    Step.OPTIONS: "Rehearse",
    Step.REHEARSAL: "Migrate",
    Step.RESULT: "Migrate Something Else",
}
"""What leads on from each step."""


@dataclass(frozen=True, slots=True)
class Named:
    """A collection of a source: whether it takes part, and what it is called in the target.

    Attributes:
        source: as the person named it; `place`: where it is.
    """

    source: str
    place: str
    collection: str
    held: str
    takes_part: bool
    name: str


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A condition: "pass", "fail", "warning" or "?" where it cannot be known before the first write."""

    mark: str
    name: str
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class RehearsalState:
    """What a rehearsal found. `ready`: nothing stands in the way."""

    facts: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    checks: tuple[CheckRow, ...] = ()
    entries: Entries = field(default_factory=Entries)
    choices: tuple[tuple[str, str], ...] = ()
    chosen: str = ALL
    text: str = ""
    ready: bool = False


@dataclass(frozen=True, slots=True)
class MigrationState:
    """The page's content.

    Attributes:
        reached: the furthest step that can be gone to without work.
        stores: those opened before and found on this machine.
        interrupted: what was left of earlier migrations, in words.
        held: what stands at the target, in words.
        writers: ways to write an older folder; `writer` the chosen one, -1 for none.
        problem: why it does not go on; empty mostly.
    """

    step: Step = Step.SOURCE
    reached: Step = Step.SOURCE
    form: Form = field(default_factory=Form)
    stores: tuple[StoreCard, ...] = ()
    profiles: tuple[Profile, ...] = ()
    interrupted: tuple[str, ...] = ()
    names: tuple[Named, ...] = ()
    held: str = ""
    models: tuple[str, ...] = ()
    writers: tuple[WriterChoice, ...] = ()
    writer: int = -1
    rehearsal: RehearsalState = field(default_factory=RehearsalState)
    problem: str = ""


def check_rows(checks: Sequence[tuple[str, Check]], *, several: bool) -> tuple[CheckRow, ...]:
    """Conditions in words; of several sources each row names its own."""
    marks = {True: "pass", False: "fail", None: "?"}
    return tuple(
        CheckRow(
            "warning" if check.is_warning else marks[check.passed],
            f"{check.name} · {Path(place_of(source)).name}" if several else check.name,
            check.detail,
            "" if check.passed and not check.is_warning else check.remedy,
        )
        for source, check in checks
    )


def looked_at(checks: Sequence[CheckRow]) -> tuple[str, str]:
    """How many conditions hold, as a label and a value."""
    told = {"fail": "failed", "warning": "to be known", "?": "not known before the first write", "pass": "passed"}
    counts = {words: sum(check.mark == mark for check in checks) for mark, words in told.items()}
    return "Looked at", ", ".join(f"{number} {words}" for words, number in counts.items() if number)
