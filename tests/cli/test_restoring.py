"""Going back from the command line: undo, redo, show, history, and single memories out of a backup."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from memdefrag.base.errors import Cancelled, HistoryNotFound, UsageError
from memdefrag.base.progress import Progress
from memdefrag.cli.run import Run
from memdefrag.model.address import Address
from memdefrag.model.hashing import content_hash
from memdefrag.model.plan import Changes, Put, Ref, dump
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.registry import open_store
from tests.cli.conftest import Cli, traces
from tests.engine.stores import make_store, merge_plan, snapshot_of


@pytest.fixture
def store(tmp_path: Path) -> Address:
    """Twenty memories in a folder with a space in its name."""
    folder = tmp_path / "a store"
    folder.mkdir()
    return make_store("memory-export", folder)


@pytest.fixture
def merged(cli: Cli, store: Address, tmp_path: Path) -> Callable[[], str]:
    """Merges three pairs; returns the id of the backup from before."""

    def merge() -> str:
        (tmp_path / "plan.json").write_bytes(dump(merge_plan(store)))
        return str(cli("apply", tmp_path / "plan.json", "--json").json["backup"])

    return merge


def add(store: Address, id: str, text: str) -> None:
    """What an assistant does meanwhile: adds a memory, or changes one."""
    key = Key("memories", id)
    present = snapshot_of(store).by_key.get(key)
    with open_store(store) as opened:
        made = replace(present or MemoryRecord(key, ""), text=text)
        opened.write(
            Changes(put=(Put(opened.fit(made)[0], Ref.of(present).hash if present else None),)), Progress()
        )


def hash_of(store: Address) -> str:
    return content_hash(snapshot_of(store))


def ids(store: Address) -> set[str]:
    return {record.key.id for record in snapshot_of(store)}


def test_undo_and_redo_last(cli: Cli, store: Address, merged: Callable[[], str]) -> None:
    before = hash_of(store)
    merged()
    after = hash_of(store)
    assert cli("undo", "last", store).code == 0
    assert hash_of(store) == before
    assert cli("redo", "last", store).code == 0
    assert hash_of(store) == after
    assert cli("redo", "last", store).code == HistoryNotFound.exit_code
    assert cli("redo", "last").code == UsageError.exit_code


def test_redo_takes_the_name_of_the_step_or_of_its_undo(cli: Cli, store: Address, merged: Callable[[], str]) -> None:
    merged()
    step = cli("history", "--json").json["steps"][0]["id"]
    after = hash_of(store)
    for back in (None, "of the undo"):
        undo = cli("undo", step, "--json").json["step"]
        assert cli("redo", undo if back else step, "--json").json["reason"] == "redo"
        assert hash_of(store) == after


def test_history_tells_what_is_undone_and_what_is_left(cli: Cli, store: Address, merged: Callable[[], str]) -> None:
    merged()
    assert [step["state"] for step in cli("history", store, "--json").json["steps"]] == ["applied"]
    add(store, "id000", "Changed since")
    ended = cli("undo", "last", store)
    assert ended.code == 1
    undo, step = cli("history", store, "--json").json["steps"]
    assert (undo["state"], undo["undoes"]) == ("applied", step["id"])
    assert (step["state"], step["undone"], step["left"]) == ("partly undone", False, 1)
    told = cli("history").out
    assert f"undo of {step['id']}" in told
    assert "partly undone, 1 left" in told


def test_show_tells_each_memory_before_and_after(cli: Cli, store: Address, merged: Callable[[], str]) -> None:
    merged()
    step = cli("history", "--json").json["steps"][0]["id"]
    told = cli("show", step, "--json").json["step"]
    assert (told["id"], told["state"], len(told["records"])) == (step, "applied", 6)
    changed, removed = told["records"][0], told["records"][3]
    assert (changed["what"], removed["what"]) == ("changed", "removed")
    assert changed["text"] == [["-", "Fact number 0 about the garden"], ["+", "Fact number 0 about the garden, merged"]]
    assert changed["fields"]["updated"] == [None, 1.8e9]
    shown = cli("show", step).out
    assert "changed: memories/id000" in shown
    assert "  + Fact number 0 about the garden, merged" in shown
    assert "removed: memories/id001" in shown


def test_show_makes_hostile_texts_harmless(cli: Cli, store: Address, merged: Callable[[], str]) -> None:
    merged()
    add(store, "id019", "\x1b]0;owned\x07 [bold]text[/bold]")
    backup = cli("backup", "create", store, "--json").json["backup"]["id"]
    add(store, "id019", "Other")
    cli("backup", "restore", backup, "--only", "id019")
    shown = cli("show", cli("history", "--json").json["steps"][0]["id"]).out
    assert "\x1b" not in shown
    assert "[bold]text[/bold]" in shown


def test_one_memory_comes_back(cli: Cli, store: Address, merged: Callable[[], str]) -> None:
    backup = merged()
    assert "id001" not in ids(store)
    told = cli("backup", "restore", backup, "--only", "id001", "--json").json
    assert (told["written"], told["removed"], told["records_after"]) == (1, 0, 18)
    assert "id001" in ids(store)
    assert cli("backup", "restore", backup, "--only", "memories/id003").code == 0
    assert cli("backup", "restore", backup, "--only", "nobody").code == UsageError.exit_code


def test_a_group_a_text_and_a_tag_come_back(cli: Cli, store: Address, merged: Callable[[], str]) -> None:
    backup = merged()
    assert cli("backup", "restore", backup, "--group", "id002", "--json").json["written"] == 2
    assert cli("backup", "restore", backup, "--where", "number 2 about", "--json").json["written"] == 2
    assert cli("backup", "restore", backup, "--tag", "a", "--json").json["written"] == 2
    assert ids(store) == {f"id{number:03}" for number in range(20)}


def test_a_whole_restore_says_what_goes_and_how_it_comes_back(
    cli: Cli, store: Address, merged: Callable[[], str]
) -> None:
    backup = merged()
    add(store, "later", "Added since")
    before = traces(store.path.parent)
    rehearsed = cli("backup", "restore", backup, "--dry-run")
    assert "1 memory that came since goes" in rehearsed.out
    assert cli("backup", "restore", backup, "--dry-run", "--json").json["foreseen"] == {
        "going": 1, "changing": 3, "coming": 3,
    }  # fmt: skip
    assert traces(store.path.parent) == before
    ended = cli("backup", "restore", backup)
    assert "1 memory that came since goes" in ended.err
    assert "later" not in ids(store)
    [line] = [line for line in ended.out.splitlines() if "--added" in line]
    command = shlex.split(line[line.index("memdefrag ") :])
    assert cli(*command[1:]).code == 0
    assert "later" in ids(store)


def test_a_whole_restore_counts_what_becomes_of_the_memories(
    cli: Cli, store: Address, merged: Callable[[], str]
) -> None:
    backup = merged()
    add(store, "later", "Added since")
    now = len(ids(store))
    for options in (["--dry-run"], []):
        told = cli("backup", "restore", backup, "--json", *options).json
        counts = ("records_before", "records_after", "written", "removed")
        assert [told[name] for name in counts] == [now, 20, 6, 1]


def test_added_wants_no_other_condition(cli: Cli, merged: Callable[[], str]) -> None:
    backup = merged()
    assert cli("backup", "restore", backup, "--added", "--tag", "a").code == UsageError.exit_code
    assert cli("backup", "restore", backup, "--added").code == HistoryNotFound.exit_code


def test_a_person_is_asked_before_a_whole_restore(
    cli: Cli, store: Address, merged: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = merged()
    before = store.path.read_bytes()
    monkeypatch.setattr(Run, "interactive", True)
    monkeypatch.setattr(Run, "ask", lambda run, question: "n")
    assert cli("backup", "restore", backup).code == Cancelled.exit_code
    assert store.path.read_bytes() == before
    monkeypatch.setattr(Run, "ask", lambda run, question: "y")
    assert cli("backup", "restore", backup).code == 0
    assert len(ids(store)) == 20


def test_a_damaged_store_gets_its_backup_back(cli: Cli, store: Address, merged: Callable[[], str]) -> None:
    before = hash_of(store)
    backup = merged()
    store.path.write_bytes(store.path.read_bytes()[:100])
    assert cli("backup", "restore", backup, "--only", "id001").code == UsageError.exit_code
    assert cli("backup", "restore", backup).code == 0
    assert hash_of(store) == before


def test_no_undo_is_offered_to_a_store_that_could_not_be_read(
    cli: Cli, store: Address, merged: Callable[[], str]
) -> None:
    backup = merged()
    store.path.write_bytes(store.path.read_bytes()[:100])
    out = cli("backup", "restore", backup).out
    assert "20 memories written" in out
    assert "RESTORE.txt" in out and "memdefrag undo" not in out
    assert "unreadable" in cli("backup", "list").out


def test_what_is_left_of_a_damaged_store_is_no_state_to_go_back_to(
    cli: Cli, store: Address, merged: Callable[[], str]
) -> None:
    backup = merged()
    store.path.write_bytes(store.path.read_bytes()[:100])
    left = cli("backup", "restore", backup, "--json").json["backup"]
    assert cli("backup", "verify", left).code == 0
    kept = cli("backup", "prune", "--dry-run", "--json").json["prune"]["kept"]
    assert "newest verified" not in kept[left]
    drilled = cli("backup", "drill", "--json")
    assert (drilled.code, left in drilled.out) == (0, False)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_what_a_step_saves_is_private(cli: Cli, merged: Callable[[], str]) -> None:
    from memdefrag.base.settings import data_dir

    merged()
    files = [path for path in (data_dir() / "history").rglob("*") if path.is_file()]
    assert len(files) >= 6
    assert all(path.stat().st_mode & 0o77 == 0 for path in files)
