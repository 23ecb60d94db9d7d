"""What searches must still find, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memdefrag.base.errors import SearchLoss, UsageError
from memdefrag.base.settings import data_dir
from memdefrag.cli import show_recall
from memdefrag.cli.output import print_answer
from memdefrag.cli.proving import FIRST, MIN_RECALL
from memdefrag.engine import search_proof
from memdefrag.model.plan import load
from memdefrag.model.recall import Found, LostFilter, LostHit, Recall
from tests.cli.conftest import Cli, traces


def line(id: str, text: str, vector: list[float], **said: object) -> str:
    return json.dumps({"id": id, "text": text, "embedding": vector, "created_at": 1.7e9, **said})


@pytest.fixture
def lossy(tmp_path: Path) -> Path:
    """Two memories of the same words whose vectors lie far apart, each among others: their mean is near neither."""
    same = "The garden gate is painted green."
    lines = [line("a", same, [1.0, 0.0]), line("b", same, [0.0, 1.0], created_at=1.7e9 + 500_000, tags=["home"])]
    lines += [line(f"x{n}", f"Note {n}: {'abcdefgh'[n] * 9}", [1.0, 0.01 * n]) for n in range(1, 7)]
    lines += [line(f"y{n}", f"Other {n}: {'stuvwxyz'[n] * 9}", [0.01 * n, 1.0]) for n in range(1, 7)]
    store = tmp_path / "store" / "lossy.jsonl"
    store.parent.mkdir()
    store.write_text("\n".join(lines), encoding="utf-8")
    return store


@pytest.fixture
def plan(cli: Cli, lossy: Path, tmp_path: Path) -> Path:
    assert cli("analyze", lossy, "--no-model", "--save", tmp_path / "plan.json").code == 0
    return tmp_path / "plan.json"


OPTIMIZE = ("--auto", "sure", "--no-model")


def test_what_the_faces_insist_on_is_the_engines_word() -> None:
    assert (FIRST, MIN_RECALL) == (search_proof.FIRST, search_proof.MIN_RECALL)


@pytest.mark.parametrize("command", ["optimize", "apply"])
def test_a_write_by_which_searches_lose_is_refused(cli: Cli, lossy: Path, plan: Path, command: str) -> None:
    before = traces(lossy.parent)
    told = cli("optimize", lossy, *OPTIMIZE, "--json") if command == "optimize" else cli("apply", plan, "--json")
    assert told.code == SearchLoss.exit_code == 28
    assert told.json["error"]["code"] == "search_loss"
    assert "0.0%" in told.json["error"]["message"] and "--min-recall" in told.json["error"]["todo"]
    assert traces(lossy.parent) == before
    assert not (data_dir() / "backups").exists()


def test_a_dry_run_shows_what_would_be_lost_and_is_not_refused(cli: Cli, lossy: Path) -> None:
    told = cli("optimize", lossy, *OPTIMIZE, "--dry-run", "--json")
    assert told.code == 0
    recall = told.json["recall"]
    assert (recall["k"], recall["queries"], recall["at_1"], recall["at_k"]) == (5, 2, 0.0, 0.0)
    assert [(lost["memory"], lost["survivor"], lost["before"]) for lost in recall["lost"]] == [
        ("memories/a", "memories/a", 1),
        ("memories/b", "memories/a", 1),
    ]
    assert [lost["memory"] for lost in recall["days_lost"]] == ["memories/b"]
    assert (recall["tags_lost"], recall["own"]) == ([], None)
    assert any("would lose too much" in warning for warning in told.json["warnings"])


def test_the_person_may_accept_it_and_the_history_keeps_the_figures(cli: Cli, lossy: Path, plan: Path) -> None:
    told = cli("apply", plan, "--min-recall", "0", "--json").json
    assert told["recall"]["at_k"] == 0.0
    shown = cli("show", told["step"], "--json").json["step"]
    assert (shown["recall"]["queries"], shown["recall"]["at_k"], shown["recall"]["lost"]) == (2, 0.0, 2)
    assert "0.0% of those among the first 5" in cli("show", told["step"]).out


def test_found_may_mean_among_more(cli: Cli, lossy: Path) -> None:
    assert cli("optimize", lossy, *OPTIMIZE, "--recall-at", "13", "--json").json["recall"]["at_k"] == 1.0


def test_own_queries_are_asked_by_words_without_a_model(cli: Cli, lossy: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.txt"
    queries.write_text('garden gate\n{"query": "painted green", "expect": ["b"]}\n', encoding="utf-8")
    told = cli("optimize", lossy, *OPTIMIZE, "--dry-run", "--queries", queries, "--json").json
    assert told["recall"]["own"] == {"queries": 2, "at_1": 1.0, "at_k": 1.0}
    assert "by words: no model was wanted" in told["recall"]["notes"][0]


def test_queries_that_cannot_be_read_stop_it(cli: Cli, lossy: Path, tmp_path: Path) -> None:
    ended = cli("optimize", lossy, *OPTIMIZE, "--queries", tmp_path / "absent.txt")
    assert ended.code == UsageError.exit_code
    assert "absent.txt" in ended.err


@pytest.mark.parametrize(("created", "moment"), [("earliest", 1.7e9), ("latest", 1.7e9 + 500_000)])
def test_the_time_of_creation_is_a_choice(
    cli: Cli, lossy: Path, tmp_path: Path, created: str, moment: float
) -> None:
    cli("analyze", lossy, "--no-model", "--created", created, "--save", tmp_path / "plan.json")
    saved = load(tmp_path / "plan.json")
    assert [step.result.created for step in saved.steps] == [moment]  # type: ignore[union-attr]
    assert saved.settings["created"] == created


def test_a_terminal_shows_the_figures_and_the_first_losses(capsys: pytest.CaptureFixture[str]) -> None:
    lost = tuple(LostHit(f"n/{number}", f"n/{number}", "n/s", 1, None) for number in range(12))
    days = (LostFilter("n/1", "n/s", "2024-05-17", ""),)
    tags = (LostFilter("n/1", "n/s", "red", ""), LostFilter("n/1", "n/s", "blue", ""))
    own = Found(3, 1.0, 0.5)
    hits = (LostHit("old gate", "n/q", "n/s", 2, 9), *lost)
    found = Recall(100, 0.9, 0.88, 5, hits, own, days, tags, notes=("A note.",))
    print_answer(*show_recall.recall(found, whole=True))
    out = " ".join(capsys.readouterr().out.split())
    assert "100 queries; 90.0% of the first hits stay first, 88.0% of those among the first 5" in out
    assert "Your own queries: 3 queries; 100.0%" in out
    assert "n/q (old gate): 2 -> 9" in out and "n/0: 1 -> not found" in out
    assert "n/9" not in out and "and 3 more" in out
    assert "1 memory is no longer found by its day: n/1: 2024-05-17 -> none (n/s)" in out
    assert "1 memory is no longer found by its tag: n/1: red -> none (n/s) n/1: blue -> none (n/s)" in out
    assert "A note." in out
    print_answer(*show_recall.recall(found, whole=False))
    out = " ".join(capsys.readouterr().out.split())
    assert "n/q (old gate): 2 -> 9" in out and "no longer found by its day." in out and "2024-05-17" not in out
