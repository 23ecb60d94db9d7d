from __future__ import annotations

import pytest

from memdefrag.base.progress import Progress, Tick
from memdefrag.cli.ticker import Bar, Lines, Ticker, describe, ticker


@pytest.mark.parametrize(
    ("tick", "words"),
    [
        (Tick("Reading", 0, None, 0.0), "Reading …"),
        (Tick("Reading", 0, 1200, 0.0), "Reading: 0 of 1,200"),
        (Tick("Reading", 300, 1200, 1.0), "Reading: 300 of 1,200, 300/s"),
        (Tick("Reading", 300, 1200, 10.0), "Reading: 300 of 1,200, 30/s, 30 s left"),
        (Tick("Reading", 1200, 1200, 10.0), "Reading: 1,200 of 1,200, 120/s"),
    ],
)
def test_phase_rate_and_time_left(tick: Tick, words: str) -> None:
    assert describe(tick) == words


def test_elsewhere_than_at_a_terminal_each_phase_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(Lines())
    progress.phase("Reading", 3)
    for _ in range(3):
        progress.step()
    progress.phase("Grouping")
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.split(",")[0] for line in told.err.splitlines()] == ["Reading: 3 of 3", "Grouping …"]


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert type(ticker(quiet=True)) is Ticker
    Progress(ticker(quiet=True)).phase("Reading", 3)
    assert capsys.readouterr() == ("", "")


def test_a_bar_shows_the_phase_and_vanishes(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    progress = Progress(bar)
    progress.phase("Reading [b]", 2)
    progress.step(2)
    progress.phase("Writing", 1)
    bar.pause()
    bar.pause()
    progress.step(1)
    bar.pause()
    assert capsys.readouterr().out == ""
