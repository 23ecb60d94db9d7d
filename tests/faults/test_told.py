"""What a person is told of a failed disk is true: never success that is none, never a denied commit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from memdefrag.base import fsops
from memdefrag.base.errors import MemdefragError
from memdefrag.engine.apply import apply
from tests.engine.stores import merge_plan
from tests.faults import protocols, worker
from tests.faults.harness import Scene, in_child, same, snapshot_of

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs a fork server"),
    pytest.mark.case(6, 8),
]


@pytest.mark.parametrize("fault", ["enospc", "eio"])
@pytest.mark.parametrize("protocol", [protocols.sqlite, protocols.file], ids=["sqlite", "file"])
def test_a_failure_after_the_commit_does_not_deny_it(
    protocol: type[Scene], place: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = protocol(place)
    plan = merge_plan(scene.address)
    for point in range(len(scene.points) - 8, len(scene.points) + 1):
        scene.reset()
        monkeypatch.setattr(fsops, "_points_passed", 0)
        monkeypatch.setenv(fsops.FAULT_VARIABLE, f"{fault}:{point}")
        with pytest.raises(MemdefragError) as failed:
            apply(plan)
        monkeypatch.delenv(fsops.FAULT_VARIABLE)
        assert (failed.value.safe == MemdefragError.default_safe) == same(snapshot_of(scene.address), scene.before)
        worker.settle(scene.address.path)
        scene.outcome()


@pytest.mark.parametrize("fault", ["enospc", "eio"])
def test_a_failure_during_a_backup_by_hand_is_told(place: Path, fault: str) -> None:
    scene = protocols.backup(place)
    for point in scene.chosen():
        scene.reset()
        assert in_child(f"{fault}:{point}", scene.deed) == worker.TOLD, scene.points[point - 1]
