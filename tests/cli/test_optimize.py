from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memdefrag.base.errors import ConfirmationNeeded, UsageError
from memdefrag.base.settings import data_dir
from memdefrag.model.plan import Merge, load
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.cli.conftest import Cli, command_line, traces

CTRL_C = ""


def texts(store: Path) -> dict[str, str | None]:
    with open_store(str(store)) as opened:
        return {record.key.id: record.text for record in read_snapshot(opened)}


def test_auto_sure_merges_the_copies_and_leaves_contradictions(cli: Cli, demo: Path) -> None:
    told = cli("optimize", demo, "--auto", "sure", "--json").json
    assert told["removed"] >= 10
    left = texts(demo)
    assert len(left) == 61 - told["removed"]
    assert "demo-01" in left and not {"demo-02", "demo-03"} & left.keys()
    contradicting = {f"demo-{number}" for number in range(32, 46)}
    assert contradicting <= left.keys()


def test_auto_sure_merges_exactly_the_cliques_of_the_analysis(cli: Cli, demo: Path) -> None:
    groups = cli("analyze", demo, "--json").json["groups"]
    cliques = [set(clique) for group in groups for clique in group["sure"]]
    cli("optimize", demo, "--auto", "sure")
    left = texts(demo).keys()
    assert [len(clique & left) for clique in cliques] == [1] * len(cliques)
    assert len(left) == 61 - sum(len(clique) - 1 for clique in cliques)


def test_automatic_merges_stay_within_a_collection(cli: Cli, tmp_path: Path) -> None:
    store = tmp_path / "two.jsonl"
    lines = [{"id": name + str(n), "text": "The same note.", "collection": name} for name in "ab" for n in (1, 2)]
    store.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert cli("optimize", store, "--auto", "sure", "--confirm-shrink", "--json").json["removed"] == 2
    assert {key[0] for key in texts(store)} == {"a", "b"}


def test_without_a_terminal_and_without_auto_it_stops(cli: Cli, demo: Path) -> None:
    before = traces(demo.parent, data_dir())
    ended = cli("optimize", demo)
    assert ended.code == UsageError.exit_code
    assert "--auto sure" in ended.err
    assert traces(demo.parent, data_dir()) == before


@pytest.mark.parametrize("options", [["--auto", "sure"], ["--auto", "sure", "--json"], ["--auto", "sure", "--compact"]])
def test_a_dry_run_leaves_no_trace(cli: Cli, demo: Path, options: list[str]) -> None:
    before = traces(demo.parent, data_dir())
    ended = cli("optimize", demo, "--dry-run", *options)
    assert ended.code == 0
    assert traces(demo.parent, data_dir()) == before


def test_a_dry_run_promises_what_the_run_then_does(cli: Cli, demo: Path) -> None:
    names = ("records_before", "records_after", "merged", "written", "removed")
    promised, done = (
        cli("optimize", demo, "--auto", "sure", "--json", *options).json for options in (["--dry-run"], [])
    )
    assert [promised[name] for name in names] == [done[name] for name in names]


def test_a_second_run_finds_nothing_more_to_do(cli: Cli, demo: Path) -> None:
    cli("optimize", demo, "--auto", "sure")
    before = traces(demo.parent)
    ended = cli("optimize", demo, "--auto", "sure")
    assert "nothing to do" in ended.out
    assert traces(demo.parent) == before


