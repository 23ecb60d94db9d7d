"""The next two steps of a migration: what collections are called, and which memories go in which way."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QFrame, QGridLayout, QLayout, QLineEdit, QWidget

from memdefrag.gui.views.migration_places import Ask
from memdefrag.gui.views.ways import WaysCard
from memdefrag.gui.widgets import button, card, clear, column, label, row, scrolling
from memdefrag.presenters.migration import MigrationPresenter
from memdefrag.presenters.migration_form import CONFLICTS, Form
from memdefrag.presenters.migration_state import MigrationState, Named

_LABELS = 170
_BEST = "as it goes best"
_USUAL = "so many seconds without an answer; usually 30"
_COLUMNS = ("Takes part", "Store", "Collection", "Holds", "Name in the target")


class NamesPanel(QWidget):
    """Each collection: whether it takes part, and its name in the target."""

    def __init__(self, presenter: MigrationPresenter, ask: Ask) -> None:
        super().__init__()
        self._presenter = presenter
        self._shown: list[tuple[str, str]] = []
        self._target = label("", "muted", wrap=True, selectable=True)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(20)
        self._rows: list[tuple[QCheckBox, QLineEdit]] = []
        self.one = QLineEdit()
        self.one.setAccessibleName("The collection where all go")
        self.one.setPlaceholderText("each into a collection of its own name")
        self.one.textEdited.connect(lambda said: presenter.put(one=said))
        self._ways = WaysCard(presenter.choose_writer, ask)
        self.ways = self._ways.group
        content = column(
            label("Collections and their names", "heading"),
            self._target,
            card(self._grid),
            card(label("All into one collection", "strong"), self.one),
            self._ways,
        )
        content.addStretch(1)
        self.setLayout(column(scrolling(content)))
        self.first_focus = self.one

    def update_state(self, state: MigrationState) -> None:
        self._target.setText(f"Target: {state.form.target}. {state.held}")
        self._ways.show_ways(state.writers, state.writer)
        _say(self.one, state.form.one)
        rows = [(each.source, each.collection) for each in state.names]
        if rows != self._shown:
            self._shown = rows
            self._fill(state.names)
        for (box, name), each in zip(self._rows, state.names, strict=True):
            box.setChecked(each.takes_part)
            name.setEnabled(each.takes_part and not state.form.one.strip())
            if not name.hasFocus():
                _say(name, each.name)

    def _fill(self, names: tuple[Named, ...]) -> None:
        clear(self._grid)
        self._rows = []
        for number, heading in enumerate(_COLUMNS):
            self._grid.addWidget(label(heading, "muted"), 0, number)
        for line, each in enumerate(names):
            box, name = QCheckBox(), QLineEdit()
            box.setAccessibleName(f"{each.collection} of {each.place} takes part")
            name.setAccessibleName(f"Name of {each.collection} of {each.place} in the target")
            box.toggled.connect(partial(self._presenter.take, line))
            name.textEdited.connect(partial(self._presenter.rename, line))
            parts = (box, label(each.place, wrap=True), label(each.collection, wrap=True), label(each.held), name)
            for number, part in enumerate(parts):
                self._grid.addWidget(part, line + 1, number, Qt.AlignmentFlag.AlignVCenter)
            self._rows.append((box, name))
        for number, share in enumerate((0, 3, 2, 0, 3)):
            self._grid.setColumnStretch(number, share)


class OptionsPanel(QWidget):
    """Which memories take part, what happens where two meet, vectors, pace and proof."""

    def __init__(self, presenter: MigrationPresenter, ask: Ask) -> None:
        super().__init__()
        self._presenter, self._ask = presenter, ask
        self._fields: dict[str, QLineEdit] = {}
        self._boxes: dict[str, QCheckBox] = {}
        self.conflict = QComboBox()
        self.conflict.setAccessibleName("Where the target has another memory of that name")
        for value, words in CONFLICTS.items():
            self.conflict.addItem(words, value)
        self.conflict.activated.connect(lambda _: presenter.put(conflict=self.conflict.currentData()))
        self.file = button("File…", self._choose_mapping, name="Choose the file that maps metadata")
        mapping = row(self._line("mapping", "File that maps metadata", "metadata go as they are"), self.file, gap=8)
        self.anew = QCheckBox("Make all vectors anew with")
        self.anew.toggled.connect(lambda on: presenter.put(re_embed=self.model.currentText() if on else ""))
        self.model = QComboBox()
        self.model.setEditable(True)
        self.model.setAccessibleName("Model that makes the vectors")
        self.model.editTextChanged.connect(self._named)
        content = column(
            label("Which memories", "heading"),
            self._grid({
                "Ids begin with": self._line("prefix", "Beginning of the ids", "any"),
                "Metadata say": self._line("where", "Metadata", "KEY=VALUE; several with commas between them"),
                "Tagged": self._line("tags", "Tags", "any; several with commas between them: all of them"),
                "Made or changed since": self._line("since", "Since", "any time; or 2025-03-01, 7d, 24h"),
                "": self._box("skip_duplicates", "Leave out what surely says the same as another memory"),
            }),
            label("How they go", "heading"),
            self._grid({
                "Name taken by another": row(self.conflict, None),
                "Metadata mapped by": mapping,
                "Vectors": row(self.anew, self.model, None, gap=8),
                "Pace": self._box("gentle", "Gently: 10 memories at once and a second between, for a server in use"),
                "Memories in one request": self._line("batch", "Memories in one request", _BEST),
                "Seconds between two": self._line("delay", "Seconds between two requests", "none"),
                "At most in a second": self._line("rate", "Memories in a second at most", _BEST),
                "Give a server up after": self._line("timeout", "Seconds without an answer", _USUAL),
            }),
            label("Proof afterwards", "heading"),
            self._grid({
                "Compare": self._box("full", "All once more in the end; each was read back while it was written"),
                "If it fails": self._box("rollback", "Take everything back where a memory is refused or differs"),
            }),
        )  # fmt: skip
        content.addStretch(1)
        self.setLayout(column(scrolling(content)))
        self.first_focus = self._fields["prefix"]

    def update_state(self, state: MigrationState) -> None:
        form = state.form
        for name, field in self._fields.items():
            _say(field, getattr(form, name))
        for name, box in self._boxes.items():
            box.setChecked(getattr(form, name))
        for name in ("batch", "delay"):
            self._fields[name].setEnabled(not form.gentle)
        self.conflict.setCurrentIndex(self.conflict.findData(form.conflict))
        self._show_model(form, state.models)

    def _show_model(self, form: Form, models: tuple[str, ...]) -> None:
        self.model.blockSignals(True)
        if [self.model.itemText(number) for number in range(self.model.count())] != [*models]:
            typed = self.model.currentText()
            self.model.clear()
            self.model.addItems([*models])
            self.model.setEditText(typed or (models[0] if models else ""))
        if form.re_embed and self.model.currentText() != form.re_embed:
            self.model.setEditText(form.re_embed)
        self.model.blockSignals(False)
        self.model.setEnabled(self.anew.isChecked())
        if form.re_embed:
            self.anew.setChecked(True)

    def _named(self, model: str) -> None:
        if self.anew.isChecked():
            self._presenter.put(re_embed=model)

    def _choose_mapping(self) -> None:
        if path := self._ask("mapping"):
            self._presenter.put(mapping=path)

    def _line(self, name: str, spoken: str, hint: str) -> QLineEdit:
        made = self._fields[name] = QLineEdit()
        made.setAccessibleName(spoken)
        made.setPlaceholderText(hint)
        made.textEdited.connect(lambda said: self._presenter.put(**{name: said}))
        return made

    def _box(self, name: str, words: str) -> QCheckBox:
        made = self._boxes[name] = QCheckBox(words)
        made.toggled.connect(lambda on: self._presenter.put(**{name: on}))
        return made

    def _grid(self, parts: dict[str, QWidget | QLayout]) -> QFrame:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setColumnStretch(1, 1)
        grid.setColumnMinimumWidth(0, _LABELS)
        for line, (words, part) in enumerate(parts.items()):
            grid.addWidget(label(words, "muted"), line, 0, Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(part, line, 1) if isinstance(part, QWidget) else grid.addLayout(part, line, 1)
        return card(grid)


def _say(field: QLineEdit, text: str) -> None:
    if field.text() != text:
        field.setText(text)
