"""Real limits of real disks: a full volume, a file size limit, folders that may not be written."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from memdefrag.base.errors import NoSpace
from memdefrag.base.settings import DATA_DIR_VARIABLE, data_dir
from memdefrag.engine import catalogue
from memdefrag.engine.apply import apply
from memdefrag.model.plan import Plan
from tests.engine.stores import make_store, merge_plan
from tests.faults import ledger, worker
from tests.faults.harness import Scene, in_child, same, snapshot_of

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mounts, limits and users"),
    pytest.mark.timeout(600),
]

KINDS = ("memory-export", "jsonl")
NOBODY = 65534
RECORDS = 600


@pytest.fixture(scope="module")
def small_disk() -> Iterator[Path]:
    """A volume of 8 MB."""
    folder = Path(tempfile.mkdtemp(prefix="memdefrag-disk-"))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        folder.rmdir()
        pytest.skip("needs the right to mount: a really full disk was NOT tried")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.case(7)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("full", ["store", "data"])
def test_a_disk_that_fills_up_meanwhile(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, full: str
) -> None:
    """The free space is there when it is looked at, and gone when it is needed: less and less of it is left."""
    on_disk, elsewhere = small_disk / kind / full, tmp_path / "elsewhere"
    place, data = (on_disk / "place", elsewhere) if full == "store" else (elsewhere / "place", on_disk)
    place.mkdir(parents=True)
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(data))
    address = make_store(kind, place, RECORDS)
    scene = Scene(f"a full disk under the {full} ({kind})", address, partial(worker.unforeseen, merge_plan(address)))
    ballast, outcomes = small_disk / "ballast", set()
    steps = 40 if ledger.ALL_POINTS else 6
    needed = 5 * address.path.stat().st_size
    for step in range(steps):
        scene.reset()
        leave_free(small_disk, ballast, needed * step // steps)
        code = in_child("", scene.deed)
        ballast.unlink()
        worker.settle(address.path)
        outcome = scene.outcome()
        assert code == worker.TOLD or (code == worker.DONE and outcome == ledger.NEW)
        ledger.count(scene.protocol, outcome)
        outcomes.add(outcome)
    shutil.rmtree(on_disk)
    assert ledger.OLD in outcomes


def leave_free(disk: Path, ballast: Path, size: int) -> None:
    """Fill the disk but for so many bytes."""
    usage = shutil.disk_usage(disk)
    with ballast.open("wb") as handle:
        os.posix_fallocate(handle.fileno(), 0, max(1, usage.free - size))


@pytest.mark.case(6, 7)
@pytest.mark.parametrize("kind", KINDS)
def test_too_little_space_is_said_before_anything_is_written(small_disk: Path, kind: str) -> None:
    place = small_disk / "place"
    place.mkdir(exist_ok=True)
    address = make_store(kind, place)
    with pytest.raises(NoSpace, match=r"free; .* are needed"):
        apply(merge_plan(address))
    assert catalogue.unfinished_jobs() == {}
    assert [path.name for path in place.iterdir()] == [address.path.name]
    shutil.rmtree(place)


@pytest.mark.case(9)
@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_of_file_sizes(place: Path, kind: str) -> None:
    address = make_store(kind, place, RECORDS)
    plan, largest = merge_plan(address), address.path.stat().st_size
    scene = Scene(f"a limit of file sizes ({kind})", address, partial(worker.carry_out, plan))
    outcomes = set()
    for tenths in range(1, 12, 1 if ledger.ALL_POINTS else 3):
        scene.reset()
        code = in_child("", partial(limited, largest * tenths // 10, plan))
        worker.settle(address.path)
        outcome = scene.outcome()
        assert code == worker.TOLD or (code == worker.DONE and outcome == ledger.NEW)
        ledger.count(scene.protocol, outcome)
        outcomes.add(outcome)
    assert ledger.OLD in outcomes


def limited(size: int, plan: Plan) -> None:
    """Apply where no file may become larger; Python ignores the signal, so that writes fail with EFBIG."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    worker.carry_out(plan)


@pytest.fixture
def anyones() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own are private."""
    folder = Path(tempfile.mkdtemp(prefix="memdefrag-anyones-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.case(10)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody; a normal user's denial is tried elsewhere")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("closed", ["store", "folder", "data"])
def test_what_may_not_be_written_is_refused_before_anything_changed(
    anyones: Path, monkeypatch: pytest.MonkeyPatch, kind: str, closed: str
) -> None:
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(anyones / "data"))
    place = anyones / "place"
    place.mkdir()
    address = make_store(kind, place)
    plan, before = merge_plan(address), snapshot_of(address)
    data_dir().mkdir()
    for path in (place, address.path, data_dir()):
        os.chown(path, NOBODY, NOBODY)
    {"store": address.path, "folder": place, "data": data_dir()}[closed].chmod(0o500 if closed != "store" else 0o400)
    assert in_child("", partial(as_nobody, plan)) == worker.TOLD
    assert same(snapshot_of(address), before)
    assert [path.name for path in place.iterdir()] == [address.path.name]
    for path in (place, data_dir()):
        path.chmod(0o700)
    address.path.chmod(0o600)
    assert in_child("", partial(as_nobody, plan)) == worker.DONE


def as_nobody(plan: Plan) -> None:
    """Apply as a user without any rights. What is imported late is imported before: nobody may not read it."""
    apply(replace(plan, steps=plan.steps[:1]), worker.REHEARSAL)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    os.environ["HOME"] = os.environ["TMPDIR"] = str(data_dir().parent)
    worker.carry_out(plan)
