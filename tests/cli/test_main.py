from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import memdefrag
from memdefrag.base.errors import UnsupportedEnvironment
from tests.cli.conftest import Cli, command_line

HEAVY = ("PySide6", "torch", "chromadb", "numpy", "sentence_transformers", "rapidfuzz", "psutil")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["optimize", "--help"], ["inspect"]])
def test_help_and_wrong_usage_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from memdefrag.cli.main import main\n"
        f"main({arguments!r})\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "heavy: []"


def test_version(cli: Cli) -> None:
    assert cli("--version") == (0, f"memdefrag {memdefrag.__version__}\n", "")


def test_alone_it_opens_the_window_or_says_that_there_is_no_display(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    for arguments in ([], ["open"], ["open", "somewhere"]):
        ended = cli(*arguments)
        assert ended.code == UnsupportedEnvironment.exit_code
        assert "no display" in ended.err
        assert "memdefrag demo" in ended.err


@pytest.mark.parametrize(("arguments", "given"), [([], []), (["open"], []), (["open", "some store"], ["some store"])])
def test_the_window_gets_the_store(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: list[str], given: list[str]
) -> None:
    started: list[list[str]] = []
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setattr("memdefrag.gui.app.main", lambda argv: started.append(argv) or 0)
    assert cli(*arguments).code == 0
    assert started == [["memdefrag", *given]]


@pytest.mark.parametrize(
    "arguments", [["inspect"], ["bogus"], ["backup"], ["analyze", "x", "--threshold", "7"], ["inspect", "x", "--no"]]
)
def test_wrong_usage_ends_with_2_and_says_where_help_is(cli: Cli, arguments: list[str]) -> None:
    ended = cli(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("Error: ")
    assert "--help" in ended.err


def test_wrong_usage_is_json_when_json_was_asked_for(cli: Cli) -> None:
    ended = cli("inspect", "--json")
    assert ended.code == 2
    assert ended.json["error"]["code"] == "usage_error"
    assert ended.err == ""


def test_a_fault_of_ours_is_told_with_its_log_and_never_as_a_traceback(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, demo: Path
) -> None:
    monkeypatch.setattr("memdefrag.stores.registry.store_class", None)
    ended = cli("inspect", demo, "--json")
    assert ended.code == 70
    told = ended.json["error"]
    assert told["code"] == "internal_error"
    with open(told["log"], encoding="utf-8") as log:
        assert "Traceback" in log.read()


def test_a_reader_that_has_enough_is_no_error(demo: object) -> None:
    program = subprocess.Popen(command_line("analyze", demo, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout is not None and program.stderr is not None
    program.stdout.close()
    complaints = program.stderr.read()
    program.stderr.close()
    assert program.wait() == 0
    assert b"Traceback" not in complaints and b"Broken" not in complaints
