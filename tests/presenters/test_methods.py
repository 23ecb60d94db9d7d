from __future__ import annotations

import pytest

from memdefrag.presenters.looking import METHODS
from memdefrag.presenters.methods import COLUMNS, MethodsPresenter
from memdefrag.presenters.tasks import DirectRunner
from tests.presenters.fakes import FakeView, analysed


def test_each_method_has_its_row():
    page = MethodsPresenter(FakeView(), DirectRunner(), lambda: None, pytest.fail)
    page.show(analysed(), 0.85)
    rows = {row[0].lower(): dict(zip(COLUMNS, row, strict=True)) for row in page.state.rows}
    assert list(rows) == [words.lower() for words in METHODS.values()]
    assert page.state.title == "From 0.85 on:"
    combined, exact = rows[METHODS["combined"]], rows[METHODS["exact"]]
    assert int(combined["Memories that would go"]) >= 2 and exact["Memories that would go"] == "0"
    assert combined["Agrees with combined"].endswith("(100%)") and exact["Agrees with combined"] == "0 of 0"
    assert combined["Kept apart"] == "1"


def test_a_line_further_down_puts_more_together():
    page = MethodsPresenter(FakeView(), DirectRunner(), lambda: None, pytest.fail)
    page.show(analysed(), 0.95)
    [high] = [row for row in page.state.rows if row[0].startswith("Meaning and")]
    page.show(analysed(), 0.7)
    [low] = [row for row in page.state.rows if row[0].startswith("Meaning and")]
    assert int(low[2]) > int(high[2])
