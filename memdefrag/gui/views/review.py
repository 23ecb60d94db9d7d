"""The page of results."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from memdefrag.analysis.merge import CreatedRule, SurvivorRule
from memdefrag.gui.models.rows import RowsModel
from memdefrag.gui.views.delegate import BadgeDelegate
from memdefrag.gui.views.details import MERGED, DetailsTabs
from memdefrag.gui.views.known import KnownPanel
from memdefrag.gui.views.threshold import ThresholdSlider
from memdefrag.gui.views.updates import UpdatesPanel
from memdefrag.gui.widgets import button, column, label, row, table
from memdefrag.presenters.arrange import Facet, Order, ReviewData
from memdefrag.presenters.cells import DATE, SCORE, STATE, TEXT, WHY
from memdefrag.presenters.details import Details, DetailsPresenter
from memdefrag.presenters.known import KnownPresenter, KnownState
from memdefrag.presenters.review import LOOKING_ONLY, ReviewPresenter, ReviewState
from memdefrag.presenters.updates import UpdatesPresenter, UpdatesState

KEYS_HELP = "J/K group · ↑↓ memory · Space keep/merge · Enter survivor · M merge · N not duplicates · E edit · U undo"
GROUPS, UPDATES, KNOWN = range(3)
_RULES = {
    SurvivorRule.NEWEST: "Keep the newest",
    SurvivorRule.OLDEST: "Keep the oldest",
    SurvivorRule.LONGEST: "Keep the longest",
    SurvivorRule.MOST_METADATA: "Keep the most described",
}
_CREATED = {
    CreatedRule.EARLIEST: "Dated as the earliest",
    CreatedRule.LATEST: "Dated as the latest",
}


class ReviewPage(QWidget):
    """Groups on the left, details on the right, consequences below.

    Args:
        look_otherwise: called to choose another way to look.
        compare_methods: called to see the methods side by side.
        calibrate: called to find out where the person draws the line.
    """

    def __init__(
        self,
        presenter: ReviewPresenter,
        look_otherwise: Callable[[], None],
        compare_methods: Callable[[], None],
        calibrate: Callable[[], None],
    ) -> None:
        super().__init__()
        self._presenter = presenter
        self.looking = button("How to Look", look_otherwise, name="Back to the store: how to look")
        self.methods = button("Methods", compare_methods, name="Compare the methods")
        self.line = button("Where do you draw the line?", calibrate)
        self._state = ReviewState()
        self._details = DetailsPresenter(lambda _: self, presenter)
        self.details = DetailsTabs(self._details)
        self.updates: UpdatesPanel | None = None
        self._updates_presenter: UpdatesPresenter | None = None
        self.known: KnownPanel | None = None
        self._known_presenter: KnownPresenter | None = None
        self._left = QStackedWidget()
        self._groups = self._groups_side()
        self._left.addWidget(self._groups)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.addWidget(self._left)
        splitter.addWidget(self.details)
        splitter.setStretchFactor(0, 2)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([820, 400])
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(10)
        layout = column(self._top(), splitter, self._bottom(), gap=10)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setStretchFactor(splitter, 1)
        self.setLayout(layout)
        self._add_keys()

    @property
    def first_focus(self) -> QWidget:
        """The list on the left."""
        if self._shows(self.updates) and self.updates:
            return self.updates.table
        return self.known.table if self._shows(self.known) and self.known else self.table

    # Building

    def _top(self) -> QVBoxLayout:
        self.show_groups = _segment("Duplicates")
        self.show_updates = _segment("Possible updates")
        self.show_known = _segment("There already")
        which = QButtonGroup(self)
        for place, segment in enumerate((self.show_groups, self.show_updates, self.show_known)):
            which.addButton(segment, place)
        which.idClicked.connect(self._switch)
        self.show_groups.setChecked(True)
        self.threshold = ThresholdSlider(self._presenter.set_threshold)
        self.threshold.setMinimumWidth(320)
        self.rule = QComboBox()
        self.rule.setAccessibleName("Which memory of a group is kept")
        for rule, words in _RULES.items():
            self.rule.addItem(words, rule)
        self.rule.activated.connect(lambda at: self._presenter.set_rule(SurvivorRule(self.rule.itemData(at))))
        self.created = QComboBox()
        self.created.setAccessibleName("Which time a merged memory carries")
        for created, words in _CREATED.items():
            self.created.addItem(words, created)
        self.created.activated.connect(lambda at: self._presenter.set_created(CreatedRule(self.created.itemData(at))))
        return column(
            row(self.show_groups, self.show_updates, self.show_known, None, self.threshold),
            row(self.rule, self.created, None, self.looking, self.methods, self.line),
            gap=8,
        )

    def _groups_side(self) -> QWidget:
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter by text (Ctrl+F)")
        self.filter.setAccessibleName("Filter by text")
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._presenter.set_filter)
        self.facet = QComboBox()
        self.facet.setAccessibleName("Which groups are shown")
        self.facet.activated.connect(lambda at: self._presenter.set_facet(Facet(self.facet.itemData(at))))
        self.order = QComboBox()
        self.order.setAccessibleName("Order of the groups")
        for order in Order:
            self.order.addItem(order.value.capitalize(), order)
        self.order.activated.connect(lambda at: self._presenter.set_order(Order(self.order.itemData(at))))
        self.model = RowsModel()
        self.table = _results_table(self.model)
        self.table.clicked.connect(self._clicked)
        self.table.selectionModel().currentRowChanged.connect(self._current_changed)
        self.table.installEventFilter(self)
        self.tick_shown = button("", lambda: self._presenter.tick_shown(True))
        self.untick_shown = button("Untick shown", lambda: self._presenter.tick_shown(False))
        side = QWidget()
        bar = row(self.filter, self.facet, self.order, gap=8)
        bar.setStretchFactor(self.filter, 1)
        side.setLayout(column(bar, self.table, row(self.tick_shown, self.untick_shown, None, gap=8), gap=8))
        return side

    def _bottom(self) -> QHBoxLayout:
        self._strip: list[tuple[QLabel, QLabel]] = []
        strip = QHBoxLayout()
        strip.setSpacing(20)
        for _ in range(4):
            figure, words = label("", "heading"), label("", "muted")
            strip.addLayout(row(figure, words, gap=6))
            self._strip.append((figure, words))
        strip.addStretch(1)
        self._notice = label("", "warning")
        self._keys = label(KEYS_HELP, "muted")
        self._looking = label(LOOKING_ONLY, "warning", wrap=True)
        self.undo = button("Undo", self._presenter.undo, name="Undo the last decision")
        self.optimize = button("Optimize", self._presenter.optimize, "primary", "Optimize: review the plan")
        below = column(strip, self._keys, self._looking, self._notice, gap=4)
        bottom = row(below, self.undo, self.optimize)
        bottom.setStretchFactor(below, 1)
        return bottom

    def _add_keys(self) -> None:
        for keys, action in {
            "Ctrl+F": self.filter.setFocus,
            "Ctrl+Z": self._presenter.undo,
            "Ctrl+1": lambda: self.details.setCurrentIndex(0),
            "Ctrl+2": lambda: self.details.setCurrentIndex(1),
            "Ctrl+3": lambda: self.details.setCurrentIndex(2),
        }.items():
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(action)

    # Keys and clicks

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.table and event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            return self._key(event)
        return super().eventFilter(watched, event)

    def _key(self, event: QKeyEvent) -> bool:
        """The letters of the review; True when the key was one of them."""
        if event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            return False
        presenter, key = self._presenter, Qt.Key
        action = {
            key.Key_J: lambda: presenter.step_group(1),
            key.Key_Right: lambda: presenter.step_group(1),
            key.Key_K: lambda: presenter.step_group(-1),
            key.Key_Left: lambda: presenter.step_group(-1),
            key.Key_Space: presenter.toggle,
            key.Key_Return: presenter.make_survivor,
            key.Key_Enter: presenter.make_survivor,
            key.Key_M: presenter.merge_all,
            key.Key_N: presenter.not_duplicates,
            key.Key_E: self.edit_merged,
            key.Key_U: presenter.undo,
        }.get(key(event.key()))
        if action is None:
            return False
        action()
        return True

    def edit_merged(self) -> None:
        """Put the cursor into the merged text; Escape brings the person back."""
        self.details.setCurrentIndex(MERGED)
        self.details.merged.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.details.commit_text()
            self._focus_list()
        else:
            super().keyPressEvent(event)

    def _clicked(self, index: QModelIndex) -> None:
        if index.column() == STATE:
            self._presenter.toggle()

    def _current_changed(self, current: QModelIndex, _before: QModelIndex) -> None:
        if current.isValid():
            self.details.commit_text()
            self._presenter.select(current.row())

    def _switch(self, which: int) -> None:
        self._left.setCurrentWidget({UPDATES: self.updates, KNOWN: self.known}.get(which) or self._groups)
        if which == UPDATES and self._updates_presenter:
            self._updates_presenter.refresh()
        elif which == KNOWN and self._known_presenter:
            self._known_presenter.refresh()
        elif which == GROUPS:
            self._details.refresh()
        self._focus_list()

    def _focus_list(self) -> None:
        self.first_focus.setFocus()

    # Showing

    def add_updates(self, presenter: UpdatesPresenter) -> ReviewPage:
        """The second list, of possible updates."""
        self._updates_presenter = presenter
        self.updates = UpdatesPanel(presenter)
        self._left.addWidget(self.updates)
        return self

    def add_known(self, presenter: KnownPresenter) -> ReviewPage:
        """The list of what the store that was compared with holds."""
        self._known_presenter = presenter
        self.known = KnownPanel(presenter)
        self._left.addWidget(self.known)
        if self._presenter.looking_only:
            self._left.setCurrentWidget(self.known)
        return self

    def _shows(self, list: QWidget | None) -> bool:
        """Whether a list is the one on the left."""
        return list is not None and self._left.currentWidget() is list

    def show_analysis(self, data: ReviewData) -> None:
        self.threshold.set_range(data.lowest, data.histogram)
        self.filter.blockSignals(True)
        self.filter.clear()
        self.filter.blockSignals(False)
        looking_only = self._presenter.looking_only
        for part in (self.rule, self.created, self.show_updates, self.line, self.tick_shown, self.untick_shown,
                     self.undo, self.optimize, *(each for pair in self._strip for each in pair)):  # fmt: skip
            part.setHidden(looking_only)
        for part in (self.show_known, self._looking):
            part.setVisible(looking_only)
        (self.show_known if looking_only else self.show_groups).setChecked(True)
        self._switch(KNOWN if looking_only else GROUPS)

    def update_state(self, state: ReviewState) -> None:
        before, self._state = self._state, state
        moved = state.cells is not before.cells
        if moved:
            self.model.show(state.cells)
        elif state.revision != before.revision:
            self.model.refresh(*_visible(self.table))
        self._go_to(state.row, jump=moved)
        changed = state.revision != before.revision or state.row != before.row
        if changed and self._shows(self._groups):
            self._details.refresh()
        if state.revision != before.revision:
            self._show_figures(state)
        if state.threshold != before.threshold and self._shows(self.known) and self._known_presenter:
            self._known_presenter.refresh()
        self._notice.setText(state.notice)
        self._notice.setVisible(bool(state.notice) and not state.looking_only)
        self._keys.setVisible(not state.notice and not state.looking_only)

    def update_updates(self, state: UpdatesState) -> None:
        if self.updates:
            self.updates.show_state(state)
        if self._shows(self.updates) and 0 <= state.row < len(state.rows):
            self._details.show_pair(state.rows[state.row].old, state.rows[state.row].new)

    def update_known(self, state: KnownState) -> None:
        if self.known:
            self.known.show_state(state)
        if self._shows(self.known) and 0 <= state.row < len(state.rows):
            self._details.show_known(state.rows[state.row].member, state.rows[state.row].partner)

    def update_details(self, details: Details) -> None:
        self.details.update_details(details)

    def _show_figures(self, state: ReviewState) -> None:
        for (figure, words), (what, value) in zip(self._strip, state.strip, strict=True):
            figure.setText(value)
            words.setText(what)
        self.threshold.show_threshold(state.threshold)
        self.rule.setCurrentIndex(self.rule.findData(state.rule))
        self.created.setCurrentIndex(self.created.findData(state.created))
        self.order.setCurrentIndex(self.order.findData(state.order))
        self.facet.clear()
        for facet, number in state.facets:
            self.facet.addItem(f"{facet.value.capitalize()} ({number:,})", facet)
        self.facet.setCurrentIndex(self.facet.findData(state.facet))
        self.show_groups.setText(f"Duplicates ({dict(state.facets)[Facet.ALL]:,})")
        self.show_updates.setText(f"Possible updates ({state.updates:,})")
        self.tick_shown.setText(state.bulk)
        for named in (self.show_groups, self.show_updates, self.tick_shown):
            named.setAccessibleName(named.text())
        self.undo.setEnabled(state.can_undo)

    def _go_to(self, number: int, *, jump: bool) -> None:
        """Make a row the current one; after new rows, bring it into sight with its group."""
        if number < 0 or (number == self.table.currentIndex().row() and not jump):
            return
        index = self.model.index(number, 0)
        flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
        self.table.selectionModel().setCurrentIndex(index, flags)
        if jump:
            self.table.scrollTo(index, QTableView.ScrollHint.PositionAtCenter)
        elif self._state.cells is not None:
            # The whole group comes into sight, or as much of it as there is room for.
            self.table.scrollTo(self.model.index(self._state.cells.last_of_group(number), 0))
            self.table.scrollTo(index)


def _segment(text: str) -> QPushButton:
    made = button(text, lambda: None, "segment")
    made.setCheckable(True)
    return made


def _results_table(model: RowsModel) -> QTableView:
    made = table("Groups of memories that say the same")
    made.setModel(model)
    made.setItemDelegateForColumn(TEXT, BadgeDelegate(made))
    header = made.horizontalHeader()
    for number, width in {STATE: 112, SCORE: 52, WHY: 190, DATE: 88}.items():
        made.setColumnWidth(number, width)
    header.setSectionResizeMode(TEXT, QHeaderView.ResizeMode.Stretch)
    header.setMinimumSectionSize(48)
    return made


def _visible(view: QTableView) -> tuple[int, int]:
    """First and last row on the screen."""
    first = view.rowAt(0)
    last = view.rowAt(view.viewport().height() - 1)
    return max(first, 0), last if last >= 0 else view.model().rowCount() - 1
