"""The page that brings memories from one store into another."""

from __future__ import annotations

from functools import partial

from PySide6.QtWidgets import QButtonGroup, QStackedWidget, QVBoxLayout, QWidget

from memdefrag.gui.views.migration_options import NamesPanel, OptionsPanel
from memdefrag.gui.views.migration_places import Ask, SourcePanel, TargetPanel
from memdefrag.gui.views.migration_report import RehearsalPanel, ResultPanel
from memdefrag.gui.widgets import button, card, clear, column, label, row
from memdefrag.presenters.migration import MigrationPresenter
from memdefrag.presenters.migration_result import MigrationResultPresenter
from memdefrag.presenters.migration_state import NEXT, MigrationState, Step

_TITLES = ("Source", "Target", "Collections", "Options", "Rehearsal", "Result")


class MigrationPage(QWidget):
    """The steps, one at a time, and the way from one to the next.

    Args:
        ask: asks for a path, by what is wanted; empty when the person gave up.
    """

    def __init__(self, presenter: MigrationPresenter, ask: Ask) -> None:
        super().__init__()
        self._presenter = presenter
        self._step: Step | None = None
        self._waiting: tuple[str, ...] = ()
        self._interrupted = QVBoxLayout()
        self.steps = QButtonGroup(self)
        line = row(gap=6)
        for number, words in enumerate(_TITLES):
            made = button(f"{number + 1}  {words}", partial(presenter.go_to, Step(number)), "segment", words)
            made.setCheckable(True)
            self.steps.addButton(made, number)
            line.addWidget(made)
        line.addStretch(1)
        self.source, self.target = SourcePanel(presenter, ask), TargetPanel(presenter, ask)
        self.names, self.options = NamesPanel(presenter, ask), OptionsPanel(presenter, ask)
        self.rehearsal = RehearsalPanel(presenter)
        self.panels = QStackedWidget()
        for panel in (self.source, self.target, self.names, self.options, self.rehearsal):
            self.panels.addWidget(panel)
        self._problem = label("", "danger", wrap=True)
        self.next = button("", presenter.next, "primary")
        self.back = button("Back", presenter.back)
        self.close_button = button("Close", presenter.leave, name="Leave the migration page")
        layout = column(
            row(label("Migrate", "title"), None, self.close_button),
            line,
            self._interrupted,
            self.panels,
            self._problem,
            row(self.next, self.back, None),
        )
        layout.setContentsMargins(28, 20, 28, 20)
        layout.setStretchFactor(self.panels, 1)
        self.setLayout(layout)

    def add_result(self, presenter: MigrationResultPresenter) -> ResultPanel:
        """The panel of the last step."""
        self.result = ResultPanel(presenter)
        self.panels.addWidget(self.result)
        return self.result

    @property
    def first_focus(self) -> QWidget:
        """Where the present step begins."""
        panel = self.panels.currentWidget()
        first: QWidget = self.next if panel is self.rehearsal else getattr(panel, "first_focus", self.next)
        return first

    def update_state(self, state: MigrationState) -> None:
        for panel in (self.source, self.target, self.names, self.options, self.rehearsal):
            panel.update_state(state)
        self._show_interrupted(state.interrupted)
        for number, made in enumerate(self.steps.buttons()):
            made.setEnabled(number <= state.reached)
            made.setChecked(number == state.step)
        self.next.setText(NEXT[state.step])
        self.next.setAccessibleName(NEXT[state.step])
        self.next.setEnabled(state.step is not Step.REHEARSAL or state.rehearsal.ready)
        self._problem.setText(state.problem)
        self._problem.setVisible(bool(state.problem))
        if state.step is not self._step:
            self._step = state.step
            self.panels.setCurrentIndex(state.step)
            self.first_focus.setFocus()

    def _show_interrupted(self, waiting: tuple[str, ...]) -> None:
        if waiting == self._waiting:
            return
        self._waiting = waiting
        clear(self._interrupted)
        for number, words in enumerate(waiting):
            go_on = button("Go On", partial(self._presenter.go_on, number), "primary", f"Go on. {words}")
            back = button(
                "Take It Back…", partial(self._presenter.take_back_interrupted, number), name=f"Take it back. {words}"
            )
            said = label(words, "strong", wrap=True)
            line = row(said, go_on, back)
            line.setStretchFactor(said, 1)
            self._interrupted.addWidget(card(line))
