"""The tabs beside the results: what differs, what the merged memory says, and all values."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QGridLayout, QLayout, QTabWidget, QWidget

from memdefrag.gui import theme
from memdefrag.gui.widgets import button, clear, column, fill_spans, label, row, scrolling, text_box, text_of
from memdefrag.presenters.details import Details, DetailsPresenter

DIFF, MERGED, METADATA = range(3)
_TYPING_PAUSE_MS = 400


class DetailsTabs(QTabWidget):
    def __init__(self, presenter: DetailsPresenter) -> None:
        super().__init__()
        self._presenter = presenter
        self.setAccessibleName("Details")
        self._diff_note = label("", "muted", wrap=True)
        self._survivor_name, self._member_name = label("", "strong"), label("", "strong")
        self.survivor = text_box("The memory that stays")
        self.member = text_box("The memory it is compared with")
        self.merged = text_box("Text of the merged memory, can be edited", editable=True)
        self._merged_note = label("", "muted", wrap=True)
        self.automatic = button("Automatic Text Again", presenter.use_automatic_text)
        self._values = QGridLayout()
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING_PAUSE_MS)
        self._typing.timeout.connect(self.commit_text)
        self.merged.textChanged.connect(self._typed)
        self._shown: Details | None = None
        self._filling, self._filled = False, ""
        self.addTab(_tab(self._survivor_name, self.survivor, self._member_name, self.member, self._diff_note), "Diff")
        self.addTab(_tab(self._merged_note, self.merged, row(self.automatic, None)), "Merged text")
        values = column(self._values)
        values.addStretch(1)
        area = scrolling(values, 10_000)
        values.setContentsMargins(10, 10, 10, 10)
        self.addTab(area, "Metadata")

    def update_details(self, details: Details) -> None:
        if self._typing.isActive():
            self._typing.stop()
        self._shown = details
        self._survivor_name.setText(details.survivor_name)
        self._member_name.setText(details.member_name)
        self._diff_note.setText(details.why)
        colours = theme.colours()
        fill_spans(self.survivor, details.survivor, colours.added_on)
        fill_spans(self.member, details.member, colours.removed_on)
        self._filling = True
        if text_of(self.merged) != details.merged_text:
            self.merged.setPlainText(details.merged_text)
        self._filled = text_of(self.merged)
        self._filling = False
        self.merged.setReadOnly(not details.editable)
        self._merged_note.setText(details.merged_note)
        self.automatic.setEnabled(details.edited)
        self._fill_values(details)

    def commit_text(self) -> None:
        """Hand on what was typed."""
        self._typing.stop()
        # The box has its own line ends: compared is what it held, not the memory's text.
        if self._shown is not None and text_of(self.merged) != self._filled:
            self._presenter.edit(text_of(self.merged))

    def _typed(self) -> None:
        if not self._filling:
            self._typing.start()

    def _fill_values(self, details: Details) -> None:
        clear(self._values)
        self._values.setHorizontalSpacing(14)
        self._values.setVerticalSpacing(4)
        self._values.setColumnStretch(1, 1)
        line = 0
        for value in details.values:
            self._values.addWidget(label(value.key, "strong"), line, 0, 1, 2)
            for who, text in value.lines:
                line += 1
                self._values.addWidget(label(who, "muted"), line, 0, Qt.AlignmentFlag.AlignTop)
                self._values.addWidget(label(text, wrap=True, selectable=True), line, 1)
            line += 1


def _tab(*parts: QWidget | QLayout) -> QWidget:
    page = QWidget()
    layout = column(*parts, gap=6)
    layout.setContentsMargins(10, 10, 10, 10)
    page.setLayout(layout)
    return page
