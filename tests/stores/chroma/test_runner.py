"""The process that runs chromadb may crash, hang or refuse; the parent says so and nothing else happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from memdefrag.base.errors import Cancelled, WriterFailed
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.stores.chroma import runner
from memdefrag.stores.chroma.runner import Work, command, environment, place, run, run_if_asked, start, work_folder

posix = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for a Python is a shell script")


def stand_in(folder: Path, script: str) -> Path:
    """An interpreter that does something else."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def small_work(work: Work, folder: Path, **record: object) -> None:
    """The order to make a collection with one record."""
    collection = place("memories")
    work.add(0, "one", np.ones(3, np.float32), new=True, document="text", **record)  # type: ignore[arg-type]
    creation = {**collection, "metadata": {}, "index": {"space": "cosine"}, "function": None}
    work.order("write", folder, [collection], create=[creation])


def run_script(tmp_path: Path, script: str, progress: Progress | None = None) -> None:
    with work_folder() as work:
        small_work(work, tmp_path / "chroma")
        run(work, stand_in(tmp_path, script), progress or Progress())


def test_the_child_reports_counts_and_progress(tmp_path: Path) -> None:
    ticks: list[Tick] = []
    progress = Progress(ticks.append)
    progress.phase("Writing", 1)
    with work_folder() as work:
        small_work(work, tmp_path / "chroma", metadata={"a": 1}, uri="file:///x")
        result = run(work, None, progress)
    assert (result.counts, result.warnings, result.answers) == ([1], [], [])
    assert ticks[-1].done == 1
    assert not work.folder.exists()


def test_a_child_that_was_started_ahead_carries_out_the_order(tmp_path: Path) -> None:
    with work_folder() as work:
        start(work, None)
        waiting = work.process
        small_work(work, tmp_path / "chroma")
        assert run(work, None, Progress()).counts == [1]
        assert waiting is not None
        assert waiting.returncode == 0


def test_a_child_that_waits_for_an_order_ends_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing came of it"), work_folder() as work:
        start(work, None)
        waiting = work.process
        raise OSError("nothing came of it")
    assert waiting is not None
    assert waiting.returncode not in (None, 0)
    assert not work.folder.exists()


def test_a_child_whose_parent_ends_before_the_order_is_complete_does_nothing(tmp_path: Path) -> None:
    with work_folder() as work:
        small_work(work, tmp_path / "chroma")
        done = subprocess.run(command(None, work.folder), input=b"", check=False)
        assert done.returncode == 1
        assert not (work.folder / "result.json").exists()
    assert not (tmp_path / "chroma").exists()


@posix
def test_one_that_died_while_it_waited_is_told_of(tmp_path: Path) -> None:
    with work_folder() as work, pytest.raises(WriterFailed, match="status 3 without a result; it last said: no"):
        start(work, stand_in(tmp_path, "echo no >&2; exit 3"))
        assert work.process is not None
        work.process.wait()
        small_work(work, tmp_path / "chroma")
        run(work, None, Progress())


@posix
def test_a_crash_names_the_signal_and_the_last_lines(tmp_path: Path) -> None:
    with pytest.raises(WriterFailed, match=r"signal 11") as caught:
        run_script(tmp_path, "echo 'core is melting' >&2; kill -SEGV $$")
    assert "core is melting" in caught.value.message
    assert caught.value.safe == "Your store was not changed."


@posix
def test_an_end_without_a_result_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(WriterFailed, match="status 0 without a result"):
        run_script(tmp_path, "exit 0")


@posix
def test_a_hang_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SILENCE_SECONDS", 0.3)
    with pytest.raises(WriterFailed, match="reported nothing"):
        run_script(tmp_path, "exec sleep 600")
    assert not [child for child in psutil.Process().children() if child.name() == "sleep"]


@posix
def test_stopping_ends_the_process(tmp_path: Path) -> None:
    cancel = Cancel()
    progress = Progress(cancel=cancel)
    progress.phase("Writing", 1)
    cancel.set()
    with pytest.raises(Cancelled):
        run_script(tmp_path, "exec sleep 600", progress)
    assert not [child for child in psutil.Process().children() if child.name() == "sleep"]


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    with work_folder() as work, pytest.raises(WriterFailed, match="nowhere"):
        small_work(work, tmp_path / "chroma")
        run(work, tmp_path / "nowhere", Progress())


def test_the_child_gets_nothing_of_our_python(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SECRET_TOKEN"):
        monkeypatch.setenv(name, "ours")
    assert "ours" not in environment().values()
    assert environment()["PATH"] == os.environ["PATH"]


def test_the_frozen_program_starts_itself_for_the_built_in_library(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Path("/work folder")
    assert command(None, work)[0] == sys.executable
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert command(None, work) == [sys.executable, "--chroma-child", "/work folder"]
    python, script, folder = command(Path("/other/python"), work)
    assert (python, folder) == ("/other/python", "/work folder")
    assert Path(script).is_file()


def test_the_program_is_the_child_only_when_asked(tmp_path: Path) -> None:
    assert not run_if_asked([])
    assert not run_if_asked(["open", str(tmp_path)])
    assert not run_if_asked(["--chroma-child"])


def test_the_program_as_child_does_the_work(tmp_path: Path) -> None:
    """What the frozen program does when it starts itself."""
    with work_folder() as work:
        small_work(work, tmp_path / "chroma")
        script = "import sys; from memdefrag.stores.chroma.runner import run_if_asked; run_if_asked(sys.argv[1:])"
        root = str(Path(runner.__file__).parents[3])
        started = [sys.executable, "-c", script, "--chroma-child", str(work.folder)]
        done = subprocess.run(started, cwd=root, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        assert done.stdout == b'{"done": 1}\n'
        assert (work.folder / "result.json").exists()
    assert (tmp_path / "chroma/chroma.sqlite3").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("memories", ("default_tenant", "default_database", "memories")),
        ("team/archive/notes", ("team", "archive", "notes")),
    ],
)
def test_places_follow_the_readers_names(name: str, expected: tuple[str, str, str]) -> None:
    found = place(name)
    assert (found["tenant"], found["database"], found["name"]) == expected


def test_a_child_that_is_started_ahead_is_the_one_that_works() -> None:
    with runner.ahead(None), runner.started(None) as work:
        first = work.process
    assert first is not None
    assert first.poll() is not None


def test_a_child_of_another_python_is_not_taken_for_it() -> None:
    with runner.ahead(None), runner.started(Path(sys.executable)) as work:
        assert [waiting for _, waiting in runner._ahead] != [work]


def test_a_child_that_nobody_asked_ends() -> None:
    with runner.ahead(None):
        [(_, work)] = runner._ahead
        child = work.process
    assert child is not None and child.poll() is not None
    assert runner._ahead == []
    assert not work.folder.exists()
