"""The whole job on the command line, against a database."""

from __future__ import annotations

import psycopg
import pytest

from memdefrag.engine import history
from memdefrag.model.address import parse
from tests.cli.conftest import Cli, cli
from tests.engine.stores import fill_store
from tests.stores.postgres.server import GUARDED, PASSWORD

__all__ = ["cli"]


@pytest.fixture
def address(bigmemory_url: str) -> str:
    return str(fill_store(parse(f"bigmemory:{bigmemory_url}"), 8))


def live(url: str) -> int:
    with psycopg.connect(url) as session:
        [(found,)] = session.execute("SELECT count(*) FROM memories WHERE NOT is_deleted").fetchall()
    return int(found)


def test_look_tidy_and_go_back(cli: Cli, address: str, bigmemory_url: str) -> None:
    seen = cli("inspect", address, "--json").json
    assert (seen["kind"], seen["writable"], seen["collections"][0]["count"]) == ("bigmemory", True, 8)
    assert len(cli("analyze", address, "--no-model", "--json").json["groups"]) == 4
    rehearsed = cli("optimize", address, "--auto", "sure", "--no-model", "--confirm-shrink", "--dry-run", "--json")
    assert (rehearsed.code, live(bigmemory_url)) == (0, 8)
    done = cli("optimize", address, "--auto", "sure", "--no-model", "--confirm-shrink", "--yes", "--json")
    assert (done.code, live(bigmemory_url)) == (0, 4)
    [step] = history.steps(parse(address).whole())
    assert cli("undo", step.id, "--json").code == 0
    assert live(bigmemory_url) == 8


def test_a_backup_is_made_and_tried(cli: Cli, address: str) -> None:
    made = cli("backup", "create", address, "--json")
    assert made.code == 0
    assert cli("backup", "verify", made.json["backup"]["id"]).code == 0
    assert cli("inspect", f"backup:{made.json['backup']['id']}", "--json").json["collections"][0]["count"] == 8


def test_memories_are_exported(cli: Cli, address: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("out") / "memories.jsonl"
    assert cli("export", address, target).code == 0
    assert len(cli("analyze", target, "--no-model", "--json").json["groups"]) == 4


@pytest.mark.case(38)
def test_a_password_in_the_address_is_used_and_not_repeated(cli: Cli, bigmemory_url: str) -> None:
    with_password = bigmemory_url.replace("tester@", f"{GUARDED}:{PASSWORD}@")
    ended = cli("inspect", f"bigmemory:{with_password}", "--json")
    assert ended.code == 0
    assert PASSWORD not in ended.out + ended.err
