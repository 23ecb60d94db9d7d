"""Runs the program on a real (virtual) screen with the demo store and saves a picture of the results.

    python run_under_xvfb.py PICTURE.png [light|dark]
"""

import sys
import time

from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from memdefrag.gui import theme
from memdefrag.gui.app import first_paint
from memdefrag.presenters.pages import Page

PATIENCE_SECONDS = 90


def wait_for(condition: object) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            sys.exit("it took too long")
        QTest.qWait(20)


def main(picture: str, colours: str) -> int:
    window = first_paint()
    theme.choose(colours)
    window.shell.start()
    window.shell.open_demo()
    wait_for(lambda: window.shell.page is Page.SUMMARY)
    window.page(Page.SUMMARY).start.click()
    wait_for(lambda: window.shell.page is Page.REVIEW and not window.tasks.busy)
    review = window.page(Page.REVIEW)
    for _ in range(6):
        window.shell.review.step_group(1)
    QTest.qWait(300)
    saved = window.grab().save(picture)
    print(QGuiApplication.platformName(), review.model.rowCount(), flush=True)
    window.close()
    wait_for(lambda: not window.isVisible())
    return 0 if saved else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "light"))
