"""What came of a migration, the way back, and the way from the old store to the new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from memdefrag.base.progress import Progress
from memdefrag.base.wording import count
from memdefrag.model.address import parse
from memdefrag.presenters import migration_jobs as jobs
from memdefrag.presenters import migration_words as words
from memdefrag.presenters.asking import Question
from memdefrag.presenters.migration_entries import ALL, Entries
from memdefrag.presenters.migration_form import Leg
from memdefrag.presenters.migration_stage import Stage
from memdefrag.presenters.wording import place_of
from memdefrag.presenters.writing import UNTIL_THEN

if TYPE_CHECKING:
    from memdefrag.engine.migrate.run import Means
    from memdefrag.model.migration import MigrationReport

STOP, CATCH_UP, COMPARE, SWITCH, KEEP = range(5)


class Stride(NamedTuple):
    """One stride of the way from the old store to the new one. `button`: what the window does itself; mostly empty."""

    text: str
    button: str = ""


@dataclass(frozen=True, slots=True)
class MigrationResultState:
    """The panel's content.

    Attributes:
        went_well: nothing failed or differs.
        can_take_back: something was written and is not taken back.
        entries: of the last run; `choices` to filter them by, `chosen` and `text` what they are filtered by.
        strides: the way to switch over; empty where nobody does. `ticked`: their numbers.
        gone: how many memories disappeared from the source since, which the target still has.
    """

    title: str = ""
    place: str = ""
    went_well: bool = True
    facts: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    can_take_back: bool = False
    entries: Entries = field(default_factory=Entries)
    choices: tuple[tuple[str, str], ...] = ()
    chosen: str = ALL
    text: str = ""
    strides: tuple[Stride, ...] = ()
    ticked: frozenset[int] = frozenset()
    gone: int = 0


class MigrationResultView(Protocol):
    def update_result(self, state: MigrationResultState) -> None: ...


class MigrationResultPresenter:
    """Shows reports, takes back what was done, catches up.

    Args:
        open_store: called with the address of the target.
    """

    def __init__(
        self,
        make_view: Callable[[MigrationResultPresenter], MigrationResultView],
        stage: Stage,
        open_store: Callable[[str], None],
    ) -> None:
        self._stage, self._open = stage, open_store
        self._reports: tuple[MigrationReport, ...] = ()
        self._legs: tuple[Leg, ...] = ()
        self._written: list[MigrationReport] = []
        self._target = ""
        self._all = Entries()
        self._means: Means | None = None
        self.state = MigrationResultState()
        self._view = make_view(self)

    def show(
        self, legs: Sequence[Leg], target: str, means: Means, reports: Sequence[MigrationReport]
    ) -> None:
        """Present what was done with these means."""
        self._legs, self._target, self._means = tuple(legs), target, means
        self._written = []
        self.state = MigrationResultState()
        self._tell(reports, words.title(reports))

    def report_text(self) -> str:
        """The report, to be handed on."""
        return words.as_text(self._reports)

    def filter(self, outcome: str, text: str) -> None:
        """Show the entries of one outcome that say a text."""
        shown = self._all.filtered(outcome, text)
        self._show(replace(self.state, entries=shown, chosen=outcome, text=text))

    def tick(self, stride: int, ticked: bool) -> None:
        """The person did, or did not do, one stride."""
        others = self.state.ticked - {stride}
        self._show(replace(self.state, ticked=others | {stride} if ticked else others))

    def open_target(self) -> None:
        """Look at the store that was written."""
        self._open(self._target)

    def stride(self, number: int) -> None:
        """Do what the window can do of the way."""
        if number == CATCH_UP:
            self.catch_up()
        elif number == COMPARE:
            self.compare()

    def catch_up(self) -> None:
        """Copy what was added or changed at the source since."""
        assert self._means is not None
        self._again("Catching up", self._means)

    def mirror(self) -> None:
        """Remove from the target what disappeared from the source, once the person agreed."""
        assert self._means is not None
        means = self._means
        gone = count(self.state.gone, "memory", "memories")
        lines = tuple(str(key) for report in self._reports for key in report.gone)
        question = Question(
            f"Remove {gone} from {place_of(self._target)}, since they disappeared from the source? A backup is made "
            "first, and it can be taken back.", "Remove", lines,
        )  # fmt: skip
        self._stage.ask(question, lambda: self._again("Removing what disappeared", means, mirror=True))

    def compare(self) -> None:
        """See whether catching up would find nothing."""
        assert self._means is not None
        means = self._means
        legs = self._catching_up()

        def compared(found: jobs.Rehearsed) -> None:
            if found.error:
                self._stage.failed(found.error)
            else:
                self._tell(found.reports, compared_in_words(found.reports))
                self.tick(COMPARE, words.went_well(found.reports) and not _copied(found.reports))

        self._stage.run(
            "Comparing the two", lambda progress: jobs.rehearse(legs, self._target, means, progress), compared
        )

    def take_back(self) -> None:
        """Undo all that was written, once the person agreed."""
        assert self._means is not None
        written = tuple(self._written)
        # That is the agreement to remove so many.
        means = replace(self._means, confirm_shrink=True)
        copied = count(_copied(written), "memory", "memories")
        question = Question(
            f"Take back what was copied into {place_of(self._target)}, {copied}? What others wrote there since stays "
            "as it is.", "Take It Back",
        )  # fmt: skip
        self._stage.ask(question, lambda: self._take_back(written, means))

    def _take_back(self, written: Sequence[MigrationReport], means: Means) -> None:

        def taken(kept: int) -> None:
            self._written = []
            left = f"; {count(kept, 'memory', 'memories')} changed since stay as they are" if kept else ""
            title = f"Taken back: what was copied is gone{left}"
            self._all = Entries()
            self._show(MigrationResultState(title, place_of(self._target)))

        self._stage.run(
            "Taking back what was copied",
            self._stage.runner.leaving(
                f"take back from {self._target}", lambda progress: jobs.take_back(written, means, progress)
            ),
            taken,
            lane=self._lane,
            note="",
        )

    def _again(self, title: str, means: Means, *, mirror: bool = False) -> None:
        legs = self._catching_up(mirror=mirror)

        def work(progress: Progress) -> jobs.Done:
            return jobs.carry_out(legs, self._target, None, means, progress)

        def done(outcome: jobs.Done) -> None:
            if outcome.reports:
                told = f"Caught up: {count(_copied(outcome.reports), 'memory', 'memories')} copied"
                self._tell(outcome.reports, told if words.went_well(outcome.reports) else words.title(outcome.reports))
                self.tick(CATCH_UP, words.went_well(outcome.reports) and outcome.error is None)
            if outcome.error:
                self._stage.agreed(outcome.error, means, lambda agreed: self._again(title, agreed, mirror=mirror))

        leaving = self._stage.runner.leaving(f"migrate {self._target}", work)
        self._stage.run(title, leaving, done, lane=self._lane, note=UNTIL_THEN)

    def _catching_up(self, *, mirror: bool = False) -> list[Leg]:
        return [
            leg._replace(options=replace(leg.options, catch_up=True, resume=False, mirror=mirror))
            for leg in self._legs
        ]

    @property
    def _lane(self) -> str:
        return str(parse(self._target).select(None))

    def _tell(self, reports: Sequence[MigrationReport], title: str) -> None:
        from memdefrag.engine.migrate.advice import PORTABLE

        self._reports = tuple(reports)
        self._written += [report for report in reports if wrote(report)]
        self._all = Entries(reports, done=not reports[0].dry_run)
        went_well = words.went_well(reports)
        is_handed_on = parse(self._target).kind in PORTABLE
        places = " and ".join(place_of(leg.source) for leg in self._legs)
        self._show(
            replace(
                self.state,
                title=title,
                place=place_of(self._target),
                went_well=went_well,
                facts=words.facts(reports),
                problems=words.problems(reports),
                can_take_back=bool(self._written),
                entries=self._all,
                choices=self._all.choices,
                chosen=ALL,
                text="",
                strides=() if is_handed_on or not went_well else strides(places, place_of(self._target)),
                gone=sum(len(report.gone) - report.removed for report in reports),
            )
        )

    def _show(self, state: MigrationResultState) -> None:
        self.state = state
        self._view.update_result(state)


def compared_in_words(reports: Sequence[MigrationReport]) -> str:
    """What the rehearsal of catching up says of the two stores."""
    failed = sum(report.failed for report in reports)
    if failed:
        return f"{count(failed, 'memory', 'memories')} cannot be copied"
    left = _copied(reports)
    if left:
        return f"{count(left, 'memory', 'memories')} to catch up with"
    return "The two hold the same: there is nothing to copy."


def wrote(report: MigrationReport) -> bool:
    """Whether a migration left something in its target."""
    return not (report.dry_run or report.rolled_back) and bool(report.copied or report.removed or report.step)


def _copied(reports: Sequence[MigrationReport]) -> int:
    return sum(report.copied for report in reports)


def strides(source: str, target: str) -> tuple[Stride, ...]:
    """The way from the old store to the new one, in order."""
    return (
        Stride(f"Stop the programs that write to {source}."),
        Stride("Catch up with what they wrote since.", "Catch Up"),
        Stride("Compare the two once more: there is nothing left to copy.", "Compare"),
        Stride(f"Let your programs use {target} from now on."),
        Stride(f"Keep {source} as it is, unused, until you are sure."),
    )
