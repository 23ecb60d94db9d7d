"""memdefrag apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.errors import UsageError
from memdefrag.base.settings import data_dir
from tests.cli.conftest import Cli, traces

COPIES = ("demo-01", "demo-02")


def groups_with(cli: Cli, store: Path, member: str) -> list[list[str]]:
    groups = cli("analyze", store, "--json").json["groups"]
    return [sorted(group["members"]) for group in groups if member in group["members"]]


def test_what_was_told_apart_is_no_group_and_comes_back_when_forgotten(cli: Cli, demo: Path) -> None:
    before = groups_with(cli, demo, "demo-04")
    assert before == [["demo-04", "demo-05"]]
    [new] = cli("apart", "add", demo, "demo-04", "demo/demo-05", "--json").json["added"]
    assert new["store"] == f"jsonl:{demo}"
    assert groups_with(cli, demo, "demo-04") == []
    assert "Forgotten: 1 pair" in cli("apart", "forget", new["id"][:6]).out
    assert groups_with(cli, demo, "demo-04") == before


def test_a_contradiction_told_apart_is_listed_no_more(cli: Cli, demo: Path) -> None:
    ports = {"demo-32", "demo-33"}
    assert ports in [set(each["members"]) for each in cli("analyze", demo, "--json").json["conflicts"]]
    cli("apart", "add", demo, *sorted(ports))
    assert ports not in [set(each["members"]) for each in cli("analyze", demo, "--json").json["conflicts"]]


def test_optimize_never_merges_what_was_told_apart(cli: Cli, demo: Path) -> None:
    cli("apart", "add", demo, *COPIES, "demo-03")
    assert cli("optimize", demo, "--auto", "sure").code == 0
    left = demo.read_text(encoding="utf-8")
    assert all(f'"{id}"' in left for id in (*COPIES, "demo-03"))


def test_the_list_shows_texts_only_of_the_store_that_holds_them(cli: Cli, demo: Path, jsonl_file: Path) -> None:
    cli("apart", "add", demo, *COPIES)
    [entry] = cli("apart", "list", demo, "--json").json["apart"]
    assert [each["id"] for each in entry["memories"]] == ["demo/demo-01", "demo/demo-02"]
    assert entry["memories"][0]["text"] == "Nora prefers dark mode in every editor she uses."
    assert "dark mode" in cli("apart", "list", demo).out
    assert cli("apart", "list", jsonl_file, "--json").json["apart"] == []
    [entry] = cli("apart", "list", "--json").json["apart"]
    assert set(entry) == {"id", "texts", "time", "store"}


def test_the_list_goes_to_another_computer(
    cli: Cli, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("apart", "add", demo, *COPIES, "demo-04")
    file = tmp_path / "apart.json"
    assert cli("apart", "export", file, "--json").json == {"file": str(file), "pairs": 2}
    assert "Nora" not in file.read_text(encoding="utf-8")
    before = cli("apart", "list", "--json").json
    monkeypatch.setenv("MEMDEFRAG_DATA_DIR", str(tmp_path / "other"))
    assert len(cli("apart", "import", file, "--json").json["added"]) == 2
    assert cli("apart", "list", "--json").json == before


def test_what_is_told_apart_already_is_said_to_be(cli: Cli, demo: Path) -> None:
    one, other = cli("analyze", demo, "--no-model", "--json").json["groups"][0]["members"][:2]
    assert "1 pair told apart" in cli("apart", "add", demo, one, other).out
    assert "told apart already" in cli("apart", "add", demo, one, other).out


def test_listing_leaves_no_trace(cli: Cli, demo: Path) -> None:
    before = traces(demo.parent, data_dir())
    assert cli("apart", "list").code == cli("apart", "list", demo).code == 0
    assert traces(demo.parent, data_dir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "STORE", "demo-01"],
        ["add", "STORE", "demo-01", "demo-01"],
        ["add", "STORE", "demo-01", "nobody"],
        ["forget", "ffff"],
        ["import", "STORE"],
        ["export", "nowhere/at/all/apart.json"],
    ],
)
def test_what_cannot_be_meant_is_refused(cli: Cli, demo: Path, arguments: list[str]) -> None:
    ended = cli("apart", *[str(demo) if each == "STORE" else each for each in arguments], "--json")
    assert ended.code == UsageError.exit_code
    assert cli("apart", "list", "--json").json["apart"] == []


def test_a_memory_without_text_cannot_be_told_apart(cli: Cli, tmp_path: Path) -> None:
    store = tmp_path / "silent.jsonl"
    store.write_text('{"id": "a", "text": ""}\n{"id": "b", "text": "tea"}\n', encoding="utf-8")
    assert cli("apart", "add", store, "a", "b").code == UsageError.exit_code
