from __future__ import annotations

import pytest

from memdefrag.analysis.calibrate import Answer, Calibration
from memdefrag.base.settings import DEFAULT_THRESHOLD
from memdefrag.engine import calibration, workspace
from memdefrag.model.address import Address

STORE = Address("jsonl", "/somewhere/a.jsonl")
FITTED = Calibration(0.88, 0.91, 0.8, 0.97, 120, (Answer(0.86, True), Answer(0.81, False)))


def test_a_line_is_remembered_for_its_store_alone() -> None:
    calibration.remember(STORE, FITTED)
    found = calibration.recall(STORE)
    assert found and found.fitted == FITTED and len(found.day) == 10
    other = Address("jsonl", "/somewhere/b.jsonl")
    assert calibration.recall(other) is None
    assert (calibration.threshold_of(STORE), calibration.threshold_of(other)) == (0.88, DEFAULT_THRESHOLD)


def test_a_forgotten_line_is_the_usual_one_again() -> None:
    calibration.remember(STORE, FITTED)
    calibration.forget(STORE)
    assert calibration.threshold_of(STORE) == DEFAULT_THRESHOLD


@pytest.mark.parametrize("saved", [{"format": 2}, {"format": 1}, {"format": 1, "day": "x", "answers": [1]}])
def test_what_cannot_be_read_is_no_line(saved: dict[str, object]) -> None:
    workspace.save(STORE, calibration.TOPIC, saved)
    assert calibration.recall(STORE) is None
