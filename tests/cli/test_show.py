from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.cli import show
from memdefrag.cli.output import print_answer
from memdefrag.engine.apply import apply
from memdefrag.model.plan import Plan, Relate
from memdefrag.model.records import Key, Relation
from memdefrag.model.report import ApplyReport, Skipped
from tests.cli.conftest import Cli
from tests.engine.stores import make_store


def report(**told: object) -> ApplyReport:
    facts = {"records_before": 10, "records_after": 9, "merged": 1, "written": 1, "removed": 1, "bytes_before": 1000}
    usual = {"store": "chroma:/x", "reason": "optimize", "dry_run": False}
    return ApplyReport(**(usual | facts | told))  # type: ignore[arg-type]


def lines(done: ApplyReport, capsys: pytest.CaptureFixture[str]) -> str:
    print_answer(*show.report(done))
    return capsys.readouterr().out


GREW = "does not make the files smaller"


@pytest.mark.parametrize(
    ("told", "says_so"),
    [
        ({"bytes_after": 1000}, True),
        ({"bytes_after": 1200}, True),
        ({"bytes_after": 900}, False),
        ({"bytes_after": 1000, "removed": 0}, False),
        ({"bytes_after": 1000, "compacted": True}, False),
        ({"bytes_after": 1000, "reason": "undo"}, False),
        ({"bytes_after": 1000, "store": "jsonl:/x"}, False),
        ({"bytes_after": 1000, "store": "memory-export:/x"}, False),
        ({"bytes_after": 1000, "store": "memory-export:/x", "merged": 0}, True),
    ],
)
def test_who_removed_memories_and_sees_no_smaller_file_is_told_why(
    told: dict[str, object], says_so: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (GREW in lines(report(**told), capsys)) is says_so


@pytest.mark.parametrize("compacted", [False, True])
def test_a_file_with_an_archive_of_its_own_is_told_to_keep_what_was_merged(
    compacted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "memory_archive" in lines(report(store="memory-export:/x", bytes_after=1000, compacted=compacted), capsys)


def test_what_was_skipped_is_counted_and_the_first_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    skipped = tuple(Skipped(f"c/{number}", "gone") for number in range(25))
    shown = lines(report(bytes_after=1000, skipped=skipped), capsys)
    assert "25 steps skipped:" in shown
    assert shown.count(": gone") == 10
    assert "15 more" in shown


def test_what_was_skipped_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    out = lines(report(skipped=(Skipped("c/1", "c/1 was changed"),)), capsys)
    assert "c/1: was changed" in out


def test_losses_warnings_and_next_steps_are_all_said(capsys: pytest.CaptureFixture[str]) -> None:
    done = report(bytes_after=1, losses={"lists": 2}, warnings=("Mind the gap.",), next_steps=("Start it.", "Wait."))
    shown = lines(done, capsys)
    for words in ("lists (2 memories)", "Warning: Mind the gap.", "1. Start it.", "2. Wait."):
        assert words in shown


def test_links_that_came_and_went_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Links: 3 made, 4 removed." in lines(report(linked=3, unlinked=4), capsys)
    assert "Links: 3 would be made, 0 would be removed." in lines(report(linked=3, dry_run=True), capsys)
    assert "Links" not in lines(report(), capsys)


def test_a_step_tells_its_links(cli: Cli, tmp_path: Path) -> None:
    store = make_store("jsonl", tmp_path, 4)
    link = Relation(Key("memories", "id000"), Key("memories", "id003"), "because")
    done = apply(Plan(source=str(store), target=str(store), steps=(Relate(link),)))
    assert "link made: memories/id000 -> memories/id003 (because)" in cli("show", done.step).out
    told = cli("show", done.step, "--json").json["step"]["links"]
    assert [each["type"] for each in told["made"]] == ["because"]
    assert told["removed"] == []
