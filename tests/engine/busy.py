"""Programs that go on using a store while a test works with it: real processes, real libraries.

    python tests/engine/busy.py chroma FOLDER | wal FILE | lock FILE | idle FILE
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READY = "ready"
PAUSE_SECONDS = 0.05


@contextmanager
def busy(task: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run one of the tasks below until the block ends; it has the store open when the block begins."""
    command = [sys.executable, __file__, task, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == READY
            yield process
        finally:
            process.kill()


def chroma(path: str) -> None:
    """Keep a Chroma folder open and add to it twenty times a second."""
    import chromadb
    import numpy as np

    collection = chromadb.PersistentClient(path).get_collection("memories", embedding_function=None)
    rng = np.random.default_rng(3)
    number = 0
    while True:
        ids = [f"new-{number + each:06}" for each in range(50)]
        collection.add(ids=ids, embeddings=rng.normal(size=(50, 8)).astype(np.float32), documents=ids)
        number += len(ids)
        if number == 100:
            print(READY, flush=True)
        time.sleep(PAUSE_SECONDS)


def wal(path: str) -> None:
    """Keep a database open with a log and insert two rows at a time."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    [columns] = [[row[1] for row in connection.execute("PRAGMA table_info(memories)")]]
    rest = ", ".join(name for name in columns if name != "id")
    number = 0
    while True:
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            connection.execute(
                f"INSERT INTO memories (id, {rest}) SELECT ?, {rest} FROM memories LIMIT 1", (f"new-{number:06}",)
            )
            number += 1
        connection.execute("COMMIT")
        if number == 20:
            print(READY, flush=True)
        time.sleep(PAUSE_SECONDS / 10)


def lock(path: str) -> None:
    """Hold a write lock and never let go."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    idle_for_ever()


def idle(path: str) -> None:
    """Hold the file open and do nothing."""
    with open(path, "rb"):
        idle_for_ever()


def idle_for_ever() -> None:
    print(READY, flush=True)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    {"chroma": chroma, "wal": wal, "lock": lock, "idle": idle}[sys.argv[1]](sys.argv[2])
