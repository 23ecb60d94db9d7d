"""The commands that give out a store."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.engine.serve.running import KEY, ask, given_out, program, said
from tests.stores.hdev import server

ENTRY = "/api/memory/entry/"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    server.put(tmp_path / "memory", "a", {"content": "text"})
    return tmp_path / "memory"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_program_serves_and_stops_cleanly(root: Path, tmp_path: Path, how: int) -> None:
    with program("serve", root, data=tmp_path / "data") as running:
        assert running.said["store"] == f"hdev:{root}"
        assert (running.said["writable"], running.said["key_required"]) == (True, False)
        assert said(running.url, "PUT", ENTRY + "new", {"content": "x"})["success"] is True
        assert running.stop(how) == 0
    assert (root / "new.md").read_text() == "x"
    assert not list(root.rglob("*.partial"))


def test_the_memory_server_makes_its_folder_and_wants_its_key(tmp_path: Path) -> None:
    folder = tmp_path / "not yet" / "there"
    options = ("--storage-path", folder, "--log-level", "error", "--no-web-ui", "--api-key", KEY)
    with program("memory-server", *options, data=tmp_path / "data") as running:
        assert running.said["key_required"] is True
        assert ask(running.url, "GET", "/").status_code == 404
        assert ask(running.url, "GET", "/api/memory/tree").status_code == 401
        assert said(running.url, "PUT", ENTRY + "a", {"content": "x"}, KEY)["success"] is True
        command = Path(f"/proc/{running.process.pid}/cmdline")
        assert not command.exists() or b"--api-key" in command.read_bytes()
    assert (folder / "a.md").read_text() == "x"
    log = "".join(path.read_text() for path in (tmp_path / "data/logs").iterdir())
    assert KEY not in log


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
@pytest.mark.parametrize("name", ["serve", "memory-server"])
def test_without_a_key_only_this_machine_is_served(
    cli: Cli, tmp_path: Path, root: Path, name: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HDEV_MEMORY_API_KEY", raising=False)
    place = [root] if name == "serve" else ["--storage-path", tmp_path / "made"]
    ended = cli(name, *place, "--host", host)
    assert ended.code == 2
    assert "everybody on the network" in ended.err
    assert not (tmp_path / "made").exists()


def test_a_port_that_is_taken_is_told(cli: Cli, root: Path) -> None:
    with given_out(f"hdev:{root}") as url:
        ended = cli("serve", root, "--port", re.findall(r"\d+$", url)[0])
    assert ended.code == 15
    assert "--port" in ended.err


def test_a_variable_without_a_key_is_no_open_server(cli: Cli, root: Path) -> None:
    ended = cli("serve", root, "--api-key-env", "NO_SUCH_KEY")
    assert ended.code == 2
    assert "NO_SUCH_KEY" in ended.err
