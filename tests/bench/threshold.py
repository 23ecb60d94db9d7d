"""How long a move of the threshold takes with 100,000 memories, in the presenter and with the window's painting.

    python -m tests.bench.threshold
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtWidgets import QApplication

from memdefrag.gui import theme
from memdefrag.gui.views.review import ReviewPage
from memdefrag.presenters.review import ReviewPresenter
from tests.gui.test_rows import MANY, large

STEPS = 40


def measure() -> tuple[list[float], list[float]]:
    """Seconds of each move until the groups are there, and until they are painted."""
    application = QApplication.instance() or QApplication([])
    theme.apply()
    pages: list[ReviewPage] = []

    def make(presenter: ReviewPresenter) -> ReviewPage:
        pages.append(ReviewPage(presenter))
        return pages[0]

    review = ReviewPresenter(make, lambda: None, lambda: None)
    pages[0].resize(1240, 760)
    pages[0].show()
    review.show(large(MANY), {})
    application.processEvents()
    grouped, painted = [], []
    for step in range(STEPS):
        started = time.perf_counter()
        review.set_threshold(0.8 + 0.19 * step / STEPS)
        grouped.append(time.perf_counter() - started)
        application.processEvents()
        painted.append(time.perf_counter() - started)
    return grouped, painted


if __name__ == "__main__":
    for what, seconds in zip(("grouped", "painted"), measure(), strict=True):
        print(f"{what}: median {statistics.median(seconds) * 1e3:.1f} ms, longest {max(seconds) * 1e3:.1f} ms")
