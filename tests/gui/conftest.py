"""A real window without a screen, and a watch for what a test leaves running."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QThread, QThreadPool, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from memdefrag.gui import theme
from memdefrag.gui.main_window import MainWindow
from memdefrag.presenters.pages import Page

PATIENCE_MS = 60_000


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a thread, a pool's task or a timer behind."""
    threads = set(threading.enumerate())
    yield
    if "qtbot" in request.fixturenames:
        QApplication.processEvents()
    left = [thread.name for thread in threading.enumerate() if thread not in threads and not thread.daemon]
    for thing in gc.get_objects():
        # Not isinstance: that asks lazy objects of other libraries what they are, and wakes them.
        kind = type(thing)
        if issubclass(kind, QThread) and isValid(thing) and thing.isRunning() and thing is not QThread.currentThread():
            left.append(f"running {thing}")
        elif issubclass(kind, QThreadPool) and isValid(thing) and thing.activeThreadCount():
            left.append(f"tasks in {thing}")
        elif issubclass(kind, QTimer) and isValid(thing) and thing.isActive():
            left.append(f"active {thing} of {thing.parent()}")
    assert left == []


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Path:
    """One kind of store, unless a test names others."""
    path: Path = request.getfixturevalue(getattr(request, "param", "jsonl_file"))
    return path


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[MainWindow]:
    """The program's window."""
    theme.apply()
    # Not given to qtbot, which deletes at once: a window that still works closes when its work has stopped.
    made = MainWindow()
    made.show()
    qtbot.waitExposed(made)
    yield made
    made.close()
    qtbot.waitUntil(lambda: not made.isVisible() and not made.tasks.busy, timeout=PATIENCE_MS)
    made.deleteLater()


@pytest.fixture
def arrive(qtbot: QtBot, window: MainWindow) -> Callable[[Page], object]:
    """Waits until the window shows a page and nothing runs but the look-out for programs that hold the store."""

    def wait(page: Page) -> object:
        qtbot.waitUntil(lambda: window.shell.page is page, timeout=PATIENCE_MS)
        if page is Page.PLAN:
            qtbot.waitUntil(lambda: not window.shell.plan.state.checking, timeout=PATIENCE_MS)
        else:
            qtbot.waitUntil(lambda: not window.tasks.busy, timeout=PATIENCE_MS)
        return window.page(page)

    return wait
