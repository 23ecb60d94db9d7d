from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester

from memdefrag.analysis.groups import merge_sequence
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.result import Analysis
from memdefrag.analysis.scored import ScoredPairs
from memdefrag.base.progress import Progress
from memdefrag.gui.models.rows import TIER_ROLE, RowsModel
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.presenters.arrange import Facet, ReviewData, prepare
from memdefrag.presenters.cells import COLUMNS
from memdefrag.presenters.review import ReviewPresenter

MANY = 100_000
FEW = 1_000


def large(n: int) -> ReviewData:
    """Memories in groups of five, of which one pair is barred."""
    starts = np.arange(0, n - 4, 5, dtype=np.int32)
    inside = [(a, b) for a in range(5) for b in range(a + 1, 5)]
    i = np.concatenate([starts + a for a, _ in inside])
    j = np.concatenate([starts + b for _, b in inside])
    order = np.lexsort((j, i))
    i, j = i[order], j[order]
    score = np.repeat(np.random.default_rng(1).uniform(0.8, 1.0, len(starts)), len(inside)).astype(np.float32)
    sure, barred = score > 0.95, np.zeros(len(i), np.bool_)
    records = tuple(MemoryRecord(Key("m", f"id-{k}"), f"memory number {k}", created=1.7e9 + k) for k in range(n))
    analysis = Analysis(
        records=records,
        stores=("jsonl:/nowhere.jsonl",),
        store=np.zeros(n, np.int32),
        node=np.arange(n, dtype=np.int32),
        pairs=ScoredPairs(i, j, score, score, score, sure, barred),
        sequence=merge_sequence(n, i, j, score),
        options=AnalysisOptions(),
    )
    return prepare(analysis, "", Progress())


class ModelView:
    """Puts what the presenter shows into the model, as the page does."""

    def __init__(self) -> None:
        self.model = RowsModel()

    def __call__(self, presenter: ReviewPresenter) -> ModelView:
        return self

    def show_analysis(self, data: ReviewData) -> None:
        pass

    def update_state(self, state) -> None:
        if state.cells is not self.model.cells:
            self.model.show(state.cells)
        else:
            self.model.refresh(0, 50)


class Driven:
    """A presenter, its model, and Qt's own tester watching every change."""

    def __init__(self, memories: int, saved: dict | None = None) -> None:
        view = ModelView()
        self.model = view.model
        self.tester = QAbstractItemModelTester(self.model, QAbstractItemModelTester.FailureReportingMode.Warning)
        self.review = ReviewPresenter(view, lambda: None, lambda: None)
        self.review.show(large(memories), saved or {})


@pytest.fixture
def driven(qtbot):
    return Driven(FEW)


@pytest.mark.slow
def test_a_hundred_thousand_memories_keep_the_models_contract(qtbot):
    driven = Driven(MANY, {"threshold": 0.75})
    assert driven.model.rowCount() == MANY + MANY // 5


def test_the_model_keeps_its_contract_while_it_is_driven(driven):
    review, model = driven.review, driven.model
    for threshold in (0.9, 0.99, 0.81, 0.85):
        review.set_threshold(threshold)
    review.select(0)
    review.merge_all()
    review.not_duplicates()
    review.toggle()
    review.undo()
    review.set_filter("number 77")
    review.set_facet(Facet.SURE)
    review.set_filter("no such text at all")
    assert model.rowCount() == 0
    review.set_filter("")
    review.tick_shown(True)
    review.undo()


def test_every_role_of_every_column_answers(driven):
    model = driven.model
    roles = [Qt.ItemDataRole(number) for number in range(14)]
    for row in range(12):
        for column in range(len(COLUMNS)):
            for role in (*roles, TIER_ROLE):
                model.data(model.index(row, column), role)
    assert model.data(model.index(0, 0), Qt.ItemDataRole.ToolTipRole) is None


def test_group_rows_have_a_box_and_a_tier(driven):
    review, model = driven.review, driven.model
    assert model.data(model.index(0, 0), Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked
    assert model.data(model.index(0, 1), TIER_ROLE) == "sure"
    assert model.data(model.index(1, 0), Qt.ItemDataRole.CheckStateRole) is None
    assert model.data(model.index(1, 1), TIER_ROLE) is None
    review.toggle()
    assert model.data(model.index(0, 0), Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Unchecked


def test_an_empty_model_has_no_rows_and_a_header(qtbot):
    model = RowsModel()
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Warning)
    assert model.rowCount() == 0
    assert model.headerData(1, Qt.Orientation.Horizontal) == "Memory"
