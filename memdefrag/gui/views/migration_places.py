"""The first two steps of a migration: which stores are read, and which one is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QFrame, QGridLayout, QLineEdit, QVBoxLayout, QWidget

from memdefrag.gui.widgets import button, card, clear, column, label, row, scrolling
from memdefrag.model.profiles import KINDS, Profile
from memdefrag.presenters.migration import MigrationPresenter
from memdefrag.presenters.migration_form import NEW_KINDS, SUFFIXES
from memdefrag.presenters.migration_state import MigrationState, Step
from memdefrag.presenters.welcome import StoreCard

Ask = Callable[..., str]
_SHOWN_STORES = 12
_FIELDS = ("name", "url", "tenant", "database", "collection")
"""Of a server, as `Profile` and the panel call them."""


class SourcePanel(QWidget):
    """The stores that are read, one after another.

    Args:
        ask: asks for a path, by what is wanted: "migration file" or "migration folder"; empty when the person gave up.
    """

    def __init__(self, presenter: MigrationPresenter, ask: Ask) -> None:
        super().__init__()
        self._presenter = presenter
        self._shown: tuple[str, ...] | None = None
        self._chosen = QVBoxLayout()
        self._none = label("None yet. Add one or more; they are read one after another.", "muted", wrap=True)
        self.address = _line("Path or address of a store to read", "A path or an address; Enter adds it")
        self.address.returnPressed.connect(self._add)
        self.add = button("Add", self._add, name="Add this store")
        self.places = PlaceButtons(ask, presenter.add_source, "to read")
        self.server = ServerPanel(presenter, Step.SOURCE)
        self.places.server.clicked.connect(lambda _=False: self.server.toggle())
        self._stores = StoreList("Add", presenter.add_source)
        content = column(
            label("From where?", "heading"),
            label("What is read is never changed.", "muted"),
            card(self._none, self._chosen),
            row(self.address, self.add, gap=8),
            self.places,
            self.server,
            self._stores,
        )
        content.addStretch(1)
        self.setLayout(column(scrolling(content)))
        self.first_focus = self.address

    def update_state(self, state: MigrationState) -> None:
        self.server.show_profiles(state.profiles)
        self._stores.show_stores(state.stores, state.form.sources)
        if state.form.sources != self._shown:
            self._shown = state.form.sources
            clear(self._chosen)
            for number, source in enumerate(state.form.sources):
                remove = button("Remove", partial(self._presenter.remove_source, number), name=f"Remove {source}")
                said = label(source, "strong", wrap=True, selectable=True)
                line = row(said, remove)
                line.setStretchFactor(said, 1)
                self._chosen.addLayout(line)
            self._none.setVisible(not state.form.sources)

    def _add(self) -> None:
        self._presenter.add_source(self.address.text())
        self.address.clear()


class TargetPanel(QWidget):
    """The store that is written: one that is there, or a new one.

    Args:
        ask: as `SourcePanel`, and "migration target" with a proposal.
    """

    def __init__(self, presenter: MigrationPresenter, ask: Ask) -> None:
        super().__init__()
        self._presenter, self._ask = presenter, ask
        self.address = _line("Path or address of the store to write", "A path or an address")
        self.address.textEdited.connect(presenter.set_target)
        self.places = PlaceButtons(ask, presenter.set_target, "to write")
        self.server = ServerPanel(presenter, Step.TARGET)
        self.places.server.clicked.connect(lambda _=False: self.server.toggle())
        self.kind = QComboBox()
        self.kind.setAccessibleName("Kind of the new store")
        for kind, words in NEW_KINDS.items():
            self.kind.addItem(words, kind)
        self.new = button("Choose Its Place…", self._name_new, name="Choose the place of the new store")
        self._stores = StoreList("Choose", presenter.set_target)
        content = column(
            label("Where to?", "heading"),
            label("A store that is there is backed up first; what it holds already is not copied twice.", "muted"),
            self.address,
            self.places,
            self.server,
            card(label("Or a new one", "strong"), row(self.kind, self.new, None)),
            self._stores,
        )
        content.addStretch(1)
        self.setLayout(column(scrolling(content)))
        self.first_focus = self.address

    def update_state(self, state: MigrationState) -> None:
        self.server.show_profiles(state.profiles)
        self._stores.show_stores(state.stores, state.form.sources)
        if self.address.text() != state.form.target:
            self.address.setText(state.form.target)

    def _name_new(self) -> None:
        kind = self.kind.currentData()
        if path := self._ask("migration target", f"memories{SUFFIXES.get(kind, '')}"):
            self._presenter.set_target(f"{kind}:{path}")


class PlaceButtons(QWidget):
    """File, folder or server."""

    def __init__(self, ask: Ask, chosen: Callable[[str], None], what: str) -> None:
        super().__init__()

        def choose(wanted: str) -> None:
            if path := ask(wanted):
                chosen(path)

        self.file = button("File…", partial(choose, "migration file"), name=f"Choose a file {what}")
        self.folder = button("Folder…", partial(choose, "migration folder"), name=f"Choose a folder {what}")
        self.server = button("Server…", lambda: None, name=f"Name a server {what}")
        self.setLayout(row(self.file, self.folder, self.server, None, gap=8))


class StoreList(QWidget):
    """Stores that were opened before or found on this machine, each with a button."""

    def __init__(self, caption: str, chosen: Callable[[str], None]) -> None:
        super().__init__()
        self._caption, self._choose = caption, chosen
        self._shown: tuple[StoreCard, ...] = ()
        self._rows = QVBoxLayout()
        self._heading = label("Opened before, or found on this machine", "heading")
        self.setLayout(column(self._heading, self._rows))
        self.hide()

    def show_stores(self, stores: Sequence[StoreCard], without: Sequence[str]) -> None:
        """Show those that can be read and are not chosen already."""
        wanted = tuple(each for each in stores if each.readable and each.address not in without)[:_SHOWN_STORES]
        if wanted == self._shown:
            return
        self._shown = wanted
        self.setVisible(bool(wanted))
        clear(self._rows)
        for store in wanted:
            choose = button(self._caption, partial(self._choose, store.address), name=f"{self._caption} {store.title}")
            place = label(f"{store.facts}\n{store.place}", "muted", wrap=True)
            line = row(column(label(store.title, "strong"), place, gap=2), choose)
            line.setStretch(0, 1)
            self._rows.addLayout(line)


class ServerPanel(QFrame):
    """A server by its address or by its name; hidden until it is wanted."""

    def __init__(self, presenter: MigrationPresenter, role: Step) -> None:
        super().__init__()
        self.setObjectName("card")
        self._presenter, self._role = presenter, role
        self._profiles: tuple[Profile, ...] = ()
        self.known = _choice("Kept servers", {"": "A new server"})
        self.known.activated.connect(self._fill)
        self.forget = button("Forget It", self._forget, name="Forget this server and its key")
        self.kind = _choice("Kind of server", KINDS)
        self.kind.currentIndexChanged.connect(lambda _: self._fit())
        self.url = _line("URL of the server", "http://localhost:8000")
        self.tenant = _line("Tenant", "the default one")
        self.database = _line("Database", "the default one")
        self.collection = _line("Collection on the server", "all")
        self.key = _line("Key or password", "none, or the one that is kept already")
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.name = _line("Name to keep the server by", "do not keep it")
        self.remember = QCheckBox("Keep the key in this system's keyring")
        self.use = button("Use This Server", self._use)
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setColumnStretch(1, 1)
        self._labelled = {}
        for line, (words, part) in enumerate({
            "Server": row(self.known, self.forget, None), "Kind": row(self.kind, None), "URL": self.url,
            "Tenant": self.tenant, "Database": self.database, "Collection": self.collection,
            "Key or password": self.key, "Keep it as": self.name, "": self.remember,
        }.items()):  # fmt: skip
            self._labelled[words] = label(words, "muted")
            grid.addWidget(self._labelled[words], line, 0, Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(part, line, 1) if isinstance(part, QWidget) else grid.addLayout(part, line, 1)
        layout = column(grid, row(self.use, None))
        layout.setContentsMargins(16, 14, 16, 14)
        self.setLayout(layout)
        self._fit()
        self.hide()

    def toggle(self) -> None:
        """Show or hide the fields."""
        self.setVisible(self.isHidden())
        if not self.isHidden():
            self.known.setFocus()

    def show_profiles(self, profiles: tuple[Profile, ...]) -> None:
        """Offer the servers that are kept."""
        if profiles != self._profiles:
            self._profiles = profiles
            self.known.clear()
            self.known.addItem("A new server", "")
            for profile in profiles:
                self.known.addItem(profile.name, profile.name)
        self._fit()

    def _chosen(self) -> Profile:
        name = self.known.currentData()
        return next((profile for profile in self._profiles if profile.name == name), Profile())

    def _fill(self) -> None:
        profile = self._chosen()
        self.kind.setCurrentIndex(self.kind.findData(profile.kind))
        for field in _FIELDS:
            getattr(self, field).setText(getattr(profile, field))
        self.key.clear()
        self._fit()

    def _fit(self) -> None:
        """Show the fields that this kind of server has."""
        is_chroma = self.kind.currentData() == "chroma"
        for part in (self.tenant, self.database, self._labelled["Tenant"], self._labelled["Database"]):
            part.setVisible(is_chroma)
        self.forget.setEnabled(bool(self.known.currentData()))

    def _use(self) -> None:
        said = {name: getattr(self, name).text().strip() for name in _FIELDS}
        server = Profile(kind=self.kind.currentData(), **said)
        self._presenter.add_server(self._role, server, self.key.text(), remember=self.remember.isChecked())
        self.key.clear()

    def _forget(self) -> None:
        self._presenter.forget_server(self._chosen())


def _line(name: str, hint: str) -> QLineEdit:
    made = QLineEdit()
    made.setAccessibleName(name)
    made.setPlaceholderText(hint)
    return made


def _choice(name: str, entries: dict[str, str]) -> QComboBox:
    made = QComboBox()
    made.setAccessibleName(name)
    for value, words in entries.items():
        made.addItem(words, value)
    return made
