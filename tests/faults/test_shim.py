"""The disk fails below every library: in Python, in SQLite, in chromadb; once, or from then on."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memdefrag.base.settings import data_dir
from tests.faults import ledger, protocols, worker
from tests.faults.harness import Scene
from tests.faults.preloaded import Server

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs LD_PRELOAD"),
    pytest.mark.timeout(3000),
    pytest.mark.case(6, 8),
]

SOURCE = Path(__file__).with_name("shim.c")
QUICK = 8
"""So many calls of each way to fail are struck in a quick run."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    compiler = shutil.which("gcc")
    if not compiler:
        pytest.skip("gcc is not installed: the disk was NOT made to fail inside SQLite and chromadb")
    shim = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", str(shim), str(SOURCE), "-ldl"], check=True)
    with Server(shim) as started:
        yield started


def spread(calls: int, ways: int, *, quick: bool) -> range:
    if ledger.ALL_POINTS:
        return range(1, calls + 1, 1 if quick else ways)
    return range(1, calls + 1, max(1, calls // QUICK * ways // 2))


@pytest.mark.parametrize(
    ("protocol", "library"),
    [(protocols.sqlite, False), (protocols.sqlite_wal, False), (protocols.file, False), (protocols.directory, True)],
    ids=["sqlite", "sqlite_wal", "file", "inside_chromadb"],
)
def test_the_disk_fails_below_every_library(
    server: Server, place: Path, protocol: Callable[[Path], Scene], library: bool
) -> None:
    scene = protocol(place)
    calls = server.do(data_dir(), scene.deed, sticky=False, library=library).calls
    assert calls > 10
    broken: list[str] = []
    ways = [(error, sticky) for error in (errno.ENOSPC, errno.EIO) for sticky in (False, True)]
    for number, (error, sticky) in enumerate(ways):
        for call in spread(calls, len(ways), quick=scene.is_quick)[number % 2 :]:
            scene.reset()
            ended = server.do(data_dir(), scene.deed, call, error, sticky=sticky, library=library)
            outcome = judge(scene, ended.code)
            if outcome not in (ledger.OLD, ledger.NEW):
                broken.append(f"call {call} of {calls}, {errno.errorcode[error]}, sticky {sticky}: {outcome}")
                outcome = ledger.BROKEN
            inside = "inside the library" if library else "inside all calls"
            ledger.count(f"{scene.protocol}, {inside}", outcome)
    assert not broken, "\n".join(broken)


def judge(scene: Scene, code: int) -> str:
    """What came of it; in words, when it is neither old nor new or not told."""
    try:
        worker.settle(scene.address.path)
        outcome = scene.outcome()
        assert code in (worker.DONE, worker.TOLD), f"ended with {code}"
        assert code == worker.TOLD or outcome == ledger.NEW, "success was told, and the store is old"
    except Exception as error:
        return repr(error)
    return outcome
