"""memdefrag analyze: its contract, methods, scope, and stores compared with another."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from memdefrag.base.errors import CollectionNotFound, UsageError
from memdefrag.cli import show
from tests.cli.conftest import Cli

TEA = "Maria likes green tea in the morning."


def store(folder: Path, name: str, *memories: dict[str, Any]) -> Path:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in memories), encoding="utf-8")
    return path


def members(told: dict[str, Any]) -> list[list[str]]:
    return [sorted(group["members"]) for group in told["groups"]]


def assert_keeps_the_contract(told: dict[str, Any], more: Sequence[str] = ()) -> None:
    assert set(told) == {"stores", "count", "threshold", "groups", "conflicts", *more}
    everybody = [member for group in told["groups"] for member in group["members"]]
    assert len(everybody) == len(set(everybody)) <= told["count"]
    for group in told["groups"]:
        assert set(group) == {"id", "tier", "members", "sure", "score", "reasons"}
        assert told["threshold"] <= group["score"] <= 1
        cliques = [set(clique) for clique in group["sure"]]
        assert all(len(clique) > 1 and clique <= set(group["members"]) for clique in cliques)
        assert all(one.isdisjoint(other) for one, other in combinations(cliques, 2))
        assert group["tier"] == ("sure" if set(group["members"]) in cliques else "likely")
        survivor, *others = group["members"]
        assert [reason["members"] for reason in group["reasons"]] == [[survivor, other] for other in others]
        assert all(set(reason) == {"members", "text"} and reason["text"] for reason in group["reasons"])
    for conflict in told["conflicts"]:
        assert set(conflict) == {"members", "score", "differs_in"}
        assert len(conflict["members"]) == 2 and conflict["score"] >= told["threshold"]
        assert all(isinstance(words, str) for words in conflict["differs_in"])


@pytest.mark.parametrize("threshold", ["0.75", "0.85", "1"])
def test_the_contract_holds_to_the_letter(cli: Cli, demo: Path, threshold: str) -> None:
    told = cli("analyze", demo, "--threshold", threshold, "--json").json
    assert_keeps_the_contract(told)
    assert told["threshold"] == float(threshold)


def test_the_contract_holds_for_several_stores(cli: Cli, demo: Path, jsonl_file: Path) -> None:
    told = cli("analyze", demo, jsonl_file, "--json").json
    assert_keeps_the_contract(told)
    assert told["stores"] == [f"jsonl:{demo}", f"jsonl:{jsonl_file}"]
    assert {member.partition("/")[0] for group in told["groups"] for member in group["members"]} <= {
        "1:demo", "2:memories",
    }  # fmt: skip


def test_members_of_several_collections_are_named_with_theirs(cli: Cli, tmp_path: Path) -> None:
    kept = [{"id": "a", "text": TEA, "collection": name} for name in ("one", "two")]
    path = store(tmp_path, "both", *kept)
    assert members(cli("analyze", path, "--no-model", "--json").json) == []
    told = cli("analyze", path, "--across-collections", "--no-model", "--json").json
    assert_keeps_the_contract(told)
    assert members(told) == [["one/a", "two/a"]]


def test_memories_of_several_collections_are_never_planned_to_be_merged(cli: Cli, tmp_path: Path) -> None:
    kept = [{"id": id, "text": TEA, "collection": name} for name, id in (("one", "a"), ("one", "b"), ("two", "c"))]
    path, plan = store(tmp_path, "both", *kept), tmp_path / "plan.json"
    assert cli("analyze", path, "--across-collections", "--no-model", "--save", plan).code == 0
    [step] = json.loads(plan.read_text(encoding="utf-8"))["steps"]
    assert "two" not in json.dumps(step)


@pytest.mark.parametrize(
    ("method", "together"),
    [("exact", [["a", "b"]]), ("normalised", [["a", "b", "c"]]), ("fuzzy", [["a", "b", "c", "d"]])],
)
def test_a_method_can_be_chosen(cli: Cli, tmp_path: Path, method: str, together: list[list[str]]) -> None:
    texts = [TEA, TEA, TEA.upper(), "Maria likes the green tea in the morning.", "Rain fell."]
    path = store(tmp_path, "m", *({"id": id, "text": text} for id, text in zip("abcde", texts, strict=True)))
    told = cli("analyze", path, "--method", method, "--json").json
    assert_keeps_the_contract(told)
    assert members(told) == together


def test_methods_stand_side_by_side(cli: Cli, demo: Path) -> None:
    told = cli("analyze", demo, "--compare-methods", "--json").json
    assert_keeps_the_contract(told, ["methods"])
    rows = {row["method"]: row for row in told["methods"]}
    assert list(rows) == ["combined", "exact", "normalised", "vector", "fuzzy"]
    assert rows["combined"]["groups"] == len(told["groups"])
    assert rows["combined"]["barred"] == len(told["conflicts"])
    assert rows["exact"]["redundant"] <= rows["normalised"]["redundant"] <= rows["combined"]["redundant"]
    out = cli("analyze", demo, "--compare-methods").out
    assert "Barred as different" in out and "normalised" in out
    assert cli("analyze", demo, "--compare-methods", "--method", "exact").code == UsageError.exit_code


DATED = [
    {"id": "a", "text": TEA, "tags": ["x"], "created_at": "2025-01-01T12:00:00", "metadata": {"source": "chat"}},
    {"id": "b", "text": TEA, "tags": ["x", "y"], "created_at": "2025-01-02T12:00:00", "metadata": {"source": "file"}},
    {"id": "c", "text": TEA, "tags": ["y"], "created_at": "2025-01-03T12:00:00", "metadata": {"memory_type": "note"}},
]


@pytest.mark.parametrize(
    ("conditions", "left"),
    [
        (["--tag", "x"], "ab"),
        (["--tag", "x", "--tag", "y"], "abc"),
        (["--type", "note"], "c"),
        (["--source", "chat", "--source", "fi*"], "ab"),
        (["--since", "2025-01-02"], "bc"),
        (["--until", "2025-01-02"], "ab"),
        (["--since", "2025-01-02", "--until", "2025-01-02"], "b"),
        (["--since", "2025-01-02T13:00:00+00:00"], "c"),
        (["--collection", "memories"], "abc"),
    ],
)
def test_only_what_is_in_scope_is_looked_at(cli: Cli, tmp_path: Path, conditions: list[str], left: str) -> None:
    ended = cli("analyze", store(tmp_path, "dated", *DATED), *conditions, "--no-model", "--json")
    assert ended.json["count"] == len(left)
    assert members(ended.json) == ([list(left)] if len(left) > 1 else [])
    assert f"{len(left)} of 3 memories are looked at" in ended.err


def test_what_is_out_of_scope_stays_as_it_is(cli: Cli, tmp_path: Path) -> None:
    path = store(tmp_path, "dated", *DATED)
    assert cli("optimize", path, "--auto", "sure", "--confirm-shrink", "--tag", "x", "--no-model").code == 0
    ids = {json.loads(line).get("id") for line in path.read_text(encoding="utf-8").splitlines()}
    assert "c" in ids and len(ids & {"a", "b"}) == 1


@pytest.mark.parametrize("date", ["yesterday", "2025-13-01", "2025-01-01T99:00"])
def test_what_is_no_date_is_refused(cli: Cli, demo: Path, date: str) -> None:
    assert cli("analyze", demo, "--since", date).code == UsageError.exit_code


def test_a_collection_that_is_not_there_is_told(cli: Cli, demo: Path) -> None:
    assert cli("analyze", demo, "--collection", "nope").code == CollectionNotFound.exit_code


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    new = [TEA, "Note: " + TEA, "The server listens on port 8080.", "Rain fell in June."]
    old = [TEA, "The server listens on port 8081."]
    return (
        store(tmp_path, "new", *({"id": f"n{n}", "text": text} for n, text in enumerate(new))),
        store(tmp_path, "old", *({"id": f"o{n}", "text": text} for n, text in enumerate(old))),
    )


def test_what_is_there_already_is_told_before_an_import(cli: Cli, both: tuple[Path, Path]) -> None:
    new, old = both
    told = cli("analyze", new, "--against", old, "--no-model", "--json").json
    assert_keeps_the_contract(told, ["against", "known"])
    assert told["against"] == told["stores"][1] == f"jsonl:{old}"
    assert told["known"]["counts"] == {"same": 1, "sure": 1, "likely": 0, "contradicts": 1, "new": 1}
    listed = [(each["member"], each["is"], each.get("partner")) for each in told["known"]["memories"]]
    assert listed == [
        ("1:memories/n0", "same", "2:memories/o0"),
        ("1:memories/n1", "sure", "2:memories/o0"),
        ("1:memories/n2", "contradicts", "2:memories/o1"),
        ("1:memories/n3", "new", None),
    ]


def test_the_same_is_told_in_words_counts_first(cli: Cli, both: tuple[Path, Path]) -> None:
    out = cli("analyze", both[0], "--against", both[1], "--no-model").out
    said = ("1  there already, word for word", "1  new", "There already, word for word:")
    first = [out.index(words) for words in said]
    assert first == sorted(first)
    assert "port: 8080 / 8081" in out
    assert "Rain fell in June." in out


def test_the_report_says_what_is_there_already(cli: Cli, both: tuple[Path, Path], tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    assert cli("analyze", both[0], "--against", both[1], "--no-model", "--report", report).code == 0
    with report.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.reader(lines))
    assert sum(TEA in row for row in rows) == 3
    assert any("contradicts" in row for row in rows)


def test_a_store_is_not_compared_with_itself(cli: Cli, both: tuple[Path, Path]) -> None:
    assert cli("analyze", *both, "--against", f"jsonl:{both[0]}").code == UsageError.exit_code
    assert cli("analyze", f"{both[0]}#memories", "--against", both[0]).code == UsageError.exit_code


def test_one_collection_can_be_compared_with_another_of_the_same_store(cli: Cli, tmp_path: Path) -> None:
    path = store(tmp_path, "s", *({"id": "a", "text": TEA, "collection": name} for name in ("one", "two")))
    told = cli("analyze", f"{path}#one", "--against", f"{path}#two", "--no-model", "--json").json
    assert [(each["member"], each["is"]) for each in told["known"]["memories"]] == [("1:one/a", "same")]


def test_a_plan_cannot_be_made_of_two_stores(cli: Cli, both: tuple[Path, Path], tmp_path: Path) -> None:
    ended = cli("analyze", both[0], "--against", both[1], "--save", tmp_path / "plan.json")
    assert ended.code == UsageError.exit_code


def test_of_very_many_contradictions_the_newest_are_shown_and_all_are_counted(cli: Cli, tmp_path: Path) -> None:
    store = tmp_path / "ports.jsonl"
    lines = [json.dumps({"id": str(port), "text": f"The server listens on port {port}"}) for port in range(8000, 8030)]
    store.write_text("\n".join(lines), encoding="utf-8")
    said = cli("analyze", store, "--no-model").out
    assert said.count("port: ") == show.CONFLICTS_SHOWN
    assert f"… and {435 - show.CONFLICTS_SHOWN} older ones" in said and "435 possible contradictions" in said
    assert len(cli("analyze", store, "--no-model", "--json").json["conflicts"]) == 435