def test_analyze_saves_the_plan_that_optimize_would_carry_out(cli: Cli, demo: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    shutil.copy(demo, other)
    cli("analyze", demo, "--save", tmp_path / "plan.json")
    plan = load(tmp_path / "plan.json")
    assert plan.source == plan.target == f"jsonl:{demo}"
    assert plan.source_fingerprint
    assert all(isinstance(step, Merge) for step in plan.steps)
    cli("apply", tmp_path / "plan.json")
    cli("optimize", other, "--auto", "sure")
    assert texts(demo) == texts(other)


def test_a_plan_is_about_one_store(cli: Cli, demo: Path, tmp_path: Path) -> None:
    assert cli("analyze", demo, demo, "--save", tmp_path / "plan.json").code == UsageError.exit_code
    assert not (tmp_path / "plan.json").exists()


def test_on_a_copy_first_and_then_the_same_for_the_store(cli: Cli, demo: Path, tmp_path: Path) -> None:
    before = traces(demo.parent)
    told = cli("optimize", demo, "--auto", "sure", "--on-copy", tmp_path / "try", "--json").json
    assert traces(demo.parent) == before
    assert len(texts(tmp_path / "try" / demo.name)) == told["records_after"] < 61
    assert cli("apply", told["plan"]).code == 0
    assert texts(demo) == texts(tmp_path / "try" / demo.name)


def test_a_copy_is_never_put_over_something(cli: Cli, demo: Path) -> None:
    assert cli("optimize", demo, "--auto", "sure", "--on-copy", demo.parent).code == UsageError.exit_code
    assert len(texts(demo)) == 61


def test_a_dry_run_wants_no_copy(cli: Cli, demo: Path, tmp_path: Path) -> None:
    ended = cli("optimize", demo, "--auto", "sure", "--dry-run", "--on-copy", tmp_path / "try")
    assert ended.code == UsageError.exit_code
    assert not (tmp_path / "try").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
class TestAtATerminal:
    def optimize(self, demo: Path, *answers: str, options: tuple[str, ...] = ()) -> tuple[int, str]:
        """Answer one question after the other; return the exit code and all that was shown."""
        import pty

        ours, theirs = pty.openpty()
        program = subprocess.Popen(
            command_line("optimize", demo, *options), stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
        )
        os.close(theirs)
        shown = ""
        waiting = list(answers)
        try:
            while True:
                shown += os.read(ours, 65536).decode()
                if waiting and shown.endswith(("asking: ", "(y/n): ")):
                    answer = waiting.pop(0)
                    if answer == CTRL_C:
                        # Python misses a signal between printing the prompt and waiting for the answer.
                        time.sleep(0.3)
                        program.send_signal(signal.SIGINT)
                    os.write(ours, answer.encode())
                    shown += "\n"
        except OSError:
            pass
        finally:
            os.close(ours)
        return program.wait(), shown

    def test_yes_merges_a_group_and_quit_ends_the_questions(self, demo: Path) -> None:
        code, shown = self.optimize(demo, "y\n", "n\n", "q\n", "y\n")
        assert code == 0, shown
        left = texts(demo)
        assert not {"demo-02", "demo-03"} & left.keys()
        assert len(left) == 59
        assert "Group 1 of" in shown and "Group 3 of" in shown and "Group 4 of" not in shown

    def test_the_whole_texts_and_the_merged_one_are_shown_before_the_answer(self, tmp_path: Path) -> None:
        long = "The garden behind the old mill has " + ", ".join(f"bed {number} of tulips" for number in range(40))
        store = tmp_path / "two.jsonl"
        store.write_text(
            "\n".join(json.dumps({"id": id, "text": text}) for id, text in {"1": long, "2": f"Note: {long}."}.items()),
            encoding="utf-8",
        )
        code, shown = self.optimize(store, "w\n", "n\n")
        assert code == 0, shown
        assert shown.count("bed 39 of tulips") == 3 and "merged:" in shown
        assert len(texts(store)) == 2

    def test_what_is_no_answer_is_asked_again(self, demo: Path) -> None:
        code, shown = self.optimize(demo, "?\n", "\n", "y\n", "q\n", "y\n")
        assert code == 0, shown
        assert "Group 2 of" in shown and "Group 3 of" not in shown
        assert "Merge 1 group, so that" in shown

    @pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 130, 30), ("y\n", 0, 21)])
    def test_a_store_that_lost_much_since_its_backup_is_asked_about(
        self, cli: Cli, demo: Path, answer: str, code: int, left: int
    ) -> None:
        assert cli("backup", "create", demo).code == 0
        demo.write_bytes(b"".join(demo.read_bytes().splitlines(keepends=True)[:31]))
        assert len(texts(demo)) == 30
        alone = cli("optimize", demo, "--auto", "sure")
        assert alone.code == ConfirmationNeeded.exit_code
        assert "31 of the 61 memories" in alone.err and "--confirm-shrink" in alone.err
        ended, shown = self.optimize(demo, answer, options=("--auto", "sure"))
        assert "no longer in the store" in shown
        assert (ended, len(texts(demo))) == (code, left), shown

    def test_all_sure_ones_that_are_left(self, demo: Path) -> None:
        code, shown = self.optimize(demo, "n\n", "s\n", "y\n")
        assert code == 0, shown
        left = texts(demo)
        assert {"demo-01", "demo-02", "demo-03"} <= left.keys()
        assert "demo-05" not in left

    @pytest.mark.parametrize("answers", [("q\n",), ("y\n", "q\n", "n\n"), ("y\n", CTRL_C), (CTRL_C,)])
    def test_nothing_happens_without_the_last_word(self, demo: Path, answers: tuple[str, ...]) -> None:
        before = traces(demo.parent)
        code, shown = self.optimize(demo, *answers)
        assert code == (0 if answers == ("q\n",) else 130), shown
        assert traces(demo.parent) == before

    def test_the_copy_is_tried_before_the_store_is_offered(self, demo: Path, tmp_path: Path) -> None:
        options = ("--auto", "sure", "--on-copy", str(tmp_path / "try"))
        code, shown = self.optimize(demo, "y\n", options=options)
        assert code == 0, shown
        assert "That was the copy" in shown
        assert texts(demo) == texts(tmp_path / "try" / demo.name)
