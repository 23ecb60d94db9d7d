"""The command line on an hdev folder and on a server."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from memdefrag.base.http import Retry
from memdefrag.base.settings import CA_FILE_VARIABLE, PLAIN_KEY_VARIABLE
from tests.cli.conftest import Cli
from tests.stores.hdev import server
from tests.stores.hdev.server import MemoryServer, serving

KEY = "canary-key-5150"
TEXTS = {"a": "The door is green.", "b": "the door is GREEN", "notes/c": "Tabs, not spaces.", "notes/d": "Tea at five."}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    for number, (name, text) in enumerate(TEXTS.items()):
        server.put(folder, name, {"content": text, "metadata": {"created": str(1.7e9 + number), "updated": "1.7e9"}})
    return folder


@pytest.fixture(params=["folder", "server"])
def place(request: pytest.FixtureRequest, root: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(root)
        return
    with serving(root) as running:
        yield running.address


@pytest.fixture
def locked(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryServer]:
    monkeypatch.setenv("MEMDEFRAG_API_KEY", KEY)
    with serving(root, KEY) as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second attempt."""
    monkeypatch.setattr(Retry, "wait", lambda *_: None)


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_whole_job(cli: Cli, place: str, root: Path) -> None:
    before = files(root)
    assert cli("inspect", place, "--json").json["collections"][0]["count"] == 4
    [group] = cli("analyze", place, "--no-model", "--json").json["groups"]
    assert set(group["members"]) == {"a", "b"}
    assert cli("search", place, "tea", "--no-model", "--json").json["hits"][0]["id"] == "notes/d"
    assert files(root) == before
    done = cli("optimize", place, "--auto", "sure", "--no-model", "--yes", "--json")
    assert done.code == 0, done
    assert cli("inspect", place, "--json").json["collections"][0]["count"] == 3
    assert cli("backup", "create", place, "--json").code == 0
    [step] = cli("history", place, "--json").json["steps"]
    assert cli("undo", step["id"], "--json").code == 0
    assert files(root) == before


def test_a_backup_of_before_is_restored(cli: Cli, place: str, root: Path) -> None:
    before = files(root)
    made = cli("backup", "create", place, "--json").json["backup"]["id"]
    assert cli("optimize", place, "--auto", "sure", "--no-model", "--yes", "--json").code == 0
    restored = cli("backup", "restore", made, "--json")
    assert restored.code == 0, restored
    assert files(root) == before


def test_memories_move_from_a_server_to_a_folder(cli: Cli, root: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "out.jsonl", tmp_path / "new"
    with serving(root) as running:
        assert cli("export", running.address, file).code == 0
    done = cli("import", file, f"hdev:{folder}", "--json")
    assert done.code == 0, done
    assert done.json["losses"] == {}
    assert {name: data for name, data in files(folder).items() if name.endswith(".md")} == {
        name: data for name, data in files(root).items() if name.endswith(".md")
    }


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_away_has_a_code_of_its_own(cli: Cli) -> None:
    ended = cli("inspect", "hdev+http://127.0.0.1:9", "--json")
    assert (ended.code, ended.json["error"]["code"]) == (16, "server_unreachable")
    assert ended.json["error"]["todo"]


@pytest.mark.case(38)
def test_the_key_is_nowhere_to_be_read(cli: Cli, locked: MemoryServer, tmp_path: Path) -> None:
    said = [
        cli("inspect", locked.address),
        cli("optimize", locked.address, "--auto", "sure", "--no-model", "--yes", "--verbose"),
        cli("backup", "list"),
    ]
    assert [ended.code for ended in said] == [0, 0, 0]
    locked.key = "another"
    said.append(cli("inspect", locked.address))
    assert said[-1].code == 17
    assert not any(KEY in ended.out + ended.err for ended in said)
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.case(39)
def test_a_ca_file_is_named_by_an_option(
    cli: Cli, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CA_FILE_VARIABLE, "")
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with serving(root, context=context) as running:
        refused = cli("inspect", running.address, "--json")
        assert (refused.code, "--ca-file" in refused.json["error"]["todo"]) == (17, True)
        assert cli("inspect", running.address, "--ca-file", tmp_path / "ca.pem").code == 0


@pytest.mark.case(39)
@pytest.mark.usefixtures("impatient")
def test_a_plain_key_must_be_allowed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMDEFRAG_API_KEY", KEY)
    monkeypatch.setenv(PLAIN_KEY_VARIABLE, "")
    refused = cli("inspect", "hdev+http://memory.invalid:1", "--json")
    assert (refused.code, "plain http" in refused.json["error"]["message"]) == (2, True)
    assert cli("inspect", "hdev+http://memory.invalid:1", "--allow-plain-key", "--json").code == 16
    assert os.environ[PLAIN_KEY_VARIABLE] == "1"
