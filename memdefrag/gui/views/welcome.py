"""The first page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QLineEdit, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from memdefrag.gui.widgets import button, card, clear, column, label, row, scrolling
from memdefrag.presenters.welcome import AskedCard, StoreCard, WelcomePresenter, WelcomeState

TAGLINE = (
    "Finds memories that say the same thing, lets you choose what to keep, and writes the result back safely. "
    "Looking never changes anything; every write starts with a verified backup and can be undone."
)


class WelcomePage(QWidget):
    """Open, drop, recent, found, demo."""

    def __init__(
        self,
        presenter: WelcomePresenter,
        open_file: Callable[[], None],
        open_folder: Callable[[], None],
        migrate: Callable[[], None],
    ) -> None:
        super().__init__()
        self._presenter = presenter
        self.open_database = button("Open Database", open_file, "primary")
        self.open_folder = button("Open Folder…", open_folder)
        self.demo = button("Try the Demo Store", presenter.demo)
        self.migrate = button("Migrate…", migrate, name="Migrate memories from one store into another")
        self.address = QLineEdit()
        self.address.setPlaceholderText("… or paste a path here and press Enter")
        self.address.setAccessibleName("Path or address of a store")
        self.address.returnPressed.connect(self._open_address)
        self._asked, self._recent, self._found = QVBoxLayout(), QVBoxLayout(), QVBoxLayout()
        self._looking = label("Looking for stores on this machine …", "muted")
        self._recent_heading = label("Opened before", "heading")
        self._found_heading = label("Found on this machine", "heading")
        content = column(
            label("memdefrag", "title"),
            label(TAGLINE, "muted", wrap=True),
            row(self.open_database, self.open_folder, self.migrate, self.demo, None),
            self.address,
            label("You can also drop a folder or a file anywhere in this window.", "muted"),
            self._asked,
            self._recent_heading,
            self._recent,
            self._found_heading,
            self._found,
            self._looking,
            gap=14,
        )
        content.addStretch(1)
        self.setLayout(column(scrolling(content)))
        self.first_focus = self.open_database
        self.update_state(presenter.state)

    def update_state(self, state: WelcomeState) -> None:
        self._ask(state.asked)
        self._fill(self._recent, state.recent)
        self._fill(self._found, state.found)
        self._recent_heading.setVisible(bool(state.recent))
        self._found_heading.setVisible(bool(state.found))
        self._looking.setVisible(state.looking)

    def _ask(self, cards: Sequence[AskedCard]) -> None:
        clear(self._asked)
        for asked in cards:
            yes = button("Yes", partial(self._presenter.answer, asked, True), name=f"Yes, it works. {asked.text}")
            no = button("No…", partial(self._presenter.answer, asked, False), name=f"No, it does not. {asked.text}")
            question = label("Does your assistant work with the result?", "strong", wrap=True)
            texts = column(label(asked.text, "muted", wrap=True), question, gap=3)
            line = row(texts, yes, no)
            line.setStretchFactor(texts, 1)
            self._asked.addWidget(card(line))

    def _fill(self, layout: QVBoxLayout, cards: Sequence[StoreCard]) -> None:
        clear(layout)
        layout.setSpacing(8)
        for found in cards:
            layout.addWidget(StoreButton(found, self._presenter))

    def _open_address(self) -> None:
        if text := self.address.text().strip():
            self._presenter.open(text)


class StoreButton(QPushButton):
    """A store to open, with its facts."""

    def __init__(self, store: StoreCard, presenter: WelcomePresenter) -> None:
        super().__init__()
        self.setObjectName("store")
        self.setAccessibleName(f"Open {store.title}, {store.facts}, {store.place}")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setEnabled(store.readable)
        self.setAutoDefault(True)
        place = label(store.place, "muted")
        place.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        facts = label(store.facts, "" if store.readable else "warning", wrap=not store.readable)
        origin = label(store.origin, "muted")
        self._texts = column(row(label(store.title, "strong"), None, origin), facts, place, gap=3)
        self._texts.setContentsMargins(14, 10, 14, 10)
        self.setLayout(self._texts)
        for part in self.findChildren(QWidget):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.clicked.connect(lambda _=False: presenter.open(store.address))

    def sizeHint(self) -> QSize:
        """As large as the texts inside; a button's own hint knows only its caption."""
        return self._texts.sizeHint()
