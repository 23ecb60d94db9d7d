"""The page that brings the memories of one or more stores into another one, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from memdefrag.base.errors import MemdefragError, UsageError
from memdefrag.base.wording import count
from memdefrag.model.address import parse
from memdefrag.presenters import migration_jobs as jobs
from memdefrag.presenters import migration_words as words
from memdefrag.presenters.asking import Question
from memdefrag.presenters.migration_entries import Entries
from memdefrag.presenters.migration_form import Form, Leg, legs
from memdefrag.presenters.migration_result import MigrationResultPresenter, MigrationResultView
from memdefrag.presenters.migration_stage import Stage
from memdefrag.presenters.migration_state import MigrationState, Named, RehearsalState, Step, check_rows, looked_at
from memdefrag.presenters.pages import Notice
from memdefrag.presenters.rehearsal import writer_options
from memdefrag.presenters.welcome import StoreCard
from memdefrag.presenters.wording import named_place, place_of

if TYPE_CHECKING:
    from memdefrag.engine.inspect import Summary
    from memdefrag.engine.migrate.run import Means
    from memdefrag.engine.resume import Interrupted
    from memdefrag.model.profiles import Profile

WRITTEN = "You can cancel; what this window then says tells whether what was written stays or was taken back."


class MigrationView(Protocol):
    def update_state(self, state: MigrationState) -> None: ...
    def add_result(self, presenter: MigrationResultPresenter) -> MigrationResultView: ...


class MigrationPresenter:
    """Leads from the sources to the result; nothing is written before the rehearsal was seen.

    Args:
        open_store: called with an address to be opened.
        leave: called to go back to where the person was.
    """

    def __init__(
        self,
        make_view: Callable[[MigrationPresenter], MigrationView],
        stage: Stage,
        open_store: Callable[[str], None],
        leave: Callable[[], None],
        tell: Callable[[Notice | None], None],
    ) -> None:
        self._stage, self.leave, self._tell = stage, leave, tell
        self._summaries: dict[str, Summary] = {}
        self._interrupted: tuple[Interrupted, ...] = ()
        self._all = Entries()
        self.state = MigrationState()
        self._view = make_view(self)
        self.result = MigrationResultPresenter(self._view.add_result, stage, open_store)

    def show(self, stores: Sequence[StoreCard], opened: str) -> None:
        """Come to the page: with the open store as source, where nothing was chosen yet."""
        form = self.state.form
        if opened and not form.sources:
            form = replace(form, sources=(opened,))
        self._show(replace(self.state, stores=tuple(stores), form=form))
        self.refresh()

    def refresh(self) -> None:
        """Read the servers that are kept, and what was interrupted."""
        self._stage.runner.run(jobs.look_around, self._looked_around, self._stage.failed)

    def _looked_around(self, found: jobs.Around) -> None:
        self._interrupted = found.interrupted
        told = tuple(
            f"The migration from {place_of(each.source)} into {place_of(each.target)} was interrupted."
            for each in found.interrupted
        )
        self._show(replace(self.state, profiles=found.profiles, interrupted=told))

    # What is typed

    def put(self, **fields: Any) -> None:
        """Fields of `Form` with their new values; what was found out about the old ones is looked at again."""
        form = replace(self.state.form, **fields)
        if form == self.state.form:
            return
        reached = min(self.state.step, Step.OPTIONS)
        self._show(replace(self.state, form=form, problem="", reached=reached))

    def add_source(self, text: str) -> None:
        """One more store to read."""
        text = text.strip()
        if text and text not in self.state.form.sources:
            self.put(sources=(*self.state.form.sources, text))

    def remove_source(self, number: int) -> None:
        sources = self.state.form.sources
        self.put(sources=sources[:number] + sources[number + 1 :])

    def set_target(self, text: str) -> None:
        self.put(target=text)

    def add_server(self, role: Step, server: Profile, key: str, *, remember: bool) -> None:
        """A server as one more source, or as the target; its key is kept, where that is wanted in the keyring."""

        def kept(found: jobs.Kept) -> None:
            self.add_source(found.address) if role is Step.SOURCE else self.set_target(found.address)
            if found.trouble:
                self._stage.failed(found.trouble)
            self.refresh()

        self._stage.runner.run(
            lambda _: jobs.keep_server(server, key, remember=remember), kept, self._not_understood
        )

    def forget_server(self, server: Profile) -> None:
        """Forget a kept server and its key."""
        self._stage.runner.run(lambda _: jobs.forget_server(server), lambda _: self.refresh(), self._stage.failed)

    def take(self, row: int, takes_part: bool) -> None:
        """Whether a collection takes part."""
        named = self.state.names[row]
        pair = (named.source, named.collection)
        left_out = tuple(each for each in self.state.form.left_out if each != pair)
        self.put(left_out=left_out if takes_part else (*left_out, pair))
        self._show(replace(self.state, names=self._names()))

    def rename(self, row: int, name: str) -> None:
        """What a collection is called in the target."""
        named = self.state.names[row]
        pair = (named.source, named.collection)
        others = tuple(each for each in self.state.form.renames if each[:2] != pair)
        self.put(renames=(*others, (*pair, name)) if name.strip() not in ("", named.collection) else others)
        self._show(replace(self.state, names=self._names()))

    def choose_writer(self, index: int, value: str = "") -> None:
        """Choose a way to write an older target; `value` is the path for a way that asks for one."""
        writers = list(self.state.writers)
        if 0 <= index < len(writers):
            writers[index] = replace(writers[index], value=value or writers[index].value)
            self._show(replace(self.state, writers=tuple(writers), writer=index, problem=""))

    def filter(self, outcome: str, text: str) -> None:
        """Show the entries of one outcome that say a text."""
        shown = self._all.filtered(outcome, text)
        found = replace(self.state.rehearsal, entries=shown, chosen=outcome, text=text)
        self._show(replace(self.state, rehearsal=found))

    # From step to step

    def go_to(self, step: Step) -> None:
        """A step that was reached already."""
        if step <= self.state.reached:
            self._show(replace(self.state, step=step, problem=""))

    def back(self) -> None:
        """The step before; from the first one to where the person was."""
        if self.state.step is Step.SOURCE:
            self.leave()
        else:
            self.go_to(Step(self.state.step - 1))

    def next(self) -> None:
        """On to the next step, with the work that leads there."""
        self._tell(None)
        form = self.state.form
        match self.state.step:
            case Step.SOURCE if not form.sources:
                self._stuck("Name at least one store to read.")
            case Step.SOURCE:
                self._look_at_sources()
            case Step.TARGET if not form.target.strip():
                self._stuck("Name the store that is to hold the memories.")
            case Step.TARGET:
                self._stage.run(
                    "Looking at the target", lambda progress: jobs.look_at_target(form.target.strip(), progress),
                    self._target_found,
                )  # fmt: skip
            case Step.NAMES:
                self._arrive(Step.OPTIONS)
            case Step.OPTIONS:
                self._rehearse()
            case Step.REHEARSAL if self.state.rehearsal.ready:
                self._migrate()
            case Step.RESULT:
                self._show(MigrationState(stores=self.state.stores, profiles=self.state.profiles))
                self.refresh()

    def _look_at_sources(self) -> None:
        def found(summaries: dict[str, Summary]) -> None:
            self._summaries = summaries
            self._show(replace(self.state, names=self._names()))
            self._arrive(Step.TARGET)

        sources = self.state.form.sources
        self._stage.run("Looking at the sources", lambda progress: jobs.look_at_sources(sources, progress), found)

    def _target_found(self, target: jobs.Target) -> None:
        known = self.state.writers == target.writers and self.state.writer >= 0
        usual = next((number for number, way in enumerate(target.writers) if way.value), -1)
        writer = self.state.writer if known else usual
        form = replace(self.state.form, target=target.address)
        self._show(
            replace(
                self.state, form=form, held=target.held, writers=target.writers, writer=writer, models=target.models
            )
        )
        self._arrive(Step.NAMES)

    def _names(self) -> tuple[Named, ...]:
        form = self.state.form
        renames = {(source, old): new for source, old, new in form.renames}
        return tuple(
            Named(
                source,
                named_place(place_of(summary.address)),
                info.name,
                count(info.count, "memory", "memories"),
                (source, info.name) not in form.left_out,
                renames.get((source, info.name), info.name),
            )
            for source, summary in self._summaries.items()
            for info in summary.collections
        )

    # Rehearsal and the real thing

    def _planned(self) -> list[Leg]:
        """Raises UsageError."""
        if self.state.writers and self.state.writer < 0:
            raise UsageError("Choose how the older folder is written.")
        names = {source: [info.name for info in summary.collections] for source, summary in self._summaries.items()}
        return legs(self.state.form, names)

    def _means(self) -> Means:
        from memdefrag.engine.migrate.run import Means

        chosen = self.state.writers[self.state.writer] if self.state.writer >= 0 else None
        return Means(writer=writer_options(chosen))

    def _rehearse(self) -> None:
        try:
            planned = self._planned()
        except MemdefragError as error:
            self._not_understood(error)
            return
        target, means = self.state.form.target, self._means()
        self._stage.run(
            "Rehearsing the migration",
            lambda progress: jobs.rehearse(planned, target, means, progress),
            self._rehearsed,
        )

    def _rehearsed(self, found: jobs.Rehearsed) -> None:
        self._all = Entries(found.reports)
        several = len(self.state.form.sources) > 1
        rows = check_rows(found.checks, several=several)
        note = ("Each store is rehearsed by itself; what one of them brings the next will find there.",)
        self._show(
            replace(
                self.state,
                rehearsal=RehearsalState(
                    facts=(*words.facts(found.reports), looked_at(rows)) if found.reports else (),
                    problems=(*(note if several else ()), *words.problems(found.reports)),
                    checks=rows,
                    entries=self._all,
                    choices=self._all.choices,
                    ready=found.error is None and bool(found.reports),
                ),
            )
        )
        self._arrive(Step.REHEARSAL)

    def _migrate(self) -> None:
        self._carry_out(self.state.form, self._planned(), self._means())

    def _carry_out(
        self,
        form: Form,
        planned: Sequence[Leg],
        means: Means,
        done: jobs.Reports = (),
        waiting: Interrupted | None = None,
    ) -> None:
        def over(outcome: jobs.Done) -> None:
            reports = (*done, *outcome.reports)
            if waiting and outcome.reports:
                reports = jobs.brought_to_its_end(waiting, reports)
            if reports:
                self.result.show(planned, form.target, means, reports)
                self._arrive(Step.RESULT)
            if outcome.error:
                self._stage.agreed(
                    outcome.error, means, lambda agreed: self._carry_out(form, outcome.left, agreed, reports)
                )
            self.refresh()

        self._stage.run(
            "Migrating",
            self._stage.runner.leaving(
                f"migrate {' '.join(leg.source for leg in planned)} {form.target}",
                lambda progress: jobs.carry_out(planned, form.target, form, means, progress),
            ),
            over,
            lane=str(parse(form.target).select(None)),
            note=f"Into {place_of(form.target)}. {WRITTEN}",
        )

    # What was interrupted

    def go_on(self, number: int) -> None:
        """Go on with an interrupted migration, as it was asked for."""
        waiting = self._interrupted[number]

        def found(asked: tuple[Form, list[Leg]]) -> None:
            form, planned = asked
            self._show(MigrationState(form=form, stores=self.state.stores, profiles=self.state.profiles))
            self._carry_out(form, planned, self._means(), waiting=waiting)

        self._stage.run(
            "Looking at what was interrupted", lambda progress: jobs.interrupted_legs(waiting, progress), found
        )

    def take_back_interrupted(self, number: int) -> None:
        """Make the target as it was before, once the person agreed."""
        waiting = self._interrupted[number]

        def taken(said: str) -> None:
            self._tell(Notice(said))
            self.refresh()

        def agreed() -> None:
            self._stage.run(
                "Taking back what was interrupted",
                lambda progress: jobs.take_back_interrupted(waiting, progress),
                taken,
                lane=str(parse(waiting.target).select(None)),
                note="",
            )

        question = f"Take back what was copied into {place_of(waiting.target)} before the interruption?"
        self._stage.ask(Question(question, "Take It Back"), agreed)

    def _arrive(self, step: Step) -> None:
        reached = step if step is Step.RESULT else max(step, self.state.reached)
        self._show(replace(self.state, step=step, reached=reached, problem=""))

    def _not_understood(self, error: MemdefragError) -> None:
        self._stuck(f"{error.message} {error.todo}".rstrip())

    def _stuck(self, problem: str) -> None:
        self._show(replace(self.state, problem=problem))

    def _show(self, state: MigrationState) -> None:
        self.state = state
        self._view.update_state(state)
