"""Starts `child` in a Python of choice, hands it a work folder and watches over it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from memdefrag.base.errors import NoSpace, WriterFailed
from memdefrag.base.progress import Progress
from memdefrag.base.scratch import scratch_folder
from memdefrag.model.records import Metadata, Vector
from memdefrag.stores.chroma.tables import DEFAULT_DATABASE, DEFAULT_TENANT

FROZEN_SWITCH = "--chroma-child"
SILENCE_SECONDS = 900.0
"""A child that reports nothing for so long hangs. One batch takes seconds, opening a large old folder minutes."""

EXIT_SECONDS = 30.0
LINE_CHARACTERS = 300
_FULL = ("disk is full", "no space left", "code: 13)", "sqlite_full")
LOOK_SECONDS = 0.1
_KEPT = (
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "SYSTEMDRIVE",
    "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "OMP_NUM_THREADS",
    "MEMDEFRAG_CHROMA_BATCH",
)  # fmt: skip
"""Environment variables a foreign Python gets from us. Nothing that would make it find our modules or libraries."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the child reports.

    Attributes:
        chromadb: release that did the work.
        counts: records of each collection of the order afterwards.
        answers: for a query: per probe its nearest records, as (id, distance).
        warnings: what could not be carried over, one sentence each.
    """

    chromadb: str
    counts: list[int]
    answers: list[list[tuple[str, float]]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Work:
    """A work folder while it is filled: records one by one, then the order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._lines: IO[str] = (folder / "records.jsonl").open("w", encoding="utf-8")
        self._vectors: IO[bytes] = (folder / "vectors.f32").open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._vectors.close()
        if self.process:
            _end(self.process)

    def add(
        self,
        collection: int,
        id: str,
        vector: Vector,
        *,
        new: bool = False,
        document: str | None = None,
        metadata: Metadata | None = None,
        uri: str | None = None,
    ) -> None:
        """Append a record of the collection with that number in the order."""
        data = np.ascontiguousarray(vector, "<f4").tobytes()
        line = {
            "collection": collection,
            "id": id,
            "new": new,
            "dimension": len(data) // 4,
            "document": document,
            "metadata": metadata,
            "uri": uri,
        }
        self._lines.write(json.dumps(line) + "\n")
        self._vectors.write(data)
        self.count += 1

    def order(self, do: str, path: Path, collections: list[dict[str, Any]], **more: Any) -> None:
        """Say what is to be done; completes the folder."""
        self._lines.close()
        self._vectors.close()
        told = {"do": do, "path": str(path), "create": [], "collections": collections, **more}
        (self.folder / "work.json").write_text(json.dumps(told), encoding="utf-8")


@contextmanager
def work_folder() -> Iterator[Work]:
    """A new work folder, removed afterwards."""
    with scratch_folder() as folder, Work(folder) as work:
        yield work


_ahead: list[tuple[Path | None, Work]] = []
"""Work folders whose child was started before anybody had an order for it, and their Pythons."""


@contextmanager
def ahead(python: Path | None) -> Iterator[None]:
    """A chromadb is going to be asked: a child loads the library meanwhile. One that is not asked ends.

    Raises:
        WriterFailed: as `start`.
    """
    with work_folder() as work:
        start(work, python)
        _ahead.append((python, work))
        try:
            yield
        finally:
            if (python, work) in _ahead:
                _ahead.remove((python, work))


@contextmanager
def started(python: Path | None) -> Iterator[Work]:
    """A new work folder with its child, removed afterwards; one of `ahead`, where there is one.

    Raises:
        WriterFailed: as `start`.
    """
    waiting = next((each for each in _ahead if each[0] == python), None)
    if waiting:
        _ahead.remove(waiting)
        yield waiting[1]
        return
    with work_folder() as work:
        start(work, python)
        yield work


def place(collection: str) -> dict[str, Any]:
    """Where the child finds a collection that the reader calls so (`tables.Collection.name`)."""
    home, _, name = collection.rpartition("/")
    tenant, _, database = home.partition("/")
    where = {"tenant": tenant or DEFAULT_TENANT, "database": database or DEFAULT_DATABASE, "name": name}
    return {**where, "delete": [], "new": False}


