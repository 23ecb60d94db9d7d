from __future__ import annotations

import pytest

from memdefrag.base.progress import Progress
from memdefrag.presenters.arrange import ReviewData, prepare
from tests.presenters.fakes import FakeView, analysed


@pytest.fixture
def data() -> ReviewData:
    """The results for a few memories: a sure group, a likely one, and a possible update."""
    return prepare(analysed(), "fingerprint", Progress())


@pytest.fixture
def view() -> FakeView:
    return FakeView()
