"""Who works on a job: a lock that its process holds until the job is tidied up, or the process dies.

The lock is a file of the data folder; the system frees the lock of a process that died. A job that was begun
with another data folder is judged by its process instead: a path in somebody else's journal is not to be
opened.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from memdefrag.base.errors import StoreInUse
from memdefrag.base.fsops import make_private_dir
from memdefrag.base.settings import LOCK_DEADLINE_SECONDS, data_dir

CLOCK_TOLERANCE = 2.0


class Owner:
    """This process as the owner of one job."""

    def __init__(self, job_id: str) -> None:
        self._lock = _lock(make_private_dir(_folder()) / f"{job_id}.lock")
        self._lock.acquire()

    @property
    def facts(self) -> dict[str, Any]:
        """What tells others, later, whether somebody still works on the job."""
        process = psutil.Process()
        return {"pid": process.pid, "process_created": process.create_time(), "lock": self._lock.lock_file}

    def leave(self) -> None:
        """Free the lock and remove its file. Doing so twice is fine."""
        self._lock.release(force=True)
        Path(self._lock.lock_file).unlink(missing_ok=True)


def works(facts: Mapping[str, Any]) -> bool:
    """Whether somebody, maybe this very process, still works on the job of these facts."""
    place = Path(str(facts.get("lock", "")))
    if place.parent != _folder():
        return process_lives(facts)
    if not place.exists():
        return False
    try:
        with _lock(place):
            return False
    except Timeout:
        return True


@contextmanager
def settling(place: Path) -> Iterator[None]:
    """Let only one process at a time bring to an end what a dead one left there.

    Raises:
        StoreInUse: another one is at it, and takes long.
    """
    # A hash: what a stranger's journal says is no name for a file. The file stays, or two could lock two of that name.
    name = hashlib.sha256(os.fsencode(place)).hexdigest()[:16]
    lock = _lock(make_private_dir(_folder()) / f"settling-{name}.lock")
    try:
        lock.acquire(timeout=LOCK_DEADLINE_SECONDS)
    except Timeout:
        raise StoreInUse(f"Another memdefrag is tidying up in {place}.", todo="Wait for it.") from None
    try:
        yield
    finally:
        lock.release()


def _folder() -> Path:
    return data_dir() / "locks"


def _lock(place: Path) -> FileLock:
    return FileLock(place, timeout=0, thread_local=False)


def process_lives(facts: Mapping[str, Any]) -> bool:
    """Whether the process of these facts is another one that still runs, as far as that can be told."""
    pid = facts.get("pid")
    if pid is None or pid == os.getpid():
        return False
    try:
        process = psutil.Process(pid)
        # The time of a process's start moves when the clock is set; a memdefrag is taken for the one that began.
        moved = abs(process.create_time() - facts.get("process_created", 0.0))
        return moved < CLOCK_TOLERANCE or "memdefrag" in " ".join(process.cmdline())
    except psutil.Error:
        return False
