from __future__ import annotations

import json
from pathlib import Path

import pytest

from memdefrag.analysis.junk import JunkKind
from memdefrag.base.errors import UsageError
from memdefrag.cli.junk import Kind
from tests.cli.conftest import Cli, traces

TEXTS = {
    "1": "Likes green tea",
    "2": "",
    "3": "this is a test",
    "4": "ok",
    "5": "Works at the harbour",
    "6": "word " * 2000,
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = tmp_path / "store" / "some.jsonl"
    made.parent.mkdir()
    lines = [json.dumps({"id": id, "text": text}) for id, text in TEXTS.items()]
    made.write_text("\n".join(lines), encoding="utf-8")
    return made


def test_each_kind_is_listed_and_nothing_changes(cli: Cli, store: Path) -> None:
    before = traces(store.parent)
    told = cli("junk", store, "--json").json
    assert [(each["kind"], each["id"]) for each in told["junk"]] == [
        ("empty", "2"), ("nearly-empty", "4"), ("test", "3"), ("oversized", "6")
    ]
    assert told["counts"] == {"bad-vector": 0, "empty": 1, "nearly-empty": 1, "oversized": 1, "test": 1}
    assert traces(store.parent) == before


def test_the_lists_are_told_in_words(cli: Cli, store: Path) -> None:
    said = cli("junk", store, "--kind", "test").out
    assert "Left over from a test: 1 memory" in said and "this is a test" in said and "Oversized" not in said


def test_a_clean_store_is_called_so(cli: Cli, tmp_path: Path) -> None:
    store = tmp_path / "a.jsonl"
    store.write_text(json.dumps({"id": "1", "text": "Likes green tea"}), encoding="utf-8")
    assert "Nothing here is empty" in cli("junk", store).out


def test_a_plan_drops_the_named_kinds_and_can_be_undone(cli: Cli, store: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert cli("junk", store, "--kind", "empty", "--kind", "test", "--save", plan).code == 0
    done = cli("apply", plan, "--confirm-shrink", "--json").json
    assert done["removed"] == 2
    assert [each["id"] for each in cli("junk", store, "--json").json["junk"]] == ["4", "6"]
    cli("undo", done["step"], "--json")
    assert len(cli("junk", store, "--json").json["junk"]) == 4


def test_a_plan_wants_the_kinds_named(cli: Cli, store: Path, tmp_path: Path) -> None:
    ended = cli("junk", store, "--save", tmp_path / "plan.json")
    assert ended.code == UsageError.exit_code and "--kind" in ended.err


def test_the_command_names_every_kind() -> None:
    assert {kind.value for kind in Kind} == {kind.value for kind in JunkKind}
