"""A folder for the store, and at the end of the run one table of all faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import ledger


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder for one store."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was injected and what came of it."""
    lines = ledger.table()
    if lines:
        terminalreporter.section("faults injected")
        for line in lines:
            terminalreporter.write_line(line)
