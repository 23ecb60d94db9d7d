"""Whatever moment the process dies at, the store is exactly old or exactly new, and the next start tidies up."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memdefrag.base import fsops
from memdefrag.base.errors import MemdefragError
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue, history, recover
from memdefrag.engine.apply import apply
from memdefrag.engine.journal import Job
from memdefrag.model.address import Address
from tests.engine import crash_worker
from tests.engine.stores import make_store, merge_plan, snapshot_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and a fork server")

KINDS = ("memory-export", "jsonl")
STRIDE = 5
"""Every fifth point in a quick run; the last ones, around the commit, are all taken."""

OLD, NEW = 20, 17


@pytest.fixture(scope="module")
def in_child() -> Callable[..., int]:
    """Calls a function in a fresh process forked from a clean server; returns its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.engine.crash_worker", "memdefrag.stores.memory_export"])

    def call(function: Callable[..., None], *arguments: Any) -> int:
        process = context.Process(target=function, args=arguments)
        process.start()
        process.join(60)
        assert process.exitcode is not None, "the child hangs"
        return process.exitcode

    return call


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    folder = tmp_path / "place"
    folder.mkdir()
    return make_store(request.param, folder)


def points_of(call: Callable[..., int], address: Address, tmp_path: Path) -> int:
    """How many fault points an undisturbed apply passes."""
    copy = tmp_path / "rehearsal"
    copy.mkdir()
    rehearsed = address.at(shutil.copy(address.path, copy))
    listing = tmp_path / "points"
    assert call(crash_worker.run_apply, str(tmp_path / "data"), f"list:{listing}", merge_plan(rehearsed)) == 0
    assert len(snapshot_of(rehearsed)) == NEW
    return len(listing.read_text().splitlines())


def chosen(points: int) -> list[int]:
    tail = range(max(1, points - 12), points + 1)
    return sorted({*range(1, points + 1, STRIDE), *tail})


def assert_old_or_new_and_tidy(address: Address) -> None:
    assert len(snapshot_of(address)) in (OLD, NEW)
    assert not Job(address.path).folder.exists()
    assert [path.name for path in address.path.parent.iterdir()] == [address.path.name]
    assert catalogue.unfinished_jobs() == {}
    applied = [step for step in history.steps(address) if step.reason == "optimize"]
    assert len(applied) == (len(snapshot_of(address)) == NEW)


def test_killed_anywhere(place: Address, tmp_path: Path, in_child: Callable[..., int]) -> None:
    content, plan = place.path.read_bytes(), merge_plan(place)
    outcomes = set()
    for point in chosen(points_of(in_child, place, tmp_path)):
        place.path.write_bytes(content)
        shutil.rmtree(data_dir(), ignore_errors=True)
        code = in_child(crash_worker.run_apply, str(data_dir()), f"kill:{point}", plan)
        assert code == -signal.SIGKILL, f"point {point} was not reached"
        recover.recover_all()
        recover.recover_path(place.path)
        assert_old_or_new_and_tidy(place)
        outcomes.add(len(snapshot_of(place)))
        if outcomes == {OLD}:
            apply(plan)
            assert len(snapshot_of(place)) == NEW
    assert outcomes == {OLD, NEW}


@pytest.mark.parametrize("fault", ["enospc", "eio"])
def test_the_disk_fails_anywhere(place: Address, tmp_path: Path, in_child: Callable[..., int], fault: str) -> None:
    content, plan = place.path.read_bytes(), merge_plan(place)
    for point in chosen(points_of(in_child, place, tmp_path))[::2]:
        place.path.write_bytes(content)
        shutil.rmtree(data_dir(), ignore_errors=True)
        assert in_child(crash_worker.run_apply, str(data_dir()), f"{fault}:{point}", plan) in (0, 3)
        recover.recover_all()
        assert_old_or_new_and_tidy(place)


def test_killed_while_recovering(place: Address, tmp_path: Path, in_child: Callable[..., int]) -> None:
    plan = merge_plan(place)
    content = place.path.read_bytes()
    points = points_of(in_child, place, tmp_path)
    for first in chosen(points)[-6:]:
        for second in (1, 3, 5):
            place.path.write_bytes(content)
            shutil.rmtree(data_dir(), ignore_errors=True)
            in_child(crash_worker.run_apply, str(data_dir()), f"kill:{first}", plan)
            in_child(crash_worker.run_recover, str(data_dir()), f"kill:{second}")
            recover.recover_all()
            recover.recover_path(place.path)
            assert_old_or_new_and_tidy(place)


@pytest.mark.parametrize("fault", ["enospc", "eio"])
def test_a_failure_after_the_commit_does_not_deny_it(place: Address, tmp_path: Path, fault: str) -> None:
    content, plan = place.path.read_bytes(), merge_plan(place)
    listing = tmp_path / "points"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(fsops.FAULT_VARIABLE, f"list:{listing}")
        apply(plan)
    points = len(listing.read_text().splitlines())
    for point in range(points - 8, points + 1):
        place.path.write_bytes(content)
        shutil.rmtree(data_dir(), ignore_errors=True)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(MemdefragError) as failed:
            patch.setenv(fsops.FAULT_VARIABLE, f"{fault}:{point}")
            patch.setattr(fsops, "_points_passed", 0)
            apply(plan)
        assert (failed.value.safe == MemdefragError.default_safe) == (len(snapshot_of(place)) == OLD)
        recover.recover_all()
        assert_old_or_new_and_tidy(place)
