from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memdefrag.base.errors import HistoryNotFound, UsageError
from memdefrag.engine import catalogue
from memdefrag.engine.backups import acceptance
from tests.cli.conftest import Cli, command_line


@pytest.fixture
def step(cli: Cli, demo: Path) -> str:
    """A step that merged what surely says the same."""
    return str(cli("optimize", demo, "--auto", "sure", "--json").json["step"])


def test_yes_is_noted(cli: Cli, step: str) -> None:
    ended = cli("answer", step[:25], "yes", "--json")
    assert (ended.code, ended.json["step"], ended.json["works"]) == (0, step, True)
    assert acceptance.pending() == []


def test_no_names_the_ways_back(cli: Cli, step: str) -> None:
    ended = cli("answer", step, "no")
    assert f"memdefrag undo {step}" in ended.out
    assert "memdefrag backup restore" in ended.out
    assert acceptance.pending() == []


@pytest.mark.parametrize(
    ("arguments", "code"), [(["nope", "yes"], HistoryNotFound.exit_code), (["x", "perhaps"], UsageError.exit_code)]
)
def test_what_cannot_be_meant_is_told(cli: Cli, step: str, arguments: list[str], code: int) -> None:
    assert cli("answer", *arguments).code == code
    assert len(acceptance.pending()) == 1


def test_without_a_terminal_nothing_is_asked(cli: Cli, demo: Path, step: str) -> None:
    ended = cli("history", demo)
    assert "assistant" not in ended.out + ended.err
    assert not [event for event in catalogue.events() if event["event"] == "asked"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_at_a_terminal_it_is_asked_once_and_waited_for_by_nobody(demo: Path, step: str) -> None:
    assert "answer" not in at_a_terminal("history", demo, "--json")
    assert "answer" not in at_a_terminal("history", demo, "--quiet")
    assert f"memdefrag answer {step} yes" in at_a_terminal("history", demo)
    assert "answer" not in at_a_terminal("history", demo)
    assert len(acceptance.pending()) == 1


def at_a_terminal(*arguments: object) -> str:
    """All that a command shows; nobody types anything."""
    import pty

    ours, theirs = pty.openpty()
    program = subprocess.Popen(command_line(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:
        pass
    finally:
        os.close(ours)
    assert program.wait() == 0
    return " ".join(shown.decode().split())
