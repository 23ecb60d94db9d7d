"""A server, which is written memory by memory, goes through the window's whole job and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.presenters.pages import Page
from memdefrag.presenters.shell import Shell
from memdefrag.presenters.tasks import DirectRunner
from memdefrag.stores.registry import open_store
from tests.presenters.fakes import FakeWindow
from tests.presenters.stores import texts
from tests.stores.hdev.server import MemoryServer, serving

SAID = (
    "Nora feeds the grey cat at seven.",
    "nora feeds the grey cat at seven",
    "The cello is in the attic.",
    "The compass is blue.",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MemoryServer]:
    folder = tmp_path / "memories"
    puts = tuple(Put(MemoryRecord(Key("memories", f"m{n}"), text, {}), None) for n, text in enumerate(SAID))
    with open_store(Address("hdev", str(folder)), must_exist=False) as store:
        fitted = tuple(Put(store.fit(put.record)[0], None) for put in puts)
        store.write(Changes(put=fitted, collections=(CollectionInfo("memories", 0, 0, 0),)), Progress())
    with serving(folder) as running:
        yield running


def test_a_server_is_optimized_backed_up_and_restored(server):
    window, runner = FakeWindow(), DirectRunner()
    shell = Shell(window, runner)
    shell.open(server.address)
    assert shell.summary.state.place == server.url
    assert dict(shell.summary.state.facts)["Kind"] == "hdev server"
    shell.summary.start_analysis()
    shell.review.set_threshold(shell.review.data.lowest)
    shell.review.tick_shown(True)
    shell.review.optimize()
    assert "memory by memory" in shell.plan.state.way
    asked = len(server.requests)
    runner.elapse()
    assert len(server.requests) == asked, "a server is not asked every second"
    shell.plan.optimize()
    assert window.page is Page.RESULT, window.notice
    assert len(texts(server.address)) == len(SAID) - 1
    shell.show_backups()
    [row] = shell.backups.state.shelf.rows
    assert (row.store, row.holds) == (server.url, "memories")
    shell.backups.verify(deep=True)
    assert "memories in the backup are what they were" in shell.backups.state.message
    assert "restored copy" not in shell.backups.state.message
    shell.backups.restore()
    assert "1 will come back" in window.question.text
    shell.answer(True)
    assert window.page is Page.RESULT, window.notice
    assert texts(server.address) == sorted(SAID)
