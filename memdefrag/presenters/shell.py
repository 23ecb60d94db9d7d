"""The window as a whole: which page is shown, which store is open, and the way from page to page."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from memdefrag.base.errors import Cancelled, ConfirmationNeeded, MemdefragError
from memdefrag.base.logs import JobLog
from memdefrag.presenters import jobs
from memdefrag.presenters.analysis import WorkPresenter
from memdefrag.presenters.asking import Question
from memdefrag.presenters.autosave import Autosave
from memdefrag.presenters.backups import BackupsPresenter
from memdefrag.presenters.changes import ChangesPresenter
from memdefrag.presenters.inside import InsidePresenter
from memdefrag.presenters.logged import LoggedRunner
from memdefrag.presenters.looking import Looking
from memdefrag.presenters.opening import OPENING, Opening
from memdefrag.presenters.pages import Notice, Page, ShellView
from memdefrag.presenters.plan import PlanPresenter
from memdefrag.presenters.result import ResultPresenter
from memdefrag.presenters.side import SidePages
from memdefrag.presenters.summary import SummaryPresenter
from memdefrag.presenters.tasks import Runner
from memdefrag.presenters.welcome import AskedCard, WelcomePresenter
from memdefrag.presenters.wording import place_of
from memdefrag.presenters.writing import Applied, Writing

if TYPE_CHECKING:
    from memdefrag.engine.apply import ApplyOptions
    from memdefrag.engine.recover import Outcome
    from memdefrag.model.plan import Plan
    from memdefrag.presenters.known import KnownPresenter
    from memdefrag.presenters.review import ReviewPresenter
    from memdefrag.presenters.updates import UpdatesPresenter


_BESIDE = (Page.BACKUPS, Page.CHANGES, Page.INSIDE, Page.JUNK, Page.APART, Page.MIGRATION)


class Shell:
    """Knows the open store and leads from opening it to the result and back."""

    def __init__(self, view: ShellView, runner: Runner) -> None:
        self.log = JobLog("window", logging.getLogger(__name__).warning)
        self.view, self.runner = view, LoggedRunner(runner, self.log)
        self._agreed: Callable[[], None] | None = None
        self.page = Page.WELCOME
        self.opened: jobs.Opened | None = None
        self._come_from, self._planned_on = Page.WELCOME, Page.REVIEW
        self._written = ""
        self._autosave: Autosave | None = None
        self.welcome = WelcomePresenter(
            view.welcome_page, self.runner, self.open, self.open_demo, self._doubtful, self.failed
        )
        self.go(Page.WELCOME)

    # Pages, made when first needed

    @cached_property
    def summary(self) -> SummaryPresenter:
        return SummaryPresenter(self.view.summary_page, self.analyse, self.try_on_copy)

    @cached_property
    def work(self) -> WorkPresenter:
        return WorkPresenter(self.view.work_page, self.runner)

    @cached_property
    def review(self) -> ReviewPresenter:
        from memdefrag.presenters.review import ReviewPresenter

        return ReviewPresenter(self.view.review_page, self._decisions_changed, self.make_plan)

    @cached_property
    def updates(self) -> UpdatesPresenter:
        from memdefrag.presenters.updates import UpdatesPresenter

        return UpdatesPresenter(self.view.updates_page, self.runner, self.review, self.failed)

    @cached_property
    def known(self) -> KnownPresenter:
        from memdefrag.presenters.known import KnownPresenter

        return KnownPresenter(self.view.known_page, self.runner, self.review, self.failed)

    @cached_property
    def plan(self) -> PlanPresenter:
        return PlanPresenter(
            self.view.plan_page, self.runner, self.apply, lambda: self.go(self._planned_on), self.failed
        )

    @cached_property
    def result(self) -> ResultPresenter:
        return ResultPresenter(self.view.result_page, self.writing.undo, self.writing.bring_back, self.back_to_store)

    @cached_property
    def backups(self) -> BackupsPresenter:
        return BackupsPresenter(
            self.view.backups_page, self.runner, self.writing.restore, self.look_inside, self.ask, self.failed
        )

    @cached_property
    def changes(self) -> ChangesPresenter:
        writing = self.writing
        return ChangesPresenter(
            self.view.changes_page, self.runner, writing.undo, writing.redo, writing.bring_back, self.failed
        )

    @cached_property
    def inside(self) -> InsidePresenter:
        return InsidePresenter(
            self.view.inside_page, self.runner, self.writing.restore_some, self.open, self.failed
        )

    @cached_property
    def side(self) -> SidePages:
        """The pages beside the way from store to result."""
        return SidePages(self, self.view, self.runner)

    @cached_property
    def opening(self) -> Opening:
        return Opening(self.work, self._start_work, self._opened, self.failed)

    @cached_property
    def writing(self) -> Writing:
        return Writing(self.work, self.runner, self.ask, self._begin, self._applied, self.failed)

    # Opening

    def start(self, address: str | None = None) -> None:
        """Settle what a crash interrupted, look around, and open a store if one was named."""
        self.runner.run(jobs.recover, self._recovered, self.failed, lane=OPENING)
        self.welcome.refresh()
        if address:
            self.opening.store(address)

    def open(self, text: str) -> None:
        """Open a store by its address or by a path in, at or around it."""
        self.dismiss()
        self.opening.store(text)

    def open_demo(self) -> None:
        """Open a fresh private copy of the demo store."""
        self.dismiss()
        self.opening.demo()

    def try_on_copy(self) -> None:
        """Copy the open store into the data folder and open the copy."""
        if self.opened is not None:
            self.dismiss()
            self.opening.copy_of(self.opened.address)

    def back_to_store(self) -> None:
        """Look anew at the store that was written last."""
        self.open(self._written)

    def close_store(self) -> None:
        """Back to the first page."""
        self.flush()
        self.opened = None
        self.go(Page.WELCOME)
        self.welcome.refresh()

    def _opened(self, opened: jobs.Opened) -> None:
        self.opened = opened
        self.summary.show(
            opened.summary, opened.address.collection, opened.decided, is_copy=opened.is_copy
        )
        self.go(Page.SUMMARY)

    # From analysis to result

    def analyse(self, collection: str | None, looking: Looking) -> None:
        """Analyse the open store, or one of its collections."""
        if self.opened is None or self.work.running:
            return
        self.flush()
        address = self.opened.address.select(collection)
        self.opened = replace(self.opened, address=address)
        self.view.show_notice(None)
        started = self.work.start(
            f"Analysing {address.path.name}",
            lambda progress: jobs.find(address, looking, progress),
            self._analysed,
            self._not_analysed,
            lane=str(address.select(None)),
            note="The store is only read. Cancel whenever you like.",
        )
        if started:
            self.go(Page.WORK)

    def _not_analysed(self, error: MemdefragError) -> None:
        if isinstance(error, ConfirmationNeeded):
            self.go(Page.SUMMARY)
            self.summary.ask_about_long_work(error.message)
        else:
            self.failed(error, Page.SUMMARY)

    def _analysed(self, found: jobs.Found) -> None:
        assert self.opened is not None
        self._autosave = None
        self.review.show(found.data, found.saved)
        if self.review.looking_only:
            self.known.refresh()
        else:
            self._autosave = Autosave(self.runner, self.opened.address, self.review.saved, self.failed)
            self.updates.refresh()
        if found.notes:
            self.view.show_notice(Notice(" ".join(found.notes)))
        self.go(Page.REVIEW)

    def make_plan(self) -> None:
        """Turn the decisions into a plan and show what it will do."""
        from memdefrag.presenters.planning import plan_of
        from memdefrag.presenters.review import LOOKING_ONLY

        review = self.review
        assert self.opened is not None and review.data is not None and review.table is not None
        self.flush()
        if not self.opened.summary.writable:
            self.view.show_notice(Notice("This can only be looked at. To optimize, open the store itself."))
            return
        if review.looking_only:
            self.view.show_notice(Notice(LOOKING_ONLY))
            return
        plan, risks = plan_of(review.data, review.table, review.decisions, review.state.created)
        if not plan.steps:
            self.view.show_notice(Notice("Nothing is ticked yet, so there is nothing to optimize."))
            return
        self.show_plan(plan, risks)

    def show_plan(self, plan: Plan, risks: tuple[str, ...] = ()) -> None:
        """Show what a plan will do, before anything is done."""
        self._planned_on = self.page
        self.view.show_notice(None)
        looked = self.summary.state
        self.plan.show(plan, risks, by_words=bool(looked and looked.looking.no_model))
        self.go(Page.PLAN)

    def apply(self, plan: Plan, options: ApplyOptions) -> None:
        """Carry out the plan of the plan page."""

        def failed(error: MemdefragError) -> None:
            if isinstance(error, ConfirmationNeeded):
                # The page asks for the agreement itself, once it has looked again.
                error.todo = ""
            self.failed(error)
            self.plan.ask_again()

        self.writing.apply(plan, options, failed)

    def _begin(self) -> Callable[[], None]:
        self.view.show_notice(None)
        return self._start_work()

    def _start_work(self) -> Callable[[], None]:
        """Show that work begins; returns the way back."""
        self.flush()
        came_from = self.page
        self.go(Page.WORK)
        return lambda: self.go(came_from)

    def _applied(self, applied: Applied) -> None:
        self._written = applied.report.store
        self.result.show(*applied)
        self.go(Page.RESULT)

    # Everywhere

    def analyse_again(self) -> None:
        """F5: analyse the open store as it was last chosen."""
        if self.opened is not None and self.page in (Page.SUMMARY, Page.REVIEW):
            self.summary.start_analysis()

    def show_backups(self) -> None:
        """The backups of all stores."""
        if self.leaves_for(Page.BACKUPS):
            self.backups.show(str(self.opened.address) if self.opened else "")
            self.go(Page.BACKUPS)

    def show_changes(self) -> None:
        """What was done to all stores."""
        if self.leaves_for(Page.CHANGES):
            self.changes.refresh()
            self.go(Page.CHANGES)

    def look_inside(self, backup_id: str) -> None:
        """The memories of a backup."""
        self.inside.show(backup_id)
        self.go(Page.INSIDE)

    def leave(self) -> None:
        """Back from the backups or the changes; from a backup's memories to the backups."""
        if self.page is Page.INSIDE:
            self.backups.refresh()
            self.go(Page.BACKUPS)
        else:
            self.go(self._come_from)

    def leaves_for(self, page: Page) -> bool:
        """Whether the person may go there now; remembers where they were."""
        if self.work.running or self.page is page:
            return False
        if self.page not in _BESIDE:
            self._come_from = self.page
        return True

    def ask(self, question: Question, agreed: Callable[[], None]) -> None:
        """Put a question before the person."""
        self._agreed = agreed
        self.view.show_question(question)

    def answer(self, agreed: bool) -> None:
        """The person's answer to the question."""
        call, self._agreed = self._agreed, None
        self.view.show_question(None)
        if agreed and call:
            call()

    def _doubtful(self, card: AskedCard) -> None:
        question = Question(
            f"Undo the change of {place_of(card.store)}? Memories that were added or changed since stay as "
            "they are. The backup from before the change is kept in any case.",
            "Undo",
        )
        self.ask(question, lambda: self.writing.undo(card.step))

    def failed(self, error: MemdefragError, page: Page | None = None) -> None:
        """Say what went wrong, on `page` (where the person is, if None)."""
        if page is not None:
            self.go(page)
        stopped = isinstance(error, Cancelled)
        log = str(self.log.path or "")
        self.view.show_notice(Notice(error.message, error.safe, error.todo, is_error=not stopped, log=log))

    def dismiss(self) -> None:
        """The person has read the notice."""
        self.view.show_notice(None)

    def flush(self) -> None:
        """Write down decisions that are not written yet."""
        if self._autosave:
            self._autosave.flush()

    def _decisions_changed(self) -> None:
        if self._autosave:
            self._autosave.touch()

    def _recovered(self, outcomes: list[Outcome]) -> None:
        from memdefrag.engine.recover import WAITING

        if outcomes:
            self.view.show_notice(Notice(" ".join(str(outcome) for outcome in outcomes)))
        if any(outcome.outcome == WAITING for outcome in outcomes):
            question = "A migration was interrupted. It can be gone on with, or taken back."
            self.ask(Question(question, "See What Can Be Done", decline="Later"), self.side.show_migration)

    def go(self, page: Page) -> None:
        """Show a page; a question that was open is declined."""
        if page is not self.page:
            self.answer(False)
        self.page = page
        self.view.show_page(page, self.opened.address.location if self.opened else "")
