"""What runs in a process of its own, which dies (or whose disk fails) at a named point."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from memdefrag.base import fsops
from memdefrag.base.errors import MemdefragError
from memdefrag.base.fsops import ExchangeUnsupported
from memdefrag.base.progress import Progress
from memdefrag.base.settings import DATA_DIR_VARIABLE
from memdefrag.engine import commit, in_use, recover
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups.create import create
from memdefrag.model.address import Address
from memdefrag.model.plan import Plan
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.chroma import child, runner
from memdefrag.stores.registry import open_store

DONE, TOLD = 0, 3
"""Exit codes: it went through; it failed with an error made for a person."""

PRELOAD = ["tests.faults.worker", "memdefrag.stores.memory_export", "memdefrag.stores.jsonl", "chromadb"]
"""What every worker needs; imported once by the server that they are forked from."""

REHEARSAL = ApplyOptions(dry_run=True, confirm_shrink=True)


def run(data_dir: str, fault: str, deed: Callable[[], object]) -> None:
    """Do the deed under a fault (as `fsops.fault_point` reads it; empty: none)."""
    os.environ[DATA_DIR_VARIABLE] = data_dir
    os.environ[fsops.FAULT_VARIABLE] = fault
    fsops._points_passed = 0
    try:
        deed()
    except MemdefragError as error:
        print(f"{type(error).__name__}: {error.message} {error.safe}", file=sys.stderr)
        sys.exit(TOLD)


def carry_out(plan: Plan) -> None:
    apply(plan, ApplyOptions(confirm_shrink=True))


def carry_out_in_chroma(plan: Plan) -> None:
    """As `carry_out`; the library's process is forked from here, which saves its start."""
    runner.start = lambda work, python: None
    runner.run = _run_forked
    carry_out(plan)


def carry_out_without_exchange(deed: Callable[[Plan], None], plan: Plan) -> None:
    """As on a file system that cannot exchange two names in one step."""

    def refuse(one: Path, other: Path) -> None:
        fsops.fault_point("exchange refused")
        raise ExchangeUnsupported

    commit.exchange = refuse
    deed(plan)


def carry_out_unseen(plan: Plan) -> None:
    """As when whoever holds the store cannot be seen from here: another user's process, another container."""
    in_use.holders = lambda paths: []
    commit.LOCK_DEADLINE_SECONDS = 0.3
    carry_out(plan)


def unforeseen(plan: Plan) -> None:
    """As when the space that was free is taken by somebody else."""
    shutil.disk_usage = lambda path: SimpleNamespace(free=1 << 40)
    carry_out(plan)


def back_up(address: Address, reason: str = "by hand") -> None:
    with open_store(address) as store:
        create(store, read_snapshot(store), reason, Progress())


def settle(path: Path) -> None:
    """What the next start of the program does, and `recover PATH`."""
    recover.recover_all()
    recover.recover_path(path)


def _run_forked(work: runner.Work, python: Path | None, progress: Progress) -> runner.Result:
    pid = os.fork()
    if pid == 0:
        os.environ.pop(fsops.FAULT_VARIABLE, None)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(child.main(work.folder))
    _, status = os.waitpid(pid, 0)
    return runner._result(work.folder, os.waitstatus_to_exitcode(status))
