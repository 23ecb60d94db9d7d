"""The page before a write."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QCheckBox, QGridLayout, QVBoxLayout, QWidget

from memdefrag.gui.views.searches import SearchesCard
from memdefrag.gui.views.ways import WaysCard
from memdefrag.gui.widgets import button, card, column, fill_facts, fill_lines, label, narrow, row, scrolling
from memdefrag.presenters.plan import PlanPresenter, PlanState

SHOWN_RISKS = 50


class PlanPage(QWidget):
    """Figures, risks, who holds the store, how to write it, and the last button.

    Args:
        ask: asks for a path, by what is wanted: "folder" (a new one) or "python"; empty when the person gave up.
    """

    def __init__(self, presenter: PlanPresenter, ask: Callable[[str], str]) -> None:
        super().__init__()
        self._store = label("", "muted", wrap=True, selectable=True)
        self._way = label("", "muted", wrap=True)
        self._facts = QGridLayout()
        self._holders, self._risks, self._concerns = (QVBoxLayout() for _ in range(3))
        self._warning = label("", "warning", wrap=True)
        self._holders_card = card(label("The store is in use", "heading"), self._holders)
        self._risks_card = card(label("Worth a second look", "heading"), self._risks)
        self._ways_card = WaysCard(presenter.choose_writer, ask)
        self.ways = self._ways_card.group
        self.searches = SearchesCard(presenter)
        self.compact, self.shrink = QCheckBox(), QCheckBox()
        self.compact.toggled.connect(presenter.set_compact)
        self.shrink.toggled.connect(presenter.agree_to_shrink)
        self._waiting = label("", "warning", wrap=True)
        self.optimize = button("Optimize", presenter.optimize, "primary", "Optimize: back up and write the store")
        self.back = button("Back to the Review", presenter.go_back)
        content = column(
            label("Review the plan", "title"),
            self._store,
            self._way,
            self._holders_card,
            card(self._facts),
            self._warning,
            self._ways_card,
            self.searches,
            self._risks_card,
            self.compact,
            gap=14,
        )
        content.addStretch(1)
        # What has to be agreed to and the buttons stay in sight however long the page is.
        actions = column(self._concerns, self.shrink, self._waiting, row(self.optimize, self.back, None))
        self.setLayout(column(scrolling(content), narrow(actions), gap=0))
        self.first_focus = self.back

    def update_state(self, state: PlanState) -> None:
        self._store.setText(state.store)
        self._way.setText(state.way)
        fill_facts(self._facts, state.facts)
        shown = [*state.risks[:SHOWN_RISKS]]
        if len(state.risks) > SHOWN_RISKS:
            shown.append(f"… and {len(state.risks) - SHOWN_RISKS} more")
        fill_lines(self._risks, shown)
        self.searches.show_state(state)
        fill_lines(self._holders, state.holders, "danger")
        fill_lines(self._concerns, state.concerns, "danger")
        self._warning.setText(state.warning)
        self._warning.setVisible(bool(state.warning))
        self._risks_card.setVisible(bool(state.risks))
        self._holders_card.setVisible(bool(state.holders))
        self._ways_card.show_ways(state.writers, state.writer)
        _set(self.compact, state.compact_text, state.compact)
        _set(self.shrink, state.shrink_text, state.shrink_agreed)
        self._waiting.setText(state.waiting_for)
        self._waiting.setVisible(bool(state.waiting_for))
        self.optimize.setEnabled(state.ready)


def _set(box: QCheckBox, text: str, checked: bool) -> None:
    box.setText(text.replace("&", "&&"))
    box.setVisible(bool(text))
    box.setChecked(checked)
