"""The pages beside the way from store to result: other looks at the open store, and at the results under review."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from memdefrag.presenters import jobs
from memdefrag.presenters.pages import Notice, Page, ShellView

if TYPE_CHECKING:
    from memdefrag.analysis.calibrate import Calibration
    from memdefrag.presenters.apart import ApartPresenter
    from memdefrag.presenters.calibration import CalibrationPresenter
    from memdefrag.presenters.junk import JunkPresenter
    from memdefrag.presenters.logged import LoggedRunner
    from memdefrag.presenters.methods import MethodsPresenter
    from memdefrag.presenters.migration import MigrationPresenter
    from memdefrag.presenters.shell import Shell


class SidePages:
    """Makes them when they are first needed and leads there and back."""

    def __init__(self, shell: Shell, view: ShellView, runner: LoggedRunner) -> None:
        self._shell, self._view, self._runner = shell, view, runner

    @cached_property
    def calibration(self) -> CalibrationPresenter:
        from memdefrag.presenters.calibration import CalibrationPresenter

        return CalibrationPresenter(self._view.calibration_page, self._use_line, self._back_to_review)

    @cached_property
    def methods(self) -> MethodsPresenter:
        from memdefrag.presenters.methods import MethodsPresenter

        return MethodsPresenter(self._view.methods_page, self._runner, self._back_to_review, self._shell.failed)

    @cached_property
    def junk(self) -> JunkPresenter:
        from memdefrag.presenters.junk import JunkPresenter

        shell = self._shell
        return JunkPresenter(self._view.junk_page, self._runner, shell.show_plan, shell.leave, shell.failed)

    @cached_property
    def apart(self) -> ApartPresenter:
        from memdefrag.presenters.apart import ApartPresenter

        return ApartPresenter(self._view.apart_page, self._runner, self._shell.leave, self._shell.failed)

    @cached_property
    def migration(self) -> MigrationPresenter:
        from memdefrag.presenters.migration import MigrationPresenter
        from memdefrag.presenters.migration_stage import Stage

        shell = self._shell
        stage = Stage(shell.work, self._runner, shell.ask, shell.writing.begin, shell.failed)
        return MigrationPresenter(self._view.migration_page, stage, shell.open, shell.leave, self._view.show_notice)

    # Of the results under review

    def look_otherwise(self) -> None:
        """Back to the store's page, where it is chosen how to look."""
        shell = self._shell
        if shell.page is Page.REVIEW:
            shell.flush()
            self._view.show_notice(None)
            shell.go(Page.SUMMARY)

    def calibrate(self) -> None:
        """Ask about borderline pairs."""
        review = self._shell.review
        if self._shell.page is not Page.REVIEW or review.data is None:
            return
        if review.looking_only:
            message = "A line is drawn in one store: analyse it without comparing it with another one."
            self._view.show_notice(Notice(message))
            return
        self._view.show_notice(None)
        self.calibration.show(review.data.analysis)
        self._shell.go(Page.CALIBRATION)

    def compare_methods(self) -> None:
        """What each method would put together."""
        review = self._shell.review
        if self._shell.page is not Page.REVIEW or review.data is None:
            return
        found = review.data.analysis
        if found.options.method.value != "combined":
            message = "Methods are compared with the combined one. Choose that under How to look, and analyse again."
            self._view.show_notice(Notice(message))
            return
        self._view.show_notice(None)
        self.methods.show(found, review.state.threshold)
        self._shell.go(Page.METHODS)

    def _use_line(self, fitted: Calibration) -> None:
        """Show the results from the person's own line on, and remember it for this store."""
        assert self._shell.opened is not None
        address = self._shell.opened.address
        self._shell.review.set_threshold(fitted.threshold)
        self._back_to_review()
        self._runner.run(lambda _: jobs.remember_line(address, fitted), lambda _: None, self._shell.failed)

    def _back_to_review(self) -> None:
        self._shell.go(Page.REVIEW)

    # Of the open store

    def show_junk(self) -> None:
        """What hardly is a memory."""
        shell = self._shell
        if shell.opened is not None and shell.leaves_for(Page.JUNK):
            self.junk.show(shell.opened.address)
            shell.go(Page.JUNK)

    def show_apart(self) -> None:
        """What the person told apart."""
        shell = self._shell
        if shell.opened is not None and shell.leaves_for(Page.APART):
            shell.flush()
            self.apart.show(shell.opened.address)
            shell.go(Page.APART)

    # Of no store in particular

    def show_migration(self) -> None:
        """From one store into another; the open one is proposed as the source."""
        shell = self._shell
        if shell.leaves_for(Page.MIGRATION):
            shell.flush()
            known = shell.welcome.state
            self.migration.show((*known.recent, *known.found), str(shell.opened.address) if shell.opened else "")
            shell.go(Page.MIGRATION)
