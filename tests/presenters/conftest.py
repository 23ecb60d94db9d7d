from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.progress import Progress
from memdefrag.presenters.arrange import ReviewData, prepare
from memdefrag.presenters.shell import Shell
from memdefrag.presenters.tasks import DirectRunner
from tests.presenters.fakes import FakeView, FakeWindow, analysed


@pytest.fixture
def data() -> ReviewData:
    """The results for a few memories: a sure group, a likely one, and a possible update."""
    return prepare(analysed(), "fingerprint", Progress())


@pytest.fixture
def view() -> FakeView:
    return FakeView()


@pytest.fixture
def window() -> FakeWindow:
    return FakeWindow()


@pytest.fixture
def runner() -> DirectRunner:
    return DirectRunner()


@pytest.fixture
def shell(window: FakeWindow, runner: DirectRunner) -> Shell:
    return Shell(window, runner)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(getattr(request, "param", "jsonl_file"))
    return path
