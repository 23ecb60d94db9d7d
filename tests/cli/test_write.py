from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from memdefrag.base.errors import Cancelled, ConfirmationNeeded, HistoryNotFound, PlanInvalid, StoreInUse, UsageError
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue
from memdefrag.engine.commit import swap
from memdefrag.engine.journal import Job
from memdefrag.engine.verify import verify_content
from memdefrag.model.address import Address
from memdefrag.model.plan import Plan, dump
from tests.cli.conftest import Cli, traces
from tests.engine.stores import make_store, merge_plan, snapshot_of


@pytest.fixture(params=["jsonl", "memory-export"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Twenty memories, every other one repeating the one before it."""
    folder = tmp_path / "store"
    folder.mkdir()
    return make_store(request.param, folder)


@pytest.fixture
def plan(store: Address, tmp_path: Path) -> Path:
    """A saved plan that merges three pairs."""
    return saved(merge_plan(store), tmp_path / "plan.json")


def saved(plan: Plan, path: Path) -> Path:
    path.write_bytes(dump(plan))
    return path


def test_apply_merges_backs_up_and_says_how_to_undo(cli: Cli, store: Address, plan: Path) -> None:
    ended = cli("apply", plan, "--json")
    told = ended.json
    assert ended.code == 0
    assert (told["records_before"], told["records_after"], told["merged"], told["removed"]) == (20, 17, 3, 3)
    assert Path(told["backup_folder"]).is_dir()
    assert len(snapshot_of(store)) == 17
    assert cli("undo", told["step"]).code == 0
    assert len(snapshot_of(store)) == 20


def test_the_same_is_said_in_words(cli: Cli, plan: Path) -> None:
    ended = cli("apply", plan)
    step = cli("history", "--json").json["steps"][0]
    assert "20 memories before, 17 after" in ended.out
    assert f"memdefrag undo {step['id']}" in ended.out
    assert step["backup"] in ended.out
    log = Path(ended.err.splitlines()[-1].removeprefix("Log: "))
    assert log.parent == data_dir() / "logs"


def test_the_log_tells_of_every_record_but_no_text(cli: Cli, plan: Path) -> None:
    err = cli("apply", plan).err
    log = Path(err.splitlines()[-1].removeprefix("Log: ")).read_text(encoding="utf-8")
    assert "merge into memories/id000: memories/id001" in log
    assert "garden" not in log


def test_verbose_shows_one_line_for_each_record(cli: Cli, plan: Path) -> None:
    lines = cli("apply", plan, "--verbose", "--quiet").err.splitlines()
    assert [line for line in lines if line.startswith("merge into")] == [
        f"merge into memories/id{number:03}: memories/id{number + 1:03}" for number in (0, 2, 4)
    ]


def test_space_is_called_saved_only_when_files_shrank(cli: Cli, plan: Path) -> None:
    out = cli("apply", plan).out
    assert "space saved" not in out
    assert "before," in out and "after." in out


@pytest.mark.parametrize("options", [[], ["--json"], ["--verbose"]])
def test_a_dry_run_leaves_no_trace(cli: Cli, store: Address, plan: Path, options: list[str]) -> None:
    before = traces(store.path.parent, data_dir())
    ended = cli("apply", plan, "--dry-run", *options)
    assert ended.code == 0
    assert traces(store.path.parent, data_dir()) == before
    if not options:
        assert "Dry run" in ended.out
        assert "17 after" in ended.out


def test_a_dry_run_leaves_no_trace_beside_earlier_work(cli: Cli, store: Address, plan: Path) -> None:
    cli("apply", plan)
    before = traces(store.path.parent, data_dir())
    assert cli("undo", "last", store, "--dry-run").code == 0
    backup = cli("backup", "list", "--json").json["backups"][0]["id"]
    assert cli("backup", "restore", backup, "--dry-run").code == 0
    assert traces(store.path.parent, data_dir()) == before


def test_steps_that_no_longer_fit_are_listed_and_the_command_ends_with_1(cli: Cli, store: Address, plan: Path) -> None:
    cli("apply", plan)
    ended = cli("apply", plan, "--json")
    assert ended.code == 1
    assert len(ended.json["skipped"]) == 3
    assert cli("apply", plan).out.count("memories/id") >= 3


def test_a_plan_can_be_applied_to_a_copy(cli: Cli, store: Address, plan: Path, tmp_path: Path) -> None:
    copy = tmp_path / f"copy{store.path.suffix}"
    copy.write_bytes(store.path.read_bytes())
    assert cli("apply", plan, "--to", copy).code == 0
    assert len(snapshot_of(store.at(copy))) == 17
    assert len(snapshot_of(store)) == 20


def test_much_less_than_before_needs_a_word(cli: Cli, store: Address, tmp_path: Path) -> None:
    plan = saved(merge_plan(store, pairs=10), tmp_path / "much.json")
    assert cli("apply", plan).code == ConfirmationNeeded.exit_code
    assert cli("apply", plan, "--confirm-shrink").code == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"memdefrag_plan": 99, "source": "a", "target": "b"}'])
def test_a_bad_plan_is_refused(cli: Cli, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    ended = cli("apply", tmp_path / "plan.json", "--json")
    assert (ended.code, ended.json["error"]["code"]) == (PlanInvalid.exit_code, "plan_invalid")


def test_only_one_way_of_writing_can_be_chosen(cli: Cli, plan: Path) -> None:
    assert cli("apply", plan, "--upgrade-format", "--make-environment").code == UsageError.exit_code


def test_a_store_that_a_program_holds_is_not_written(cli: Cli, store: Address, plan: Path) -> None:
    code = "import sys; f = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", code, store.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    before = traces(store.path.parent)
    try:
        ended = cli("apply", plan)
    finally:
        holder.communicate()
    assert ended.code == StoreInUse.exit_code
    assert f"(process {holder.pid})" in ended.err
    assert "Close " in ended.err
    assert traces(store.path.parent) == before


def interrupting(function: Callable[..., object]) -> Callable[..., object]:
    """The function, with Ctrl-C pressed just before it begins."""

    def call(*arguments: object, **named: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return function(*arguments, **named)

    return call


def test_ctrl_c_before_the_commit_changes_nothing(
    cli: Cli, store: Address, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = traces(store.path.parent)
    monkeypatch.setattr("memdefrag.engine.staging.verify_content", interrupting(verify_content))
    ended = cli("apply", plan, "--json")
    assert (ended.code, ended.json["error"]["code"]) == (Cancelled.exit_code, "cancelled")
    assert traces(store.path.parent) == before
    assert cli("history", "--json").json == {"steps": [], "damaged": []}


def test_ctrl_c_during_the_commit_finishes_it(
    cli: Cli, store: Address, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memdefrag.engine.apply.swap", interrupting(swap))
    ended = cli("apply", plan, "--json")
    assert (ended.code, ended.json["records_after"]) == (0, 17)
    assert len(snapshot_of(store)) == 17


def test_after_a_command_ctrl_c_is_what_it_was(cli: Cli, plan: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    cli("apply", plan)
    assert signal.getsignal(signal.SIGINT) is before


def test_undo_last_goes_back_step_by_step(cli: Cli, store: Address, tmp_path: Path) -> None:
    steps = merge_plan(store, pairs=2).steps
    for number, step in enumerate(steps):
        cli("apply", saved(replace(merge_plan(store), steps=(step,)), tmp_path / f"{number}.json"))
    assert len(snapshot_of(store)) == 18
    for left in (19, 20):
        assert cli("undo", "last", store).code == 0
        assert len(snapshot_of(store)) == left
    assert cli("undo", "last", store).code == HistoryNotFound.exit_code
    undone = [step["undone"] for step in cli("history", store, "--json").json["steps"]]
    assert undone == [False, False, True, True]


@pytest.mark.parametrize("arguments", [["undo", "last"], ["undo", "2025", "store"]])
def test_undo_wants_a_step_or_last_and_a_store(cli: Cli, arguments: list[str]) -> None:
    assert cli(*arguments).code == UsageError.exit_code


def test_every_command_settles_what_a_crash_left(cli: Cli, store: Address) -> None:
    job = Job(store.path.resolve())
    catalogue.record("job", id="crashed", path=str(job.target), store=str(store))
    job.begin(id="crashed", pid=2**22 + 1, process_created=0.0, kind="file", source_hash="x")
    ended = cli("inspect", store)
    assert ended.code == 0
    assert "interrupted write" in ended.err
    assert not job.folder.exists()
    assert "interrupted" not in cli("inspect", store).err


def test_recover_tells_what_it_did(cli: Cli, store: Address) -> None:
    job = Job(store.path.resolve())
    catalogue.record("job", id="crashed", path=str(job.target), store=str(store))
    job.begin(id="crashed", pid=2**22 + 1, process_created=0.0, kind="file", source_hash="x")
    told = cli("recover", "--json").json
    assert told == {"recovered": [{"id": "crashed", "store": str(job.target), "outcome": "discarded"}]}
    assert cli("recover", "--json").json == {"recovered": []}


def test_json_stays_one_object_whatever_happens(cli: Cli, plan: Path) -> None:
    for arguments in (["apply", plan], ["apply", plan], ["apply", "absent.json"], ["undo", "nope"]):
        json.loads(cli(*arguments, "--json", "--verbose").out)
