"""The window: a stack of pages, a menu, and a line for what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QActionGroup, QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence
from PySide6.QtWidgets import QFileDialog, QMainWindow, QMenu, QStackedWidget, QWidget

import memdefrag
from memdefrag.gui import theme
from memdefrag.gui.tasks import Tasks
from memdefrag.gui.views.job import WorkPage
from memdefrag.gui.views.notice import NoticeBar
from memdefrag.gui.views.question import QuestionBar
from memdefrag.gui.views.summary import SummaryPage
from memdefrag.gui.views.welcome import WelcomePage
from memdefrag.gui.widgets import column
from memdefrag.presenters.analysis import WorkPresenter
from memdefrag.presenters.asking import Question
from memdefrag.presenters.backups import BackupsPresenter, BackupsView
from memdefrag.presenters.changes import ChangesPresenter, ChangesView
from memdefrag.presenters.inside import InsidePresenter, InsideView
from memdefrag.presenters.pages import Notice, Page
from memdefrag.presenters.plan import PlanPresenter, PlanView
from memdefrag.presenters.result import ResultPresenter, ResultView
from memdefrag.presenters.shell import Shell
from memdefrag.presenters.summary import SummaryPresenter
from memdefrag.presenters.welcome import WelcomePresenter

if TYPE_CHECKING:
    from memdefrag.gui.views.review import ReviewPage
    from memdefrag.presenters.apart import ApartPresenter, ApartView
    from memdefrag.presenters.calibration import CalibrationPresenter, CalibrationView
    from memdefrag.presenters.junk import JunkPresenter, JunkView
    from memdefrag.presenters.known import KnownPresenter, KnownView
    from memdefrag.presenters.methods import MethodsPresenter, MethodsView
    from memdefrag.presenters.migration import MigrationPresenter, MigrationView
    from memdefrag.presenters.review import ReviewPresenter
    from memdefrag.presenters.updates import UpdatesPresenter, UpdatesView

AnyPage = TypeVar("AnyPage", bound=QWidget)
_EXISTING = {
    "python": "Choose the Python",
    "import": "Import a Backup",
    "store file": "Compare with This Store",
    "apart import": "Import What Was Told Apart",
    "migration file": "Choose a Store",
    "mapping": "Choose the File That Maps Metadata",
}
_NEW = {
    "folder": "Name the New Folder",
    "migration target": "Name the New Store",
    "unpack": "Name the New Place of the Restored Copy",
    "export": "Export: Name the New File (.tar.zst or .zip)",
}
STORES = "Memory stores (chroma.sqlite3 *.db *.sqlite *.sqlite3 *.jsonl *.parquet *.json);;All files (*)"


class MainWindow(QMainWindow):
    """Makes each page when it is first needed; what happens on it is the presenters' business."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("memdefrag")
        self.resize(1240, 800)
        self.setAcceptDrops(True)
        self._pages: dict[Page, QWidget] = {}
        self._stack = QStackedWidget()
        self.tasks = Tasks(self)
        self.tasks.idle.connect(self.close)
        self._notice = NoticeBar(lambda: self.shell.dismiss())
        centre = QWidget()
        self._question = QuestionBar(lambda agreed: self.shell.answer(agreed))
        centre.setLayout(column(self._notice, self._question, self._stack, gap=0))
        self.setCentralWidget(centre)
        self.shell = Shell(self, self.tasks)
        self._make_menus()

    # The pages

    def page(self, page: Page) -> QWidget | None:
        """A page, if it was made already."""
        return self._pages.get(page)

    def welcome_page(self, presenter: WelcomePresenter) -> WelcomePage:
        page = WelcomePage(presenter, self.ask_file, self.ask_folder, lambda: self.shell.side.show_migration())
        return self._add(Page.WELCOME, page)

    def summary_page(self, presenter: SummaryPresenter) -> SummaryPage:
        return self._add(Page.SUMMARY, SummaryPage(presenter, self.ask_path))

    def work_page(self, presenter: WorkPresenter) -> WorkPage:
        return self._add(Page.WORK, WorkPage(presenter))

    def review_page(self, presenter: ReviewPresenter) -> ReviewPage:
        from memdefrag.gui.views.review import ReviewPage

        page = ReviewPage(
            presenter,
            lambda: self.shell.side.look_otherwise(),
            lambda: self.shell.side.compare_methods(),
            lambda: self.shell.side.calibrate(),
        )
        self._review = self._add(Page.REVIEW, page)
        return self._review

    def updates_page(self, presenter: UpdatesPresenter) -> UpdatesView:
        return self._review.add_updates(presenter)

    def known_page(self, presenter: KnownPresenter) -> KnownView:
        return self._review.add_known(presenter)

    def plan_page(self, presenter: PlanPresenter) -> PlanView:
        from memdefrag.gui.views.plan import PlanPage

        return self._add(Page.PLAN, PlanPage(presenter, self.ask_path))

    def result_page(self, presenter: ResultPresenter) -> ResultView:
        from memdefrag.gui.views.result import ResultPage

        return self._add(Page.RESULT, ResultPage(presenter))

    def backups_page(self, presenter: BackupsPresenter) -> BackupsView:
        from memdefrag.gui.views.backups import BackupsPage

        return self._add(
            Page.BACKUPS,
            BackupsPage(presenter, self.ask_path, lambda: self.shell.leave(), lambda: self.shell.show_changes()),
        )

    def changes_page(self, presenter: ChangesPresenter) -> ChangesView:
        from memdefrag.gui.views.changes import ChangesPage

        page = ChangesPage(presenter, lambda: self.shell.leave(), lambda: self.shell.show_backups())
        return self._add(Page.CHANGES, page)

    def inside_page(self, presenter: InsidePresenter) -> InsideView:
        from memdefrag.gui.views.inside import InsidePage

        return self._add(Page.INSIDE, InsidePage(presenter, lambda: self.shell.leave()))

    def calibration_page(self, presenter: CalibrationPresenter) -> CalibrationView:
        from memdefrag.gui.views.calibration import CalibrationPage

        return self._add(Page.CALIBRATION, CalibrationPage(presenter))

    def junk_page(self, presenter: JunkPresenter) -> JunkView:
        from memdefrag.gui.views.junk import JunkPage

        return self._add(Page.JUNK, JunkPage(presenter))

    def apart_page(self, presenter: ApartPresenter) -> ApartView:
        from memdefrag.gui.views.apart import ApartPage

        return self._add(Page.APART, ApartPage(presenter, self.ask_path))

    def methods_page(self, presenter: MethodsPresenter) -> MethodsView:
        from memdefrag.gui.views.methods import MethodsPage

        return self._add(Page.METHODS, MethodsPage(presenter))

    def migration_page(self, presenter: MigrationPresenter) -> MigrationView:
        from memdefrag.gui.views.migration import MigrationPage

        return self._add(Page.MIGRATION, MigrationPage(presenter, self.ask_path))

    def _add(self, name: Page, page: AnyPage) -> AnyPage:
        self._pages[name] = page
        self._stack.addWidget(page)
        return page

    def show_page(self, page: Page, store: str) -> None:
        self._stack.setCurrentWidget(self._pages[page])
        self.setWindowTitle(f"{Path(store).name} — memdefrag" if store else "memdefrag")
        first = getattr(self._pages[page], "first_focus", None)
        if first is not None:
            first.setFocus()

    def show_question(self, question: Question | None) -> None:
        """Ask; once there is an answer, the page has the focus again."""
        asked = self._question.isVisible()
        self._question.show_question(question)
        first = getattr(self._stack.currentWidget(), "first_focus", None)
        if asked and question is None and first is not None:
            first.setFocus()

    def show_notice(self, notice: Notice | None) -> None:
        self._notice.show_notice(notice)

    # Asking for paths

    def ask_file(self) -> None:
        """Open Database: the file of a store, or one inside a store's folder."""
        name, _ = QFileDialog.getOpenFileName(self, "Open Database", "", STORES)
        if name:
            self.shell.open(name)

    def ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Open Folder")
        if name:
            self.shell.open(name)

    def ask_path(self, wanted: str, proposal: str = "") -> str:
        """A path: of something that is there (`_EXISTING`, "store folder"), or a name for something new.

        New are a "folder", what a backup is to be unpacked to ("unpack"), and the file of an "export".
        """
        if wanted in _EXISTING:
            return QFileDialog.getOpenFileName(self, _EXISTING[wanted])[0]
        if wanted == "store folder":
            return QFileDialog.getExistingDirectory(self, _EXISTING["store file"])
        if wanted == "migration folder":
            return QFileDialog.getExistingDirectory(self, _EXISTING["migration file"])
        if wanted == "apart export":
            return QFileDialog.getSaveFileName(self, "Export What Was Told Apart", "not-duplicates.json")[0]
        dialog = QFileDialog(self, _NEW[wanted])
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)
        dialog.setLabelText(QFileDialog.DialogLabel.Accept, "Use This Name")
        dialog.selectFile(proposal)
        chosen = dialog.selectedFiles() if dialog.exec() else []
        return chosen[0] if chosen else ""

    # The menu

    def _make_menus(self) -> None:
        shell = self.shell
        file = self.menuBar().addMenu("&File")
        self._action(file, "&Open Database…", self.ask_file, QKeySequence.StandardKey.Open)
        self._action(file, "Open &Folder…", self.ask_folder, "Ctrl+Shift+O")
        self._action(file, "Open the &Demo Store", shell.open_demo)
        self._action(file, "Close &Store", shell.close_store, "Ctrl+W")
        file.addSeparator()
        self._action(file, "&Migrate…", lambda: shell.side.show_migration(), "Ctrl+Shift+M")
        self._action(file, "&Backups", shell.show_backups, "Ctrl+B")
        self._action(file, "C&hanges Made", shell.show_changes, "Ctrl+H")
        file.addSeparator()
        self._action(file, "&Quit", self.close, QKeySequence.StandardKey.Quit)
        store = self.menuBar().addMenu("&Store")
        self._action(store, "Start &Analysis", shell.analyse_again, "F5")
        self._action(store, "How to &Look", lambda: shell.side.look_otherwise(), "Ctrl+K")
        self._action(store, "Try It on a &Copy", shell.try_on_copy)
        self._action(store, "&Hardly Memories", lambda: shell.side.show_junk(), "Ctrl+J")
        self._action(store, "&Not Duplicates", lambda: shell.side.show_apart(), "Ctrl+D")
        self._action(store, "&Where to Draw the Line", lambda: shell.side.calibrate(), "Ctrl+L")
        self._action(store, "Compare &Methods", lambda: shell.side.compare_methods(), "Ctrl+M")
        view = self.menuBar().addMenu("&View")
        themes = QActionGroup(self)
        for choice in theme.CHOICES:
            action = self._action(view, f"{choice.capitalize()} colours", lambda choice=choice: theme.choose(choice))
            action.setCheckable(True)
            action.setChecked(choice == theme.chosen())
            themes.addAction(action)
        about = self.menuBar().addMenu("&Help")
        self._action(about, "&About memdefrag", self._about)

    def _action(
        self, menu: QMenu, text: str, call: Callable[[], object], keys: QKeySequence.StandardKey | str = ""
    ) -> QAction:
        action = menu.addAction(text)
        action.triggered.connect(lambda _=False: call())
        if keys:
            action.setShortcut(QKeySequence(keys))
        return action

    def _about(self) -> None:
        said = f"memdefrag {memdefrag.__version__}. Everything is done on this machine; nothing is sent anywhere."
        self.show_notice(Notice(said))

    # Dropping and closing

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls() and event.mimeData().urls()[0].isLocalFile():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        self.shell.open(event.mimeData().urls()[0].toLocalFile())

    def closeEvent(self, event: QCloseEvent) -> None:
        """Jobs are asked to stop; the window goes when the last one has come to a safe end."""
        self.shell.flush()
        self.tasks.stop()
        if self.tasks.busy:
            event.ignore()
        else:
            event.accept()
