"""The process that makes vectors: modest, quiet, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pytest

from memdefrag.analysis.embedding import embed
from memdefrag.analysis.embedding import worker as embedding_worker
from memdefrag.analysis.embedding.child import LOW_PRIORITY
from memdefrag.analysis.embedding.worker import FROZEN_SWITCH, Order, Worker, at_work, command
from memdefrag.base.errors import Cancelled, ModelUnavailable
from memdefrag.base.progress import Cancel, Progress

GONE_SECONDS = 60

needs_library = pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="needs the models extra")
needs_model = pytest.mark.skipif(not embed.is_available(), reason="needs the models extra")

_WATCH = """
import sys

def watch(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.sendto")):
        open({report!r}, "a").write(event)

sys.addaudithook(watch)
print("what libraries print must not get among the answers")
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Worker, Path]]:
    """A worker with one thread, and the file where its attempts to reach a network would stand."""
    folder = tmp_path_factory.mktemp("watched")
    report = folder / "asked"
    (folder / "sitecustomize.py").write_text(_WATCH.format(report=str(report)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        worker = Worker(_order(threads=1), Progress())
    yield worker, report
    worker.end()


def _order(threads: int | None = None) -> Order:
    folder = embed._folder(embed.DEFAULT_MODEL)
    assert folder is not None
    return Order(str(folder), threads)


def _child(worker: Worker) -> psutil.Process:
    return psutil.Process(worker._process.pid)


@needs_model
def test_it_answers_in_order_and_asks_no_network(watched: tuple[Worker, Path]) -> None:
    worker, report = watched
    [one, other] = worker.encode([["green tea", "a green gate"], ["green tea"]], Progress())
    assert one.shape == (2, 384) and other.shape == (1, 384)
    np.testing.assert_allclose(one[0], other[0], atol=1e-5)
    assert not report.exists()


@needs_model
def test_it_leaves_the_machine_to_the_person(watched: tuple[Worker, Path]) -> None:
    worker, _ = watched
    assert worker.threads == 1
    low = LOW_PRIORITY if sys.platform != "win32" else psutil.BELOW_NORMAL_PRIORITY_CLASS
    assert _child(worker).nice() == low


@needs_model
def test_cancelling_does_not_wait_for_the_answer(watched: tuple[Worker, Path]) -> None:
    worker, _ = watched
    cancel = Cancel()
    vectors = worker.encode([["green tea"]], Progress(cancel=cancel))
    cancel.set()
    with pytest.raises(Cancelled):
        next(vectors)


@needs_model
def test_one_that_was_killed_is_told_and_replaced_by_the_next() -> None:
    with pytest.raises(ModelUnavailable, match=r"crashed|ended") as raised, at_work(_order(), Progress()) as worker:
        _child(worker).kill()
        list(worker.encode([["green tea"]] * 3, Progress()))
    assert "--no-model" in raised.value.todo and "remembered" in raised.value.safe
    assert not worker.is_alive
    with at_work(_order(), Progress()) as other:
        [made] = other.encode([["green tea"]], Progress())
    assert made.shape == (1, 384) and other is not worker
    with at_work(_order(), Progress()) as again:
        assert again is other


@needs_library
def test_what_a_folder_lacks_is_said(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        embed.load(str(tmp_path)).embed(["green tea"])


@needs_model
@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")
def test_it_ends_with_the_program_that_started_it() -> None:
    program = f"""
import sys
from memdefrag.analysis.embedding.worker import Order, Progress, Worker
worker = Worker(Order({_order().folder!r}), Progress())
print(worker._process.pid, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_root()) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    child.wait(GONE_SECONDS)
    assert not child.is_running()


def test_the_frozen_program_starts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    program, *arguments = command(Order("folder", 3))
    assert program == sys.executable
    assert arguments[0] == FROZEN_SWITCH
    assert json.loads(arguments[1]) == {"folder": "folder", "threads": 3, "fast": None}
    # Nobody asks for anything: it ends at once instead of telling how the command line is used.
    ended = subprocess.run(
        [sys.executable, "-m", "memdefrag", *arguments], stdin=subprocess.DEVNULL, capture_output=True, cwd=_root()
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_what_lies_in_the_current_folder_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "psutil.py").write_text("open('run', 'w')")
    environment = embedding_worker._environment(Order("no-such-folder"))
    subprocess.run(
        command(Order("no-such-folder")), capture_output=True, cwd=tmp_path, env=environment,
        input=b"",
    )
    assert os.listdir(tmp_path) == ["psutil.py"]


def _root() -> Path:
    return Path(__file__).resolve().parents[2]
