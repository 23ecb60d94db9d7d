"""A server whose libc fails on order: started with `shim.c` preloaded, it forks one process for each order.

Orders are pickles on stdin: (data folder, call that fails, errno, sticky, whether only the library's process is
struck, deed). The answer is a line on stdout: exit code and number of calls passed.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

Deed = Callable[[], object]


class Ended(NamedTuple):
    """How a deed ended, and how many calls changed the disk until then."""

    code: int
    calls: int


class Server:
    """The server as the test sees it."""

    def __init__(self, shim: Path) -> None:
        environment = {**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.preloaded"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def do(self, data_dir: Path, deed: Deed, at: int = 0, error: int = 0, *, sticky: bool, library: bool) -> Ended:
        """Do the deed in a process whose `at`-th call fails (0: none)."""
        assert self._process.stdin and self._process.stdout
        pickle.dump((str(data_dir), at, error, sticky, library, deed), self._process.stdin)
        self._process.stdin.flush()
        code, calls = self._process.stdout.readline().split()
        return Ended(int(code), int(calls))


def main() -> None:
    """Serve until stdin ends."""
    from tests.faults import worker

    for name in worker.PRELOAD:
        __import__(name)
    while True:
        try:
            order = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _obey(writing, *order)
        os.close(writing)
        _, status = os.waitpid(pid, 0)
        with os.fdopen(reading) as counted:
            calls = counted.read().split()
        print(os.waitstatus_to_exitcode(status), calls[-1] if calls else 0, flush=True)


def _obey(pipe: int, data_dir: str, at: int, error: int, sticky: bool, library: bool, deed: Deed) -> None:
    """Be the process that is struck."""
    from memdefrag.stores.chroma import child
    from tests.faults import worker

    shim, code = ctypes.CDLL(None), worker.DONE

    def armed_main(work: Path, honest: Callable[[Path], int] = child.main) -> int:
        shim.faults_arm(at, error, sticky)
        ended = honest(work)
        os.write(pipe, b"%d\n" % shim.faults_passed())
        return ended

    if library:
        child.main = armed_main
    else:
        shim.faults_arm(at, error, sticky)
    try:
        worker.run(data_dir, "", deed)
    except SystemExit as ended:
        code = int(str(ended.code))
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if not library:
        os.write(pipe, b"%d\n" % shim.faults_passed())
    os._exit(code)


if __name__ == "__main__":
    main()
