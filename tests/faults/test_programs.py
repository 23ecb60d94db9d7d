"""Other programs, and our own as people start it: killed, stopped with Ctrl-C, two at once, holding the store."""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from memdefrag.base import fsops
from memdefrag.base.errors import NoSpace, StoreInUse, WriterFailed
from memdefrag.base.settings import data_dir, resource
from memdefrag.engine import catalogue, in_use
from memdefrag.engine.apply import apply
from memdefrag.engine.commit import state_hash
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Commit
from tests.engine.stores import make_store, merge_plan
from tests.faults import ledger, protocols
from tests.faults.harness import same, snapshot_of

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="needs signals"), pytest.mark.timeout(3000)]

ADD = """
import random, sys
import chromadb
client = chromadb.PersistentClient(sys.argv[1])
collection = client.get_collection("memories", embedding_function=None)
print(flush=True)
for batch in range(10_000):
    ids = [f"new {batch}-{n}" for n in range(5)]
    vectors = [[random.gauss() for _ in range(8)] for _ in ids]
    collection.add(ids=ids, documents=ids, embeddings=vectors)
    print(batch, flush=True)
"""
HOLD_CHROMA = """
import sys
import chromadb
client = chromadb.PersistentClient(sys.argv[1])
client.get_collection("memories", embedding_function=None).count()
print(flush=True)
sys.stdin.read()
"""
HOLD_IN_TRANSACTION = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.case(5)
@pytest.mark.parametrize("seed", range(12 if ledger.ALL_POINTS else 2))
def test_a_killed_assistant_loses_nothing_it_was_told_is_saved(place: Path, seed: int) -> None:
    address = protocols.make_chroma(place)
    before = snapshot_of(address)
    with subprocess.Popen([sys.executable, "-c", ADD, str(address.path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout and writer.stdout.readline() == b"\n"
        time.sleep(random.Random(seed).uniform(0.05, 0.8))
        writer.kill()
        acknowledged = [int(line) for line in writer.stdout.read().split(b"\n")[:-1]]
    found = snapshot_of(address).by_key
    saved = {key.id for key in found} - {key.id for key in before.by_key}
    promised = {f"new {batch}-{n}" for batch in acknowledged for n in range(5)}
    assert promised <= saved
    assert len(saved - promised) in (0, 5)
    try:
        report = apply(merge_plan(address))
    except (WriterFailed, NoSpace):
        # Killed while it wrote its index files, it has left some that chromadb itself can no longer use.
        assert snapshot_of(address).by_key == found
        return
    assert (report.merged, len(snapshot_of(address))) == (3, len(found) - 3)


@pytest.mark.case(43)
@pytest.mark.parametrize("seed", range(8 if ledger.ALL_POINTS else 1))
def test_a_crash_of_our_own_chromadb_process_is_reported(place: Path, seed: int) -> None:
    address = protocols.make_chroma(place)
    before, bytes_before = snapshot_of(address), state_hash(address.path, Commit.DIRECTORY)
    plan = merge_plan(address)
    with crashing_child(seed * 0.12) as crashed:
        try:
            apply(plan)
        except WriterFailed as failed:
            assert "signal 11" in failed.message
            assert crashed.is_set()
            assert state_hash(address.path, Commit.DIRECTORY) == bytes_before
        else:
            # A late signal may come when the process has done its work; the first one comes at once.
            assert seed > 0
            assert len(snapshot_of(address)) == len(before) - 3
    assert [path.name for path in place.iterdir()] == [address.path.name]
    assert catalogue.unfinished_jobs() == {}
    apply(plan)
    assert len(snapshot_of(address)) == len(before) - 3


@contextmanager
def crashing_child(after: float) -> Iterator[threading.Event]:
    """Sends SIGSEGV to each chromadb process of ours, so many seconds after it was seen."""
    crashed, stop = threading.Event(), threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            for process in psutil.Process().children():
                try:
                    if any(part.endswith("child.py") for part in process.cmdline()):
                        time.sleep(after)
                        process.send_signal(signal.SIGSEGV)
                        crashed.set()
                except psutil.Error:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield crashed
    finally:
        stop.set()
        thread.join()


@pytest.mark.case(17)
@pytest.mark.parametrize("holder", ["transaction", "reader", "chroma"])
def test_a_store_that_a_program_holds_is_left_and_the_program_named(place: Path, holder: str) -> None:
    scripts = {"transaction": HOLD_IN_TRANSACTION, "reader": protocols.READ, "chroma": HOLD_CHROMA}
    address = protocols.make_chroma(place) if holder == "chroma" else make_store("memory-export", place)
    plan, before = merge_plan(address), snapshot_of(address)
    with protocols.holding(scripts[holder], address.path) as process, pytest.raises(StoreInUse) as refused:
        apply(plan)
    assert f"process {process.pid}" in refused.value.message
    assert same(snapshot_of(address), before)
    assert catalogue.unfinished_jobs() == {}
    apply(plan)


@pytest.mark.case(17)
def test_a_transaction_of_somebody_unseen_is_not_waited_for_for_ever(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = make_store("memory-export", place)
    plan, before = merge_plan(address), snapshot_of(address)
    monkeypatch.setattr(in_use, "holders", lambda paths: [])
    with protocols.holding(HOLD_IN_TRANSACTION, address.path), pytest.raises(StoreInUse):
        apply(plan)
    assert same(snapshot_of(address), before)


class Paced:
    """The program as people start it, which waits at each of its fault points until it is told to go on."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        folder.mkdir(exist_ok=True)
        self.points = 0
        self._fifo = folder / "points"
        os.mkfifo(self._fifo)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "memdefrag", *map(str, arguments)],
            env=os.environ | {fsops.FAULT_VARIABLE: f"list:{self._fifo}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def go(self, points: int) -> None:
        """Let it pass so many points at least; it waits at the next."""
        while self.points < points and self._lets_one_pass():
            continue

    def end(self) -> tuple[int, str]:
        """Let it run to its end; exit code and stdout."""
        while self._lets_one_pass():
            continue
        out, _ = self.process.communicate()
        return self.process.returncode, out.decode()

    def _lets_one_pass(self) -> bool:
        """Whether there was another point."""
        handle = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK)
        try:
            while not select.select([handle], [], [], 0.02)[0]:
                if self.process.poll() is not None:
                    return False
            # Who comes next finds another pipe, and waits there; nobody meets this one closed.
            following = self._fifo.with_name("following")
            os.mkfifo(following)
            following.replace(self._fifo)
            os.set_blocking(handle, True)
            while data := os.read(handle, 4096):
                self.points += data.count(b"\n")
        finally:
            os.close(handle)
        return True


OPTIMIZE = ("optimize", "--auto", "sure", "--no-model", "--json", "--confirm-shrink")


@pytest.fixture
def demo(place: Path) -> Address:
    return Address("jsonl", shutil.copy(resource("demo.jsonl"), place))


@pytest.mark.case(42)
def test_ctrl_c_stops_before_the_commit_and_finishes_after_it(demo: Address, place: Path, tmp_path: Path) -> None:
    pristine = demo.path.read_bytes()
    rehearsal = Paced(tmp_path, *OPTIMIZE, demo.path)
    assert rehearsal.end()[0] == 0
    after = {record.text for record in snapshot_of(demo).records}
    codes = set()
    points = rehearsal.points
    some = (1, points // 2, points - 12, points - 2)
    for point in range(1, points, 3) if ledger.ALL_POINTS else some:
        demo.path.write_bytes(pristine)
        shutil.rmtree(data_dir(), ignore_errors=True)
        program = Paced(tmp_path / f"at {point}", *OPTIMIZE, demo.path)
        program.go(point)
        program.process.send_signal(signal.SIGINT)
        code, out = program.end()
        ledger.count("Ctrl-C in the program", ledger.OLD if code else ledger.NEW)
        assert code in (0, 130), out
        if code:
            assert demo.path.read_bytes() == pristine
        else:
            assert {record.text for record in snapshot_of(demo).records} == after
        assert ("error" in json.loads(out)) == (code == 130)
        assert [path.name for path in place.iterdir()] == [demo.path.name]
        assert catalogue.unfinished_jobs() == {}
        codes.add(code)
    assert codes == {0, 130}


@pytest.mark.case(19)
def test_the_second_of_two_programs_is_refused(demo: Address, tmp_path: Path) -> None:
    first = Paced(tmp_path, *OPTIMIZE, demo.path)
    journal = Path(f"{demo.path}.memdefrag", "journal")
    while not (journal.exists() and b"backed-up" in journal.read_bytes()):
        first.go(first.points + 1)
    command = [sys.executable, "-m", "memdefrag", *OPTIMIZE, str(demo.path)]
    second = subprocess.run(command, capture_output=True, check=False)
    assert first.end()[0] == 0
    assert second.returncode == StoreInUse.exit_code
    assert str(first.process.pid) in json.loads(second.stdout)["error"]["message"]
    assert catalogue.unfinished_jobs() == {}


@pytest.mark.case(19)
def test_what_a_dead_program_left_is_taken_over(demo: Address, tmp_path: Path) -> None:
    first = Paced(tmp_path, *OPTIMIZE, demo.path)
    while not Path(f"{demo.path}.memdefrag", "journal").exists():
        first.go(first.points + 1)
    first.process.kill()
    first.process.communicate()
    second = subprocess.run(
        [sys.executable, "-m", "memdefrag", *OPTIMIZE, str(demo.path)], capture_output=True, check=False
    )
    assert second.returncode == 0, second.stderr
    assert catalogue.unfinished_jobs() == {}
    assert [path.name for path in demo.path.parent.iterdir()] == [demo.path.name]
