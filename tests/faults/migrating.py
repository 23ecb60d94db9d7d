"""A migration in a process of its own that is killed, with all that it started, and gone on with."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field

from memdefrag.base.progress import Progress
from memdefrag.engine import recover, resume
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.in_place import same
from memdefrag.model.address import Address
from memdefrag.model.migration import Pace
from memdefrag.model.plan import Plan, Ref, Write
from memdefrag.model.records import Snapshot
from memdefrag.model.report import ApplyReport
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.chroma import child, runner
from memdefrag.stores.registry import open_store
from tests.faults import worker


@dataclass(frozen=True)
class Migration:
    """All of a file of JSON lines into another store.

    Attributes:
        batch: records that are written at once.
        lone: only the process itself is killed, not what it started.
    """

    source: Address
    target: Address
    batch: int
    environment: dict[str, str] = field(default_factory=dict)
    lone: bool = False

    def plan(self) -> Plan:
        """What is still to be copied."""
        source, present = content(self.source), content(self.target).by_key
        steps = [
            Write(Ref.of(record), record.key) for record in source.records if record.key not in present
        ]
        return Plan(
            source=str(self.source),
            target=str(self.target),
            settings={"reason": "migrate"},
            collections=source.collections,
            steps=tuple(steps),
        )

    def begin(self, kill_at: int | None = None) -> None:
        """Copy all; `kill_at`: until so many records were told to be done."""
        os.setpgid(0, 0)
        os.environ |= self.environment
        progress = Deadly(kill_at, lone=self.lone) if kill_at is not None else Progress()
        apply(self.plan(), ApplyOptions(pace=Pace(batch=self.batch)), progress)

    def go_on(self, progress: Progress | None = None) -> list[ApplyReport]:
        """What the command does when it is told to resume."""
        recover.recover_all()
        finished = resume.go_on(self.target, progress)
        plan = self.plan()
        rest = apply(plan, ApplyOptions(resume=True), progress) if plan.steps else None
        return [report for report in (finished, rest) if report]

    def begin_forked(self) -> None:
        """As `begin`; the library's process is forked from here, which saves its start."""
        runner.run, child.BATCH_RECORDS = worker._run_forked, self.batch
        self.begin()

    def go_on_forked(self) -> None:
        """As `go_on`, and `begin_forked`."""
        runner.run = worker._run_forked
        self.go_on()


class Deadly(Progress):
    """Kills the process when so much is written."""

    def __init__(self, kill_at: int, *, lone: bool) -> None:
        super().__init__()
        self.left, self.lone, self.counts = kill_at, lone, False

    def phase(self, name: str, total: int | None = None, *, cancellable: bool = True) -> None:
        self.counts = name.startswith("Writing")
        super().phase(name, total, cancellable=cancellable)

    def step(self, units: int = 1) -> None:
        self.left -= units if self.counts else 0
        if self.left <= 0 and self.counts:
            (os.kill if self.lone else os.killpg)(os.getpid(), signal.SIGKILL)
        super().step(units)


def content(address: Address) -> Snapshot:
    with open_store(address, must_exist=False) as store:
        return read_snapshot(store) if store.exists else Snapshot(str(address), ())


def equal(one: Snapshot, other: Snapshot) -> bool:
    """The same memories, none twice, with the same vectors."""
    whole = len(one.records) == len(one.by_key) == len(other.records)
    return whole and all(same(record, other.by_key.get(key)) for key, record in one.by_key.items())
