"""Servers by name on the command line: kept, named, listed, forgotten; their keys in the keyring alone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring

from memdefrag.base import secrets, settings
from memdefrag.stores.registry import open_store
from tests.cli.conftest import Cli
from tests.keyrings import MemoryKeyring
from tests.stores.hdev.server import MemoryServer, serving

KEY = "canary-of-the-profile"


def written() -> bool:
    """Whether the key stands in any file of the data folder."""
    return any(KEY.encode() in path.read_bytes() for path in settings.data_dir().rglob("*") if path.is_file())


def test_a_server_is_kept_listed_and_removed(cli: Cli, ring: MemoryKeyring) -> None:
    address = "chroma+https://chroma.example:8000/?tenant=team#notes"
    added = cli("profile", "add", "home office", address)
    assert added.code == 0 and "memdefrag secret save 'profile:home office'" in added.out
    told = {"name": "home office", "address": address, "key_saved": False}
    assert cli("profile", "list", "--json").json == {"profiles": [told]}
    assert cli("profile", "remove", "profile:home office", "--json").json == {"removed": "home office"}
    assert cli("profile", "remove", "home office", "--json").json == {"removed": None}
    assert cli("profile", "list", "--json").json == {"profiles": []}


@pytest.mark.parametrize("way", ["asked", "typed", "later"])
def test_its_key_lies_in_the_keyring_alone(
    way: str, cli: Cli, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY}\n"))
    more = {"asked": ["--with-key"], "typed": ["--api-key", KEY], "later": []}[way]
    ended = [cli("profile", "add", "home", "hdev+https://memory.example.com", *more)]
    if way == "later":
        ended.append(cli("secret", "save", "profile:home"))
    ended.append(cli("profile", "list"))
    assert ring.held == {("memdefrag", "memory.example.com"): KEY} and "keyring" in ended[-1].out
    assert not written() and not any(KEY in each.out + each.err for each in ended)
    cli("profile", "remove", "home")
    assert not ring.held


def test_without_a_keyring_the_name_is_kept_and_that_is_said(cli: Cli, ring: MemoryKeyring) -> None:
    keyring.set_keyring(NoKeyring())
    ended = cli("profile", "add", "home", "hdev+https://memory.example.com", "--api-key", KEY)
    assert ended.code == 41 and "keyring" in ended.err and "without its key" in ended.err and KEY not in ended.err
    assert not written()
    assert "profile:home" in cli("profile", "list").out


@pytest.mark.parametrize("address", ["jsonl:notes.jsonl", "https://chroma.example", "."])
def test_what_is_no_server_gets_no_name(address: str, cli: Cli) -> None:
    ended = cli("profile", "add", "home", address, "--json")
    assert ended.code == 2 and ended.json["error"]["todo"]


def test_a_name_that_is_not_kept_is_refused(cli: Cli) -> None:
    ended = cli("inspect", "profile:nobody")
    assert ended.code == 2 and "nobody" in ended.err and "memdefrag profile add" in ended.err


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[MemoryServer]:
    """A memory server that wants the key."""
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served", KEY) as running:
        yield running


def test_memories_migrate_to_a_server_by_its_name_and_back(
    cli: Cli, ring: MemoryKeyring, demo: Path, tmp_path: Path, locked: MemoryServer
) -> None:
    assert cli("profile", "add", "home", locked.address, "--api-key", KEY).code == 0
    secrets._kept.clear()
    there = cli("migrate", demo, "profile:home", "--json").json
    back = cli("migrate", "profile:home", tmp_path / "back.jsonl", "--json").json
    assert there["failed"] == 0 and there["copied"] == back["copied"] > 0
    with open_store(f"jsonl:{tmp_path / 'back.jsonl'}") as store:
        assert sum(info.count for info in store.collections()) == back["copied"]
