"""Starts `child`, hands it texts and brings back vectors; this process never waits without looking up.

A process of its own costs nothing that loading the model here would not cost, too. It runs at low priority without
slowing the window, can be stopped in the middle of a batch, and gives its half gigabyte back when it ends.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.embedding.vector_cache import Shape
from memdefrag.base.errors import ModelUnavailable
from memdefrag.base.progress import Progress

FROZEN_SWITCH = "--embedding-child"
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

LOOK_SECONDS = 0.1
_AHEAD = 2
"""Batches the child has at hand, so that it never waits for us."""
_LINE_CHARACTERS = 300

_waiting: list[Worker] = []
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Order:
    """What a child is started for.

    Attributes:
        folder: of the model's files.
        threads: how many work at once; None: as many as its library finds right, usually one for each core.
        fast: the folder of the model's export, which then runs in its place.
    """

    folder: str
    threads: int | None = None
    fast: str | None = None


class Worker:
    """A child that has loaded its model.

    Attributes:
        shape: of the model.
        threads: how many work at once.

    Raises:
        ModelUnavailable: the model cannot be loaded.
        Cancelled: meanwhile.
    """

    def __init__(self, order: Order, progress: Progress) -> None:
        self.order = order
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process lives
        self._process = subprocess.Popen(
            command(order),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=_environment(order),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._answers: queue.Queue[tuple[dict[str, Any], bytes] | None] = queue.Queue()
        self._reader = threading.Thread(target=_read, args=(self._process.stdout, self._answers), daemon=True)
        self._reader.start()
        try:
            told, _ = self._answer(progress)
            if "error" in told:
                raise ModelUnavailable(f"The embedding model in {order.folder} cannot be loaded: {told['error']}.")
            self.shape, self.threads = Shape(told["dimension"], told["window"]), int(told["threads"])
        except BaseException:
            self.end()
            raise

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def encode(
        self, batches: Iterable[Sequence[str]], progress: Progress
    ) -> Iterator[npt.NDArray[np.float32]]:
        """The unit vectors of each batch, float32 (texts, dimension), as soon as they are made.

        Raises:
            ModelUnavailable: the child died.
            Cancelled: at any time.
        """
        under_way = 0
        for batch in batches:
            self._ask({"texts": list(batch)})
            under_way += 1
            if under_way == _AHEAD:
                yield self._vectors(progress)
                under_way -= 1
        for _ in range(under_way):
            yield self._vectors(progress)

    def export(self, folder: Path, texts: Sequence[str], progress: Progress) -> float | str:
        """Make the fast form of the model there: how much it differs on these texts, or why there is none."""
        self._ask({"texts": list(texts), "export": str(folder)})
        told, _ = self._answer(progress)
        return str(told["error"]) if "error" in told else float(told["difference"])

    def end(self) -> None:
        """Stop the child, whatever it does."""
        self._process.kill()
        with self._process:
            self._reader.join()
        self._stderr.close()

    def _ask(self, question: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._death() from error

    def _vectors(self, progress: Progress) -> npt.NDArray[np.float32]:
        _, payload = self._answer(progress)
        return np.frombuffer(payload, "<f4").astype(np.float32).reshape(-1, self.shape.dimension)

    def _answer(self, progress: Progress) -> tuple[dict[str, Any], bytes]:
        while True:
            progress.check()
            try:
                answer = self._answers.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            if answer is None:
                raise self._death()
            return answer

    def _death(self) -> ModelUnavailable:
        status = self._process.wait()
        ended = f"crashed (signal {-status})" if status < 0 else f"ended with status {status}"
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ModelUnavailable(
            f"The process that makes vectors {ended}" + (f": {said[:_LINE_CHARACTERS]}" if said else "") + ".",
            safe="Your store was not changed. The vectors made so far are remembered.",
            todo="Try again (with a smaller --threads it needs less memory), or use --no-model to compare texts only.",
        )


@contextmanager
def at_work(order: Order, progress: Progress) -> Iterator[Worker]:
    """A worker: the one that waits for this very order, or a new one. Afterwards it waits for the next; one that
    was stopped half-way is ended.
    """
    worker = _one_that_waits(order) or Worker(order, progress)
    try:
        yield worker
    except BaseException:
        worker.end()
        raise
    with _lock:
        _waiting.append(worker)
        superfluous = _waiting[:-1]
        del _waiting[:-1]
    for other in superfluous:
        other.end()


def _one_that_waits(order: Order) -> Worker | None:
    with _lock:
        found = next((worker for worker in _waiting if worker.order == order and worker.is_alive), None)
        if found:
            _waiting.remove(found)
    return found


@atexit.register
def dismiss() -> None:
    """End the worker that waits, and give its memory back."""
    with _lock:
        workers = _waiting[:]
        _waiting.clear()
    for worker in workers:
        worker.end()


def command(order: Order) -> list[str]:
    """The command line of the child. The frozen program has no Python beside itself and so starts itself."""
    told = json.dumps(asdict(order))
    if getattr(sys, "frozen", False):
        return [sys.executable, FROZEN_SWITCH, told]
    # -P: what lies in the current folder is not ours to run.
    return [sys.executable, "-P", "-m", "memdefrag.analysis.embedding.child", told]


def run_if_asked(arguments: Sequence[str]) -> None:
    """Be the child when the frozen program was started as one; ends the process then.

    Args:
        arguments: the command line without the program's name.
    """
    if len(arguments) == 2 and arguments[0] == FROZEN_SWITCH:
        from memdefrag.analysis.embedding import child as embedding_child

        sys.exit(embedding_child.main(json.loads(arguments[1])))


def _environment(order: Order) -> dict[str, str]:
    ours = str(Path(__file__).resolve().parents[3])
    paths = os.pathsep.join(filter(None, (ours, os.environ.get("PYTHONPATH"))))
    # Threads that wait for each other at full speed for long would, at low priority beside other programs, mostly wait;
    # those that go to sleep at once lose a fifth where nothing else runs.
    threads = {"GOMP_SPINCOUNT": "30000"} | ({"OMP_NUM_THREADS": str(order.threads)} if order.threads else {})
    return {**os.environ, **OFFLINE, **threads, "PYTHONPATH": paths}


def _read(stream: IO[bytes], answers: queue.Queue[tuple[dict[str, Any], bytes] | None]) -> None:
    for line in stream:
        if not line.startswith(b"{"):
            # Something that this Python says when it starts.
            continue
        told = json.loads(line)
        payload = stream.read(told["bytes"])
        if len(payload) == told["bytes"]:
            answers.put((told, payload))
    answers.put(None)
