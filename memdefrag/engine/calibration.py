"""The line a person drew in a store, remembered, so that the next look at it begins there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from memdefrag.analysis.calibrate import Answer, Calibration
from memdefrag.base.settings import DEFAULT_THRESHOLD
from memdefrag.engine import workspace
from memdefrag.model.address import Address

TOPIC = "calibration"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Remembered:
    """A calibration and the day (``2026-11-20``) on which the person answered."""

    day: str
    fitted: Calibration


def remember(store: Address, fitted: Calibration) -> None:
    """Keep a calibration as the store's own, in place of an earlier one."""
    workspace.save(store, TOPIC, {"format": FORMAT, "day": f"{datetime.now(UTC):%Y-%m-%d}", **asdict(fitted)})


def recall(store: Address) -> Remembered | None:
    """The store's calibration, if there is one that can be read."""
    saved = workspace.load(store, TOPIC)
    if saved.get("format") != FORMAT:
        return None
    try:
        answers = tuple(Answer(float(each["score"]), bool(each["same"])) for each in saved["answers"])
        threshold, precision, low, high = (float(saved[name]) for name in ("threshold", "precision", "low", "high"))
        fitted = Calibration(threshold, precision, low, high, int(saved["suggested"]), answers)
        return Remembered(str(saved["day"]), fitted)
    except (KeyError, TypeError, ValueError):
        return None


def forget(store: Address) -> None:
    """Go back to the usual threshold."""
    workspace.save(store, TOPIC, {})


def threshold_of(store: Address) -> float:
    """Where a look at the store begins: the person's line, or the usual one."""
    remembered = recall(store)
    return remembered.fitted.threshold if remembered else DEFAULT_THRESHOLD
