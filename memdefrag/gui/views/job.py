"""How far a job is, and the button that stops it; and the page that shows nothing else."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from memdefrag.gui.widgets import button, card, column, fill_lines, label, row, scrolling
from memdefrag.presenters.analysis import WorkPresenter, WorkState
from memdefrag.presenters.tasks import JobProgress

_STEPS = 1000


class JobPanel(QWidget):
    """Phase, bar, figures and Cancel."""

    def __init__(self, stop: Callable[[], None]) -> None:
        super().__init__()
        self._phase, self._figures = label("", "strong"), label("", "muted")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Progress")
        self.cancel = button("Cancel", stop)
        self.setLayout(column(self._phase, row(self._bar, self.cancel), self._figures, gap=6))

    def show_job(self, job: JobProgress) -> None:
        self._phase.setText(f"{job.phase} …" if not job.stopping else "Stopping …")
        self._figures.setText(job.figures or ("" if job.cancellable else "This cannot be stopped; it takes seconds."))
        self._bar.setRange(0, 0 if job.share is None else _STEPS)
        if job.share is not None:
            self._bar.setValue(round(job.share * _STEPS))
        self.cancel.setEnabled(job.cancellable and not job.stopping)


class WorkPage(QWidget):
    def __init__(self, presenter: WorkPresenter) -> None:
        super().__init__()
        self._title = label("", "title", wrap=True)
        self._note = label("", "muted", wrap=True)
        self._over = QVBoxLayout()
        self._over.setSpacing(4)
        self.panel = JobPanel(presenter.stop)
        content = column(self._title, self._note, card(self.panel), self._over, gap=16)
        content.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setLayout(column(scrolling(content, 640)))
        self.first_focus = self.panel.cancel
        self._shown: tuple[str, ...] = ()

    def update_state(self, state: WorkState) -> None:
        self._title.setText(state.job.title)
        self._note.setText(state.note)
        self.panel.show_job(state.job)
        if state.phases != self._shown:
            self._shown = state.phases
            fill_lines(self._over, [f"✓  {phase}" for phase in state.phases], "muted")
