"""The protocols that are interrupted: each makes a `Scene` in an empty folder."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from pathlib import Path

from memdefrag.engine import history
from memdefrag.engine.apply import apply
from memdefrag.engine.backups import retention
from memdefrag.model.address import Address
from memdefrag.model.plan import Plan, StoreStep
from tests.engine.stores import make_store, merge_plan
from tests.faults import worker
from tests.faults.harness import Scene

MAKE_CHROMA = """
import sys
import chromadb, numpy
client = chromadb.PersistentClient(sys.argv[1])
vectors = numpy.random.default_rng(1).normal(size=(24, 8)).astype("f4")
for name, many in (("memories", 20), ("others", 4)):
    made = client.create_collection(name, metadata={"hnsw:space": "cosine", "hnsw:sync_threshold": 10,
                                    "hnsw:batch_size": 5}, embedding_function=None)
    for start in range(0, many, 4):
        numbers = range(start, start + 4)
        made.add(ids=[f"id{n:03}" for n in numbers], embeddings=vectors[start:start + 4],
                 documents=[f"Fact number {n // 2}" for n in numbers],
                 metadatas=[{"number": n, "tags": "a,b"} for n in numbers])
client.close()
"""

READ = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM memories").fetchone()
print(flush=True)
sys.stdin.read()
"""


def sqlite(place: Path) -> Scene:
    address = make_store("memory-export", place)
    return Scene("SQLite file", address, partial(worker.carry_out, merge_plan(address)))


def sqlite_wal(place: Path) -> Scene:
    """In WAL mode, with a log that a killed writer left."""
    address = make_store("memory-export", place)
    leave_log(address.path)
    return Scene("SQLite file with a log left by a crash", address, partial(worker.carry_out, merge_plan(address)))


def sqlite_with_reader(place: Path) -> Scene:
    """In WAL mode and open in a program that cannot be seen from here."""
    address = make_store("memory-export", place)
    leave_log(address.path)
    deed = partial(worker.carry_out_unseen, merge_plan(address))
    return Scene("SQLite file, WAL, with an open reader", address, deed, beside=held_open)


def sqlite_with_idle_reader(place: Path) -> Scene:
    """In the default mode and open, without a lock, in a program that cannot be seen from here."""
    address = make_store("memory-export", place)
    deed = partial(worker.carry_out_unseen, merge_plan(address))
    return Scene("SQLite file with an open reader", address, deed, beside=held_open)


def file(place: Path) -> Scene:
    address = make_store("jsonl", place)
    return Scene("plain file", address, partial(worker.carry_out, merge_plan(address)))


def file_without_exchange(place: Path) -> Scene:
    address = make_store("jsonl", place)
    deed = partial(worker.carry_out_without_exchange, worker.carry_out, merge_plan(address))
    return Scene("plain file, no exchange of names", address, deed)


def directory(place: Path) -> Scene:
    address = make_chroma(place)
    return Scene("Chroma folder", address, partial(worker.carry_out_in_chroma, merge_plan(address)))


def directory_without_exchange(place: Path) -> Scene:
    address = make_chroma(place)
    deed = partial(worker.carry_out_without_exchange, worker.carry_out_in_chroma, merge_plan(address))
    return Scene("Chroma folder, no exchange of names", address, deed)


def restore(place: Path, kind: str = "memory-export") -> Scene:
    address = make_store(kind, place)
    backup = apply(merge_plan(address)).backup
    plan = Plan(source=f"backup:{backup}", target=str(address), store_steps=(StoreStep.REPLACE,))
    return Scene(f"restore of a backup ({kind})", address, partial(worker.carry_out, plan))


def undo(place: Path, kind: str = "jsonl") -> Scene:
    address = make_store(kind, place)
    apply(merge_plan(address))
    plan = history.undo_plan(history.latest(address))
    return Scene(f"undo ({kind})", address, partial(worker.carry_out, plan))


def backup(place: Path) -> Scene:
    address = make_store("memory-export", place)
    return Scene("making a backup", address, partial(worker.back_up, address))


def prune(place: Path) -> Scene:
    """Two backups more than the rules keep."""
    address = make_store("jsonl", place, 4)
    for _ in range(13):
        worker.back_up(address, "before optimize")
    return Scene("pruning backups", address, retention.prune)


def in_place(place: Path) -> Scene:
    """A folder with one file for each memory, written live."""
    address = make_store("hdev", place)
    return Scene("folder of single memories, in place", address, partial(worker.carry_out, merge_plan(address)))


PROTOCOLS: tuple[Callable[[Path], Scene], ...] = (
    sqlite,
    sqlite_wal,
    sqlite_with_reader,
    sqlite_with_idle_reader,
    file,
    file_without_exchange,
    directory,
    directory_without_exchange,
    restore,
    partial(restore, kind="jsonl"),
    undo,
    partial(undo, kind="memory-export"),
    in_place,
    backup,
    prune,
)


def name_of(protocol: Callable[[Path], Scene]) -> str:
    """What pytest calls it."""
    if isinstance(protocol, partial):
        return "-".join([protocol.func.__name__, *protocol.keywords.values()])
    return protocol.__name__


def make_chroma(place: Path) -> Address:
    """A small Chroma folder of two collections, made by the real library."""
    return Address("chroma", shutil.copytree(_chroma(), place / "chroma_db").as_posix())


@cache
def _chroma() -> Path:
    root = Path(tempfile.mkdtemp(prefix="memdefrag-faults-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    subprocess.run([sys.executable, "-c", MAKE_CHROMA, str(root / "chroma_db")], check=True)
    return root / "chroma_db"


def leave_log(path: Path) -> None:
    """Put the database into WAL mode and let a writer die, so that its log keeps a committed change."""
    dying = (
        "import os, signal, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode=WAL');"
        "c.execute('UPDATE memories SET id = id'); c.commit(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", dying, str(path)], check=False)
    assert path.with_name(path.name + "-wal").stat().st_size


def held_open(path: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A process that has the database open and has read from it, until the end of the block."""
    return holding(READ, path)


@contextmanager
def holding(script: str, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs a script about the store; it prints a line when it holds it, then reads stdin."""
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout and process.stdout.readline()
        try:
            yield process
        finally:
            process.stdin.close()
