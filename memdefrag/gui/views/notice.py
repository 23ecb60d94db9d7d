"""The line above the pages: what failed, what is safe, what to do."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QFrame

from memdefrag.gui.widgets import button, column, label, row
from memdefrag.presenters.pages import Notice


class NoticeBar(QFrame):
    def __init__(self, dismiss: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("notice")
        self._message = label("", "strong", wrap=True, selectable=True)
        self._rest = label("", wrap=True, selectable=True)
        self._log = ""
        self.copy = button("Copy Details", self._copy)
        self.open_log = button("Open Log", self._open_log, name="Open the log file")
        self.close_button = button("Dismiss", dismiss)
        texts = column(self._message, self._rest, gap=4)
        layout = row(texts, self.open_log, self.copy, self.close_button)
        layout.setStretchFactor(texts, 1)
        layout.setContentsMargins(14, 10, 14, 10)
        self.setLayout(layout)
        self.hide()

    def show_notice(self, notice: Notice | None) -> None:
        if notice is None:
            self.hide()
            return
        self.setProperty("kind", "error" if notice.is_error else "info")
        self.style().unpolish(self)
        self.style().polish(self)
        rest = " ".join(part for part in (notice.safe, notice.todo) if part)
        self._message.setText(notice.message)
        self._rest.setText(rest)
        self._rest.setVisible(bool(rest))
        self.copy.setVisible(notice.is_error)
        self._log = notice.log
        self.open_log.setVisible(bool(notice.log) and notice.is_error)
        self.show()

    def _copy(self) -> None:
        parts = (self._message.text(), self._rest.text(), f"Log: {self._log}" if self._log else "")
        QGuiApplication.clipboard().setText("\n".join(part for part in parts if part))

    def _open_log(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(self._log))