def start(work: Work, python: Path | None) -> None:
    """Start the child before its order is complete: loading chromadb takes as long as filling a work folder.

    Args:
        python: as `run` has it.

    Raises:
        WriterFailed: there is no such Python.
    """
    with (work.folder / "stderr.txt").open("wb") as stderr:
        try:
            work.process = subprocess.Popen(
                command(python, work.folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=work.folder,
                env=environment(),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise WriterFailed(f"{python or sys.executable} cannot be started: {error.strerror}.") from error


def run(work: Work, python: Path | None, progress: Progress) -> Result:
    """Let the child carry out the order of a work folder; counts its progress.

    Args:
        python: the interpreter whose chromadb is used; None: the built-in one. That of `start`, where it waits.

    Raises:
        WriterFailed: it refused, crashed or hung; the message says why.
        Cancelled: the person stopped it.
    """
    if work.process is None:
        start(work, python)
    process, work.process = work.process, None
    assert process is not None
    assert process.stdin is not None
    with process:
        # One that has ended already is told of by `_result`.
        with contextlib.suppress(OSError):
            os.write(process.stdin.fileno(), b"\n")
        _follow(process, progress)
    return _result(work.folder, process.returncode)


def command(python: Path | None, work: Path) -> list[str]:
    """The command line of the child. The frozen program has no Python beside itself and so starts itself."""
    if python is None and getattr(sys, "frozen", False):
        return [sys.executable, FROZEN_SWITCH, str(work)]
    return [str(python or sys.executable), str(Path(__file__).with_name("child.py")), str(work)]


def environment() -> dict[str, str]:
    """The environment of a foreign Python."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONDONTWRITEBYTECODE": "1"}


def run_if_asked(arguments: list[str]) -> bool:
    """Be the child when the frozen program was started as one (``--chroma-child FOLDER``); ends the process then.

    Args:
        arguments: the command line without the program's name.
    """
    if len(arguments) != 2 or arguments[0] != FROZEN_SWITCH:
        return False
    from memdefrag.stores.chroma import child

    sys.exit(child.main(Path(arguments[1]), waits=True))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a child that waits for an order which does not come."""
    process.kill()
    process.communicate()


def _follow(process: subprocess.Popen[bytes], progress: Progress) -> None:
    """Count what the child reports until it ends, and make sure that it does."""
    lines: queue.Queue[bytes | None] = queue.Queue()
    assert process.stdout is not None
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        _count(lines, progress)
        process.wait(EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        # The result is written after the folder was closed, so an end that never comes loses nothing.
        return
    finally:
        process.kill()
        reader.join(EXIT_SECONDS)


def _count(lines: queue.Queue[bytes | None], progress: Progress) -> None:
    heard = time.monotonic()
    while True:
        try:
            line = lines.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            progress.check()
            if time.monotonic() - heard > SILENCE_SECONDS:
                raise WriterFailed(
                    f"The chromadb process reported nothing for {SILENCE_SECONDS / 60:.0f} minutes and was stopped."
                ) from None
            continue
        if line is None:
            return
        heard = time.monotonic()
        progress.step(json.loads(line)["done"])


def _read(stream: IO[bytes], lines: queue.Queue[bytes | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _result(folder: Path, status: int) -> Result:
    report = folder / "result.json"
    if not report.exists():
        ended = f"crashed (signal {-status})" if status < 0 else f"ended with status {status}"
        raise WriterFailed(f"The chromadb process {ended} without a result{_last_line(folder)}.")
    told = json.loads(report.read_text(encoding="utf-8"))
    if not told["ok"]:
        if any(words in told["error"].lower() for words in _FULL):
            raise NoSpace(f"The disk became full while chromadb wrote: {told['error']}")
        raise WriterFailed(f"chromadb could not do it: {told['error']}")
    answers = [[(id, distance) for id, distance in answer] for answer in told["answers"] or []]
    return Result(told["chromadb"], told["counts"], answers, told["warnings"])


def _last_line(folder: Path) -> str:
    """The last thing the child printed, for the message."""
    lines = (folder / "stderr.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"; it last said: {said[:LINE_CHARACTERS]}" if said else ""
