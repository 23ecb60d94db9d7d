from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memdefrag.base.errors import Cancelled, CollectionNotFound, NotAStore, NotPermitted, UsageError
from memdefrag.base.settings import data_dir
from tests.cli.conftest import Cli, command_line, traces


def test_inspect_tells_what_the_contract_promises(cli: Cli, export_file: Path) -> None:
    told = cli("inspect", export_file, "--json").json
    assert told["store"] == f"memory-export:{export_file}"
    assert (told["kind"], told["writable"], told["in_use"], told["problems"]) == ("memory-export", True, [], [])
    [collection] = told["collections"]
    assert collection == {
        "name": "memories",
        "count": 6,
        "live": 6,
        "with_embedding": 6,
        "dimension": 8,
        "metric": "cosine",
        "model": None,
    }


def test_inspect_says_who_holds_the_store_and_how_to_close_it(cli: Cli, demo: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; f = open(sys.argv[1]); print(flush=True); sys.stdin.read()", demo],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        assert cli("inspect", demo, "--json").json["in_use"][0]["pid"] == holder.pid
        shown = cli("inspect", demo).out
    finally:
        holder.communicate()
    assert f"(process {holder.pid})" in shown
    assert "Close " in shown


def test_analyze_tells_what_the_contract_promises(cli: Cli, demo: Path) -> None:
    told = cli("analyze", demo, "--json").json
    assert told["stores"] == [f"jsonl:{demo}"]
    assert (told["count"], told["threshold"]) == (61, 0.85)
    by_member = {member: group for group in told["groups"] for member in group["members"]}
    assert len(by_member) == sum(len(group["members"]) for group in told["groups"])
    copies = by_member["demo-01"]
    assert copies["tier"] == "sure"
    assert sorted(copies["members"]) == ["demo-01", "demo-02", "demo-03"]
    assert [sorted(clique) for clique in copies["sure"]] == [["demo-01", "demo-02", "demo-03"]]
    assert {tuple(reason) for reason in copies["reasons"]} == {("members", "text")}
    ports = next(each for each in told["conflicts"] if set(each["members"]) == {"demo-32", "demo-33"})
    assert any("8080" in words and "8081" in words for words in ports["differs_in"])


@pytest.mark.parametrize(("rule", "kept"), [("oldest", "demo-01"), ("newest", "demo-03")])
def test_the_survivor_stands_first(cli: Cli, demo: Path, rule: str, kept: str) -> None:
    groups = cli("analyze", demo, "--survivor", rule, "--json").json["groups"]
    assert next(group for group in groups if "demo-02" in group["members"])["members"][0] == kept


def test_a_higher_threshold_finds_no_more(cli: Cli, demo: Path) -> None:
    counts = [len(cli("analyze", demo, "--threshold", at, "--json").json["groups"]) for at in (0.8, 0.9, 1)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_several_stores_are_told_apart_by_a_number(cli: Cli, demo: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(demo.read_bytes())
    told = cli("analyze", demo, copy, "--json").json
    assert told["count"] == 122
    assert {"1:demo/demo-01", "2:demo/demo-01"} <= {member for group in told["groups"] for member in group["members"]}


def test_the_same_is_said_in_words(cli: Cli, demo: Path) -> None:
    out = cli("analyze", demo).out
    assert "Nora prefers dark mode" in out
    assert "the same text" in out
    assert "port: 8080 → 8081" in out
    assert "61 memories" in out


def test_search_finds_by_words_without_a_model(cli: Cli, demo: Path) -> None:
    hits = cli("search", demo, "hazelnuts", "--no-model", "--limit", 2, "--json").json["hits"]
    assert {hit["id"] for hit in hits} == {"demo-04", "demo-05"}
    assert {hit["method"] for hit in hits} == {"text"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "STORE"],
        ["analyze", "STORE"],
        ["search", "STORE", "cello", "--no-model"],
        ["history"],
        ["history", "STORE"],
        ["backup", "list"],
        ["recover"],
    ],
)
def test_reading_leaves_no_trace(cli: Cli, demo: Path, arguments: list[str]) -> None:
    before = traces(demo.parent, data_dir())
    ended = cli(*[str(demo) if each == "STORE" else each for each in arguments])
    assert ended.code == 0, ended.err
    assert traces(demo.parent, data_dir()) == before


def test_bad_stores_are_refused_in_words(cli: Cli, tmp_path: Path, export_file: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "page.html").write_text("<html>", encoding="utf-8")
    (tmp_path / "cut.db").write_bytes(export_file.read_bytes()[:1000])
    for name in ("nothing-here", "empty", "page.html"):
        ended = cli("inspect", tmp_path / name, "--json")
        assert ended.code == NotAStore.exit_code, name
        assert ended.json["error"]["code"] == "not_a_store"
    cut = cli("inspect", tmp_path / "cut.db", "--json")
    assert 10 <= cut.code < 20
    assert set(cut.json) == {"error"}


def test_a_wrong_collection_lists_those_that_are_there(cli: Cli, demo: Path) -> None:
    ended = cli("analyze", f"{demo}#nope", "--json")
    assert ended.code == CollectionNotFound.exit_code
    assert "demo" in ended.json["error"]["todo"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_store_that_may_not_be_read_is_told_as_such(cli: Cli, demo: Path) -> None:
    demo.chmod(0)
    assert cli("inspect", demo).code == NotPermitted.exit_code


def test_untrusted_texts_cannot_drive_the_terminal(cli: Cli, tmp_path: Path) -> None:
    store = tmp_path / "evil.jsonl"
    text = "\x1b]0;owned\x07[bold]hello[/bold] \u202egnp.exe"
    lines = [json.dumps({"id": f"{number}", "text": text}) for number in range(2)]
    store.write_text("\n".join(lines), encoding="utf-8")
    for arguments in (["analyze", store], ["search", store, "hello", "--no-model"]):
        out = cli(*arguments).out
        assert "[bold]hello[/bold]" in out
        assert not {"\x1b", "\x07", "\u202e"} & set(out)


@pytest.mark.parametrize("option", ["--save", "--report"])
def test_a_folder_that_is_not_there_is_named_before_the_work(cli: Cli, demo: Path, tmp_path: Path, option: str) -> None:
    ended = cli("analyze", demo, option, tmp_path / "nowhere" / "out.csv")
    assert ended.code == UsageError.exit_code
    assert "nowhere" in ended.err and "Reading" not in ended.err


@pytest.mark.parametrize(("number", "code"), [(errno.EACCES, "not_permitted"), (errno.ENOSPC, "no_space")])
def test_a_plan_or_report_that_the_system_will_not_take_is_no_fault_of_ours(
    cli: Cli, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    def refused(path: Path, content: bytes) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("memdefrag.base.fsops.write_durable", refused)
    assert cli("analyze", demo, "--save", tmp_path / "plan.json", "--json").json["error"]["code"] == code


def test_a_terminal_that_lacks_letters_gets_escapes(program: Cli, demo: Path) -> None:
    ended = program("analyze", demo, PYTHONIOENCODING="ascii")
    assert ended.code == 0, ended.err
    assert "Leim\\xf6fen" in ended.out


def test_verbose_and_quiet_only_change_stderr(cli: Cli, demo: Path) -> None:
    usual, quiet = cli("analyze", demo), cli("analyze", demo, "--quiet")
    assert usual.out == quiet.out
    assert "Reading: 61 of 61" in usual.err
    assert quiet.err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signal")
def test_ctrl_c_during_an_analysis_ends_with_130_and_leaves_the_store_alone(tmp_path: Path) -> None:
    store = tmp_path / "many" / "many.jsonl"
    store.parent.mkdir()
    with store.open("w", encoding="utf-8") as out:
        for number in range(30_000):
            out.write(json.dumps({"id": str(number), "text": f"note {number} of many, {number % 97}"}) + "\n")
    before = traces(store.parent)
    program = subprocess.Popen(
        command_line("analyze", store, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stderr is not None
    for line in program.stderr:
        if line.startswith("Reading:"):
            break
    time.sleep(0.05)
    program.send_signal(signal.SIGINT)
    out, err = program.communicate()
    assert program.returncode == Cancelled.exit_code, err
    assert json.loads(out)["error"]["code"] == "cancelled"
    assert traces(store.parent) == before
