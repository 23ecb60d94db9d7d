"""The pages of the window, and what the window must be able to do with them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from memdefrag.presenters.analysis import WorkPresenter, WorkView
    from memdefrag.presenters.apart import ApartPresenter, ApartView
    from memdefrag.presenters.asking import Question
    from memdefrag.presenters.backups import BackupsPresenter, BackupsView
    from memdefrag.presenters.calibration import CalibrationPresenter, CalibrationView
    from memdefrag.presenters.changes import ChangesPresenter, ChangesView
    from memdefrag.presenters.inside import InsidePresenter, InsideView
    from memdefrag.presenters.junk import JunkPresenter, JunkView
    from memdefrag.presenters.known import KnownPresenter, KnownView
    from memdefrag.presenters.methods import MethodsPresenter, MethodsView
    from memdefrag.presenters.migration import MigrationPresenter, MigrationView
    from memdefrag.presenters.plan import PlanPresenter, PlanView
    from memdefrag.presenters.result import ResultPresenter, ResultView
    from memdefrag.presenters.review import ReviewPresenter, ReviewView
    from memdefrag.presenters.summary import SummaryPresenter, SummaryView
    from memdefrag.presenters.updates import UpdatesPresenter, UpdatesView
    from memdefrag.presenters.welcome import WelcomePresenter, WelcomeView


class Page(StrEnum):
    WELCOME = "welcome"
    SUMMARY = "summary"
    WORK = "work"
    REVIEW = "review"
    PLAN = "plan"
    RESULT = "result"
    BACKUPS = "backups"
    CHANGES = "changes"
    INSIDE = "inside"
    CALIBRATION = "calibration"
    JUNK = "junk"
    APART = "apart"
    METHODS = "methods"
    MIGRATION = "migration"


@dataclass(frozen=True, slots=True)
class Notice:
    """A line above the pages.

    Attributes:
        safe, todo: what that means, where something failed (`is_error`).
        log: the file that says more; empty: there is none.
    """

    message: str
    safe: str = ""
    todo: str = ""
    is_error: bool = False
    log: str = ""


class ShellView(Protocol):
    """The window: makes each page when it is first needed, and shows one of them."""

    def welcome_page(self, presenter: WelcomePresenter) -> WelcomeView: ...
    def summary_page(self, presenter: SummaryPresenter) -> SummaryView: ...
    def work_page(self, presenter: WorkPresenter) -> WorkView: ...
    def review_page(self, presenter: ReviewPresenter) -> ReviewView: ...
    def updates_page(self, presenter: UpdatesPresenter) -> UpdatesView: ...
    def plan_page(self, presenter: PlanPresenter) -> PlanView: ...
    def result_page(self, presenter: ResultPresenter) -> ResultView: ...
    def backups_page(self, presenter: BackupsPresenter) -> BackupsView: ...
    def changes_page(self, presenter: ChangesPresenter) -> ChangesView: ...
    def inside_page(self, presenter: InsidePresenter) -> InsideView: ...
    def calibration_page(self, presenter: CalibrationPresenter) -> CalibrationView: ...
    def junk_page(self, presenter: JunkPresenter) -> JunkView: ...
    def apart_page(self, presenter: ApartPresenter) -> ApartView: ...
    def methods_page(self, presenter: MethodsPresenter) -> MethodsView: ...
    def migration_page(self, presenter: MigrationPresenter) -> MigrationView: ...
    def known_page(self, presenter: KnownPresenter) -> KnownView: ...
    def show_page(self, page: Page, store: str) -> None: ...
    def show_question(self, question: Question | None) -> None: ...
    def show_notice(self, notice: Notice | None) -> None: ...
