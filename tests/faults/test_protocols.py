"""Whatever moment the process dies or the disk fails at, the store is exactly old or exactly new."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import ledger, protocols
from tests.faults.harness import FAULTS, Scene, strike, strike_twice
from tests.faults.protocols import PROTOCOLS, name_of, sqlite_with_reader

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and a fork server"),
    pytest.mark.timeout(3000),
]

SOME = (protocols.sqlite, protocols.file, protocols.directory_without_exchange, protocols.in_place, protocols.restore)
"""Of each way to commit one, whose recovery is interrupted in a quick run."""


@pytest.mark.case(1, 2, 3, 6, 8)
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=name_of)
def test_interrupted_anywhere(protocol: Callable[[Path], Scene], place: Path) -> None:
    scene = protocol(place)
    outcomes = set()
    for shift, fault in enumerate(FAULTS):
        points = scene.chosen() if scene.is_quick or ledger.ALL_POINTS else scene.chosen()[::2]
        if fault != "kill" and not (ledger.ALL_POINTS and scene.is_quick):
            points = points[shift::4]
        outcomes |= strike(scene, fault, points)
    assert outcomes == ({ledger.OLD} if protocol is sqlite_with_reader else {ledger.OLD, ledger.NEW})


@pytest.mark.case(4)
@pytest.mark.parametrize("protocol", PROTOCOLS if ledger.ALL_POINTS else SOME, ids=name_of)
def test_killed_while_recovering(protocol: Callable[[Path], Scene], place: Path) -> None:
    scene = protocol(place)
    if scene.beside:
        pytest.skip("recovered as without the other program")
    last = len(scene.points)
    for first in range(max(1, last - 12), last + 1, 2) if ledger.ALL_POINTS else (last - 9, last - 6, last - 3):
        strike_twice(scene, first, None if ledger.ALL_POINTS else (1, 3, 6))
