"""Interrupts a protocol at its fault points, lets the program recover, and judges what stands there."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue, history
from memdefrag.engine.backups import shelf
from memdefrag.engine.backups.verify import verify
from memdefrag.engine.commit import state_hash
from memdefrag.engine.journal import Job
from memdefrag.engine.verify import same_vector
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Commit
from memdefrag.model.hashing import record_hash
from memdefrag.model.records import Snapshot
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from memdefrag.stores.sqlite_safe import sidecars
from tests.faults import ledger, worker

SIDECARS = ("-wal", "-shm", "-journal")
TAIL = 12
"""So many points at the end, around the commit, are taken in a quick run; of the others every `STRIDE`-th."""
STRIDE = 13
AGAIN = 4
"""After every so many faults that left the old store, the same work is done once more."""
FAULTS = ("kill", "enospc", "eio")

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(worker.PRELOAD)


def in_child(fault: str, deed: Callable[[], object]) -> int:
    """Do the deed under a fault in a process forked from a clean server; its exit code."""
    process = _context.Process(target=worker.run, args=(str(data_dir()), fault, deed))
    process.start()
    process.join(120)
    assert process.exitcode is not None, "the child hangs"
    return process.exitcode


@dataclass
class Scene:
    """A store in a folder of its own, a data folder beside it, and what is going to be interrupted.

    Attributes:
        protocol: the table's line.
        deed: may be sent to another process.
        beside: somebody who is at the store meanwhile; the deed may then be refused.
        after: what the store holds when the deed was not disturbed; filled by the rehearsal.
    """

    protocol: str
    address: Address
    deed: Callable[[], object]
    beside: Callable[[Path], AbstractContextManager[object]] | None = None
    points: list[str] = field(default_factory=list)
    before: Snapshot = field(init=False)
    after: Snapshot = field(init=False)

    def __post_init__(self) -> None:
        self.place = self.address.path.parent
        self._pristine = self.place.with_name("pristine")
        data_dir().mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.place, self._pristine / "place")
        shutil.copytree(data_dir(), self._pristine / "data")
        self.before, self._old_hash = snapshot_of(self.address), self._hash()
        self._steps, self._backups = len(history.steps()), shelved()
        self._rehearse()

    def _rehearse(self) -> None:
        listing = self._pristine / "points"
        assert in_child(f"list:{listing}", self.deed) == worker.DONE
        self.points = listing.read_text().splitlines()
        self.after = snapshot_of(self.address)
        self._steps_after, self._backups_after = len(history.steps()), shelved()
        self.reset()

    def reset(self) -> None:
        """Everything as before."""
        for folder, name in ((self.place, "place"), (data_dir(), "data")):
            shutil.rmtree(folder)
            shutil.copytree(self._pristine / name, folder)

    def chosen(self) -> list[int]:
        """The points to strike at, counted from 1."""
        last = len(self.points)
        if ledger.ALL_POINTS:
            return list(range(1, last + 1))
        return sorted({*range(1, last + 1, STRIDE), *range(max(1, last - TAIL), last + 1)})

    def outcome(self) -> str:
        """Which of the two the store is now; raises AssertionError when it is neither, or something is left over."""
        found = snapshot_of(self.address)
        self._assert_tidy()
        steps = len(history.steps())
        for backup in shelf.all_backups():
            verify(backup, Progress())
        if self._changes_the_store and same(found, self.after):
            assert steps == self._steps_after, "the history does not tell of the write"
            return ledger.NEW
        assert same(found, self.before), "the store is neither old nor new"
        if not (self._kind is Commit.SQLITE or self._kind.is_live):
            assert self._hash() == self._old_hash, "the old store's bytes were changed"
        assert steps == self._steps, "the history tells of a write that did not happen"
        return ledger.OLD if self._changes_the_store else self._outcome_of_backups()

    def _outcome_of_backups(self) -> str:
        """For what makes or removes backups: each is there as a whole, or not at all."""
        present = shelved()
        if len(self._backups_after) < len(self._backups):
            assert self._backups_after <= present <= self._backups, "a backup is gone that was to stay"
            return ledger.NEW if present == self._backups_after else ledger.OLD
        assert present >= self._backups, "an older backup is gone"
        return ledger.NEW if len(present) == len(self._backups_after) else ledger.OLD

    def _assert_tidy(self) -> None:
        assert catalogue.unfinished_jobs() == {}
        for job in (Job(self.address.path), Job.of_live(self.address)):
            assert not job.folder.exists(), "the job's folder is left"
        allowed = {self.address.path.name} | {self.address.path.name + suffix for suffix in SIDECARS}
        left = {path.name for path in self.place.iterdir()} - allowed
        assert not left, f"left beside the store: {left}"
        told = {step.folder.name for step in history.steps()}
        written = {path.name for path in (data_dir() / "history").glob("*/*")}
        assert written == told, "a step that does not count is left in the history"
        hot = [path.name for path in sidecars(self.address.path) if path.name.endswith("-journal")]
        assert not hot, "a hot journal is left"

    @property
    def is_quick(self) -> bool:
        """Whether a try takes a tenth of a second, not a whole one: no chromadb has to write."""
        return self._kind is not Commit.DIRECTORY

    @property
    def _changes_the_store(self) -> bool:
        return not same(self.before, self.after)

    @property
    def _kind(self) -> Commit:
        with open_store(self.address) as store:
            return store.capabilities.commit

    def _hash(self) -> str:
        return state_hash(self.address.path, self._kind)


def strike(scene: Scene, fault: str, points: Iterable[int]) -> set[str]:
    """Interrupt the scene at each of the points, recover, judge; then the same work must succeed.

    Returns the outcomes. Raises AssertionError with all points where the store was broken.
    """
    outcomes: set[str] = set()
    broken: list[str] = []
    olds = 0
    for point in points:
        scene.reset()
        expected = {-signal.SIGKILL} if fault == "kill" else {worker.DONE, worker.TOLD}
        try:
            with scene.beside(scene.address.path) if scene.beside else nullcontext():
                code = in_child(f"{fault}:{point}", scene.deed)
                assert code in expected or (scene.beside and code == worker.TOLD), f"ended with {code}"
                worker.settle(scene.address.path)
            outcome = scene.outcome()
            olds += outcome == ledger.OLD
            if outcome == ledger.OLD and olds % AGAIN == 1:
                assert in_child("", scene.deed) == worker.DONE, "a second try fails"
                assert scene.outcome() == ledger.NEW, "a second try does not do it"
        except Exception as error:
            broken.append(f"{fault} at {point}, before {scene.points[point - 1]!r}: {error!r}")
            outcome = ledger.BROKEN
        ledger.count(scene.protocol, outcome)
        outcomes.add(outcome)
    assert not broken, "\n".join(broken)
    return outcomes


def strike_twice(scene: Scene, first: int, seconds: Iterable[int] | None = None) -> None:
    """Kill the scene at a point, then its recovery at each of its own points, then recover for good."""
    recovery = partial(worker.settle, scene.address.path)
    listing = scene.place.with_name("recovery points")
    listing.unlink(missing_ok=True)
    scene.reset()
    in_child(f"kill:{first}", scene.deed)
    in_child(f"list:{listing}", recovery)
    found = len(listing.read_text().splitlines()) if listing.exists() else 0
    for second in range(1, found + 1) if seconds is None else [each for each in seconds if each <= found]:
        scene.reset()
        in_child(f"kill:{first}", scene.deed)
        assert in_child(f"kill:{second}", recovery) == -signal.SIGKILL
        try:
            worker.settle(scene.address.path)
            outcome = scene.outcome()
        except Exception as error:
            ledger.count(f"recovery of {scene.protocol}", ledger.BROKEN)
            raise AssertionError(f"killed at {first}, recovery at {second}: {error!r}") from error
        ledger.count(f"recovery of {scene.protocol}", outcome)


def shelved() -> set[str]:
    """Ids of all backups on the shelf."""
    return {backup.id for backup in shelf.all_backups()}


def snapshot_of(address: Address) -> Snapshot:
    with open_store(address) as store:
        return read_snapshot(store)


def same(one: Snapshot, other: Snapshot) -> bool:
    """The same memories, vectors, links and collections."""
    if one.by_key.keys() != other.by_key.keys() or one.relations != other.relations:
        return False
    if [(info.name, info.count, info.metric) for info in one.collections] != [
        (info.name, info.count, info.metric) for info in other.collections
    ]:
        return False
    pairs = [(record, other.by_key[key]) for key, record in one.by_key.items()]
    return all(record_hash(a) == record_hash(b) and same_vector(a.embedding, b.embedding) for a, b in pairs)


